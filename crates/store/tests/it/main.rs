//! What the crate promises, tested at its border.

mod blobs;
mod conformance;
mod crash;
mod engines;
mod model;
