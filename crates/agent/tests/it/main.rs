//! The agent against a small server on the loopback interface.

mod api;
mod deploy;
mod inventory;
mod runner;
mod server;
mod tls;
