//! `gantry image` by itself: `cargo run -p gantry-image --example image -- discovery --out DIR --agent FILE`.
#![expect(clippy::print_stderr, reason = "a command-line program talks to its user")]

use gantry_image::{Progress, command, run};
use std::process::ExitCode;

struct Lines;

impl Progress for Lines {
    fn step(&self, what: &str) {
        eprintln!("{what}");
    }
}

fn main() -> ExitCode {
    match run(&command().get_matches(), &Lines, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
