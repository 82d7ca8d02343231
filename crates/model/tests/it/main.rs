//! Tests of the crate at its border.
