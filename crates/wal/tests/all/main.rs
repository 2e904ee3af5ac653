//! The log from outside: what it promises, and what it does when the disk breaks its promises.

mod copying;
mod crash;
mod damage;
mod faults;
mod groups;
mod reading;
mod support;
mod writing;
