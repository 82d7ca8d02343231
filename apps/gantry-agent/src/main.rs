//! The static binary of the machine agent. Everything it does lives in `gantry-agent`, the library;
//! the name it is called by and its first argument choose the role (PID 1, service, `drpcli`, …).

use std::process::ExitCode;

fn main() -> ExitCode {
    gantry_agent::entry(std::env::args_os().collect())
}
