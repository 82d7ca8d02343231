//! Tests of the crate at its border: JSON in, JSON or messages out.

mod changes;
mod filters;
mod layers;
mod rebuild;
mod refusals;
mod shapes;
mod support;
