//! Tests from outside the crate: other people's tools as witnesses, and real boots under QEMU.
//!
//! Tests that fetch Debian packages or boot machines are ignored by default:
//! `cargo test -p gantry-image -- --ignored`. They keep packages in the build folder, so only the first run is slow.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod debian;
mod discovery;
mod machine;
mod witness;

use gantry_image::Progress;
use std::path::PathBuf;

/// Where packages and finished parts are kept between runs.
fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("image-cache")
}

/// Shows the steps in a failing test's output.
struct Lines;

impl Progress for Lines {
    fn step(&self, what: &str) {
        println!("{what}");
    }
}
