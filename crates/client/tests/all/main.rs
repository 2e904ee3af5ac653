//! Clients against servers of this process that only pretend: what a client does when it is told to go elsewhere.

mod cluster;
mod fake;
mod redirect;
