//! What a connection meets before any service, whether or not there is a database behind it yet.

use std::sync::Arc;

use crate::access::Access;
use crate::metrics::Metrics;
use crate::{Lifecycle, Limits};

/// What a connection meets before any service. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Who may do what.
    pub access: Arc<Access>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// How far the server is.
    pub lifecycle: Arc<Lifecycle>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}
