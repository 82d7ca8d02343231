//! The program as people use it: started, asked, stopped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod checks;
mod command;
mod docs;
mod drpcli;
mod keys;
mod memory;
mod mistakes;
mod packs;
mod program;
mod serve;
mod template;
