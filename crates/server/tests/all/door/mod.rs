//! Who comes in, who does not, and how it all begins and ends.

mod access;
mod connections;
mod hostile;
mod reload;
mod stop;
pub(crate) mod support;
