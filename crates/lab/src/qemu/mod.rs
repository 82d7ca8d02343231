//! QEMU: how a machine becomes its command line, and how one talks to it while it runs.

pub(crate) mod command;
pub(crate) mod qmp;
