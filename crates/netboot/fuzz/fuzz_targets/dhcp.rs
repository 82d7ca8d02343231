//! Any datagram on port 67: see the body.
#![no_main]

#[path = "../../tests/it/hostile/bodies.rs"]
#[expect(dead_code, reason = "each target runs one of the bodies")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::dhcp(bytes));
