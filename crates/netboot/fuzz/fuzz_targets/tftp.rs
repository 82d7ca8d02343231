//! Any dialogue on port 69: see the body.
#![no_main]

#[path = "../../tests/it/hostile/bodies.rs"]
#[expect(dead_code, reason = "each target runs one of the bodies")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::tftp(bytes));
