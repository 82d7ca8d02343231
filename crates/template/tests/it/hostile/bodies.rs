//! What must hold for any text, each as a function that panics when it does not. The property tests beside this file run them
//! on a bounded number of texts, the cargo-fuzz targets in `fuzz/` for as long as they are let.

use gantry_template::{ErrorKind, Host, Limits, Set, Value};
use std::time::Duration;

/// The data that texts are rendered over: the one of the recorded cases.
pub(super) const DATA: &str = include_str!("../../cases/data.json");

const LIMITS: Limits =
    Limits { depth: 50, output: 1 << 20, produced: 4 << 20, steps: 20_000, stack: 512 << 10 };

/// A world in which nothing is random, so that what was found can be found again.
struct Still;

impl Host for Still {
    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
    fn now(&self) -> Duration {
        Duration::from_secs(1_600_000_000)
    }
}

/// Parses a text: it becomes a template that tells what it calls, or an error that names a line of it and changes nothing.
pub(super) fn parse(text: &str) {
    let mut set = Set::new();
    match set.parse("main", text) {
        Ok(()) => {
            for name in set.names() {
                assert!(set.calls(&name).is_some(), "{name} is there");
            }
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Parse, "{error}");
            assert!(error.message.starts_with("template: main"), "{error}");
            assert!(error.line <= text.lines().count() + 1, "{error}");
            assert!(set.names().is_empty(), "a text that does not parse changes nothing");
        }
    }
}

/// Parses and renders a text: the render ends within its limits, twice in the same way.
pub(super) fn render(text: &str, data: &serde_json::Value) {
    let mut set = Set::new();
    if set.parse("main", text).is_err() {
        return;
    }
    let answer = || {
        let mut out = Vec::new();
        let data = Value::from_json_live(data);
        let result = set.render("main", &data, &LIMITS, &Still, &mut out);
        assert!(out.len() <= LIMITS.output + LIMITS.produced + text.len(), "{} bytes of output", out.len());
        (result.map_err(|error| error.message), out)
    };
    assert_eq!(answer(), answer());
}
