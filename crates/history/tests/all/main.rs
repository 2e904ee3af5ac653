//! History files from outside: one binary, one scenario to a file.

mod damage;
mod fixtures;
mod format_page;
mod layouts;
mod model;
mod pruning;
mod refusals;
mod resealed;
mod round_trip;
mod series_cost;
mod series_reads;
