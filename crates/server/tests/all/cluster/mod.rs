//! Servers as nodes: what they refuse to each other, and what three of them give to those who read and write.

mod reads;
mod senders;
mod support;
