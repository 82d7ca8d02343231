//! Any text is parsed and rendered over the data of the recorded cases: see the body.

#![no_main]

#[path = "../../tests/it/hostile/bodies.rs"]
#[expect(dead_code, reason = "each target runs one of the bodies")]
mod bodies;

use std::sync::LazyLock;

static DATA: LazyLock<serde_json::Value> =
    LazyLock::new(|| serde_json::from_str(bodies::DATA).expect("the data is a constant"));

libfuzzer_sys::fuzz_target!(|text: &str| bodies::render(text, &DATA));
