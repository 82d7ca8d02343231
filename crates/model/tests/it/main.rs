//! Tests of the crate at its border: JSON in, JSON or messages out.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail where they unwrap, and take rows of tables whole"
)]

mod changes;
mod files;
mod filters;
mod hostile;
mod layers;
mod rebuild;
mod refusals;
mod shapes;
mod support;
