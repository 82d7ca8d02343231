//! Tests of the crate at its border: a View, a path or a job in; bytes, actions or messages out.

mod actions;
mod dot;
mod files;
mod repos;
mod rules;
mod support;
