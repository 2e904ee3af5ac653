//! The fault schedules, the bugs that they must find, and the real process.

mod clusters;
mod determinism;
mod planted;
mod process;
mod schedules;
