//! The system state of an open database, for whoever lists it.

use std::sync::Arc;

use crate::commit::Committer;
use crate::{Db, ProducerState};

/// What is not a row, as it is whenever it is asked. It keeps nobody from closing the database.
#[derive(Clone, Debug)]
pub struct SystemView {
    pub(crate) committer: Arc<Committer>,
}

impl Db {
    /// The system state, to be looked at now or later.
    pub fn system_view(&self) -> SystemView {
        SystemView { committer: Arc::clone(&self.committer) }
    }
}

impl SystemView {
    /// All producers by id, expired ones included.
    pub fn producers(&self) -> Vec<(u64, Arc<ProducerState>)> {
        let committed = self.committer.lock();
        committed.applier.state.producers.iter().map(|(id, state)| (id, Arc::clone(state))).collect()
    }
}
