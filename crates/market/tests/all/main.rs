//! What a simulated market promises, checked over long runs from its records alone.

mod audit;
mod books;
mod delivery;
mod determinism;
mod generator;
mod matching;
mod money;
mod orders;
mod statistics;
