//! Whole labs: namespaces, a switch and machines, as an ordinary user or as root, whoever runs the tests.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy sees only inside #[test] functions"
)]

mod cleanup;
mod machines;
mod network;
mod programs;
mod user;

use std::time::Duration;

use gantry_lab::{Config, Helper, Lab};

/// Longer than anything takes, for what must come.
const LONG: Duration = Duration::from_secs(120);

/// The configuration of a lab for a test, in whose folder nobody else's lab lives.
fn config() -> Config {
    Config { helper: Helper::at(helper()), ..Config::default() }
}

/// The helper as cargo built it, or the copy that an ordinary user may read.
fn helper() -> String {
    std::env::var(user::HELPER).unwrap_or_else(|_| env!("CARGO_BIN_EXE_gantry-lab").to_owned())
}

fn lab() -> Lab {
    Lab::start(config()).unwrap()
}
