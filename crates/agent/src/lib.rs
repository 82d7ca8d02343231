//! The machine agent of Gantry.
//!
//! One static binary with several roles, chosen by the name it is called by and its first argument
//! ([`entry`]): PID 1 of the discovery OS ([`init`]), the session that runs a machine's jobs
//! ([`session`] decides, [`runner`] performs), the same session as a service of an installed system,
//! image deploy ([`deploy`]) and kexec ([`kexec`]) for task scripts,
//! `drpcli` with the verbs that task scripts use ([`drpcli`]), and `modprobe` for the kernel.
//!
//! The agent knows nothing of the server's crates; what it needs of the API is in [`wire`].

pub mod cmdline;
pub mod deploy;
pub mod drpcli;
pub mod http;
pub mod init;
pub mod inventory;
pub mod kexec;
pub mod roles;
pub mod runner;
pub mod secret;
pub mod session;
pub mod sys;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod wire;

pub use roles::entry;
