//! `gantry-lab`: the lab without the rest of Gantry; `gantry lab` is the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    gantry_lab::cli::main(std::env::args_os())
}
