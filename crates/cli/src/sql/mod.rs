//! SQL from the command line: statements out of text, queries run to their last batch, and the interactive shell.

mod completion;
mod describe;
mod runner;
mod script;
mod shell;

pub(crate) use runner::{Runner, Summary};
pub(crate) use script::{Item, Script};
pub(crate) use shell::Shell;
