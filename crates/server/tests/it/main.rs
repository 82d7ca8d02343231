//! The server as its clients see it: started in this process on loopback, on ports that the system chooses.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod auth;
mod blobs;
mod contents;
mod dhcp;
mod events;
mod generic;
mod harness;
mod hostile;
mod jobs;
mod machines;
mod pack_changes;
mod patches;
mod pools;
mod secure;
mod transport;
