//! What the crate promises, tested at its border.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod common;
mod events;
mod packs;
mod property;
mod restart;
mod writes;
