//! Any datagrams, one after the other, length-prefixed by a byte: a session ends or waits, and never panics.
#![no_main]

use gantry_netboot::tftp::{Input, Limits, Packet, Session};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((len, rest)) = bytes.split_first() else { return };
    let (first, mut rest) = rest.split_at(rest.len().min(usize::from(*len)));
    let Ok(Packet::Read(request)) = Packet::decode(first) else { return };
    let _ = gantry_netboot::path::clean(&request.file);
    let mut read = |offset: u64, buffer: &mut [u8]| {
        let len = (5000_u64.saturating_sub(offset) as usize).min(buffer.len());
        buffer[..len].fill(7);
        Ok(len)
    };
    let (mut session, mut step) = Session::start(&request, Some(5000), Limits::default(), &mut read);
    while step.ended.is_none() {
        let Some((len, tail)) = rest.split_first() else { return };
        let (datagram, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        rest = tail;
        let input = if datagram.is_empty() { Input::Timeout } else { Input::Packet(datagram) };
        step = session.drive(input, &mut read);
        assert!(step.send.len() <= 32);
    }
});
