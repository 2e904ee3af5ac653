//! SQL over the network: Arrow Flight SQL, HTTP, and what both are bounded by.

mod bounds;
mod cancel;
mod clients;
mod flight;
mod http;
mod ingest;
mod malformed;
mod metadata;
mod metrics;
mod prepared;
mod rights;
mod support;
