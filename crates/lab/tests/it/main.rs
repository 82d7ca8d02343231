//! Whole labs: namespaces, a switch and machines, as an ordinary user or as root, whoever runs the tests.

mod cleanup;
mod machines;
mod network;
mod programs;

use std::time::Duration;

use gantry_lab::{Config, Helper, Lab};

/// Longer than anything takes, for what must come.
const LONG: Duration = Duration::from_secs(120);

/// The configuration of a lab for a test, in whose folder nobody else's lab lives.
fn config() -> Config {
    Config { helper: Helper::at(env!("CARGO_BIN_EXE_gantry-lab")), ..Config::default() }
}

fn lab() -> Lab {
    Lab::start(config()).unwrap()
}
