//! Any bytes: decoding ends, and what decodes prints, encodes within the limit, and decodes again.
#![no_main]

use gantry_netboot::dhcp::{Client, Packet, option, sub, text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(packet) = Packet::decode(bytes) else { return };
    let _ = Client::of(&packet);
    for (code, value) in packet.options.iter() {
        let text = option::to_text(code, value);
        let _ = option::from_text(code, &text);
        let _ = sub::read(value).count();
    }
    let seen = text::Seen { interface: "eth0".into(), peer: "0.0.0.0:68".parse().unwrap(), port: 67 };
    let _ = text::parse(&text::print(&seen, &packet));
    let encoded = packet.encode(packet.max_reply());
    assert!(encoded.bytes.len() <= 1472);
    Packet::decode(&encoded.bytes).expect("we can read what we write");
});
