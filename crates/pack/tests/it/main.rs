//! Packs as files, from the outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they unwrap")]

mod core;
mod folders;
