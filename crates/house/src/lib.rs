//! The rules of the house that no compiler checks, as tests.
//!
//! `tests/edges.rs` reads every manifest of the workspace and fails on an edge that the table of `ARCHITECTURE.md` does not have. Nothing here is
//! built into a binary.
