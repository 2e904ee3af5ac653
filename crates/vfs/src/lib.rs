//! The only door to the operating system.
//!
//! Everything that can fail, be slow or differ between two runs comes through here: files, directory entries,
//! `fdatasync`, memory maps, the clock and randomness. Three implementations stand behind one pair of traits:
//!
//! * [`RealVfs`]: the machine's own file system, clock and randomness;
//! * [`MemoryVfs`]: a disk in memory that, at a simulated power cut, keeps *any subset of the pages that were
//!   not synced* and forgets directory entries whose directory was not synced;
//! * [`FaultVfs`]: wraps another one and fails, shortens or delays chosen calls.
//!
//! This crate knows nothing of logs, tables or records.

#![deny(unsafe_code)]

mod clock;
mod fault;
mod file;
mod lock;
mod memory;
mod operation;
mod path_error;
mod random;
mod real;
mod vfs;

pub use clock::{Clock, ManualClock, SystemClock};
pub use fault::{Fault, FaultPlan, FaultRule, FaultVfs};
pub use file::{File, Mapping};
pub use lock::{DirLock, LockError, LockOwner};
pub use memory::{CrashOutcome, MemoryVfs};
pub use operation::{Operation, TracedOperation};
pub use path_error::{os_error_code, without_path};
pub use real::{RealVfs, raise_open_files_limit};
pub use vfs::{DirEntry, OpenMode, Vfs};
