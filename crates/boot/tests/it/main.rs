//! Tests of the crate at its border: a View, a path or a job in; bytes, actions or messages out.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail where they unwrap, and take rows of tables whole"
)]

mod actions;
mod dot;
mod edges;
mod files;
mod members;
mod memo;
mod repos;
mod rules;
mod support;
mod yaml;
