//! What the crate promises, tested at its border.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blobs;
mod conformance;
mod crash;
mod engines;
mod model;
