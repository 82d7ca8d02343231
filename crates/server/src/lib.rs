//! The shell of Gantry: sockets, clocks, files and handlers around the engines. It decides nothing.
//!
//! * [`config`]: what the operator asked for. [`app`]: starting, serving, draining. [`recover`]: the way back in.
//! * [`api`]: handlers of the API. [`auth`]: who is asking. [`listen`], [`tls`]: connections.
//! * [`net`]: DHCP, TFTP, files over HTTP.
//! * [`trace`]: the boot trace. [`bus`], [`log`], [`metrics`]: what else is told and counted.
//!
//! An *if* about what should happen belongs to an engine; an *await*, a socket or a timer belongs here.

pub mod api;
pub mod app;
pub mod auth;
mod builtin;
pub mod bus;
pub mod catalogue;
pub mod clock;
pub mod config;
pub mod core;
pub mod digests;
pub mod files;
pub mod incident;
mod leftover;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod net;
mod patient;
pub mod recover;
mod render;
mod rules;
mod seal;
mod services;
pub mod tls;
pub mod tokens;
pub mod trace;
