//! Any text is parsed and rendered over fixed data: it may fail, but must not panic, hang or grow.
//! `cargo +nightly fuzz run render -- -max_total_time=60`

#![no_main]

use gantry_template::{Limits, NoHost, Set, Value};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static DATA: LazyLock<serde_json::Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../tests/cases/data.json")).expect("the data is a constant")
});

const LIMITS: Limits = Limits { depth: 50, output: 1 << 20, produced: 8 << 20, steps: 50_000, stack: 512 << 10 };

fuzz_target!(|text: &str| {
    let mut set = Set::new();
    if set.parse("main", text).is_ok() {
        let data = Value::from_json_live(&DATA);
        let mut out = Vec::new();
        let _ = set.render("main", &data, &LIMITS, &NoHost::default(), &mut out);
        assert!(out.len() <= (1 << 20) + text.len() + (1 << 20));
    }
});
