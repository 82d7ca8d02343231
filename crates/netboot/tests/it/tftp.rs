//! TFTP as a table: what the client says, what the server says.
//!
//! Notation: `<` from the client, `>` to it; `DATA n len`, `ACK n`, `OACK name=value…`, `ERROR code`, `timeout`.

use std::fmt::Write as _;

use gantry_netboot::tftp::{Ended, Input, Limits, Mode, Packet, Session, Step, netascii, packet};
use proptest::prelude::*;

use crate::lossy::{Fate, Wire, fates};

fn rrq(file: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    let texts = [file, mode].into_iter().chain(options.iter().flat_map(|(n, v)| [*n, *v]));
    texts.for_each(|t| bytes.extend(t.bytes().chain([0])));
    bytes
}

fn request(options: &[(&str, &str)]) -> packet::Request {
    match Packet::decode(&rrq("f", "octet", options)) {
        Ok(Packet::Read(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn show(bytes: &[u8]) -> String {
    let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    match number(0) {
        3 => format!("DATA {} {}", number(2), bytes.len() - 4),
        5 => format!("ERROR {}", number(2)),
        6 => {
            let texts: Vec<_> = bytes[2..].split(|b| *b == 0).map(String::from_utf8_lossy).collect();
            texts.chunks_exact(2).fold("OACK".to_owned(), |all, p| format!("{all} {}={}", p[0], p[1]))
        }
        other => format!("operation {other}"),
    }
}

/// Plays the client's lines against a content of `size` bytes and compares the whole dialogue.
fn check(size: usize, options: &[(&str, &str)], script: &[&str], want: &str) {
    let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
    let mut read = reader(&content);
    let limits = Limits { block: 1468, window: 4 };
    let (mut session, first) = Session::start(&request(options), Some(size as u64), limits, &mut read);
    let mut said = String::new();
    let mut step = first;
    let mut lines = script.iter();
    loop {
        step.send.iter().for_each(|d| writeln!(said, "> {}", show(d)).unwrap());
        if let Some(ended) = &step.ended {
            writeln!(said, "{ended:?} {} bytes {} retries", session.bytes(), session.retries()).unwrap();
            break;
        }
        let Some(line) = lines.next() else { break };
        writeln!(said, "< {line}").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        step = match words[..] {
            ["timeout"] => session.drive(Input::Timeout, &mut read),
            ["ACK", n] => session.drive(Input::Packet(&ack(n.parse().unwrap())), &mut read),
            ["ERROR", n] => {
                session.drive(Input::Packet(&packet::refusal(n.parse().unwrap(), "x")), &mut read)
            }
            ["noise"] => session.drive(Input::Packet(&[0, 9, 9]), &mut read),
            _ => panic!("{line}"),
        };
    }
    assert_eq!(said.trim(), want.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n"));
}

fn ack(number: u16) -> Vec<u8> {
    [4_u16.to_be_bytes(), number.to_be_bytes()].concat()
}

fn reader(content: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<usize, String> + '_ {
    |offset, buffer| {
        let rest = content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

#[test]
fn without_options_data_comes_at_once() {
    check(
        600,
        &[],
        &["ACK 1", "ACK 2"],
        "> DATA 1 512
         < ACK 1
         > DATA 2 88
         < ACK 2
         Done 600 bytes 0 retries",
    );
}

#[test]
fn a_file_of_whole_blocks_ends_with_an_empty_one() {
    check(
        512,
        &[],
        &["ACK 1", "ACK 2"],
        "> DATA 1 512
         < ACK 1
         > DATA 2 0
         < ACK 2
         Done 512 bytes 0 retries",
    );
    check(0, &[], &["ACK 1"], "> DATA 1 0\n< ACK 1\nDone 0 bytes 0 retries");
}

#[test]
fn options_are_acknowledged_in_order_and_clamped() {
    check(
        3000,
        &[("tsize", "0"), ("BLKSIZE", "8192"), ("timeout", "3"), ("windowsize", "16"), ("bogus", "1")],
        &["ACK 0", "ACK 3"],
        "> OACK tsize=3000 blksize=1468 timeout=3 windowsize=4
         < ACK 0
         > DATA 1 1468
         > DATA 2 1468
         > DATA 3 64
         < ACK 3
         Done 3000 bytes 0 retries",
    );
}

#[test]
fn options_out_of_range_are_left_out() {
    let options = [("blksize", "7"), ("timeout", "0"), ("windowsize", "0"), ("blksize", "x")];
    check(10, &options, &["ACK 1"], "> DATA 1 10\n< ACK 1\nDone 10 bytes 0 retries");
    check(10, &[("blksize", "8")], &["ACK 0"], "> OACK blksize=8\n< ACK 0\n> DATA 1 8");
}

#[test]
fn a_size_probe_of_edk2_or_grub_is_no_failure() {
    check(
        9000,
        &[("tsize", "0")],
        &["ERROR 8"],
        "> OACK tsize=9000
         < ERROR 8
         Probed 0 bytes 0 retries",
    );
    check(
        9000,
        &[("tsize", "0")],
        &["ACK 0", "ERROR 8"],
        "> OACK tsize=9000
         < ACK 0
         > DATA 1 512
         < ERROR 8
         Probed 0 bytes 0 retries",
    );
    check(
        9000,
        &[],
        &["ACK 1", "ERROR 3"],
        r#"> DATA 1 512
         < ACK 1
         > DATA 2 512
         < ERROR 3
         Refused(3, "x") 512 bytes 0 retries"#,
    );
}

#[test]
fn a_repeated_acknowledgement_makes_no_apprentice() {
    check(
        1100,
        &[],
        &["ACK 1", "ACK 1", "noise", "ACK 7", "timeout", "ACK 2"],
        "> DATA 1 512
         < ACK 1
         > DATA 2 512
         < ACK 1
         < noise
         < ACK 7
         < timeout
         > DATA 2 512
         < ACK 2
         > DATA 3 76",
    );
}

#[test]
fn a_hole_in_a_window_is_filled_once() {
    check(
        6000,
        &[("windowsize", "3"), ("blksize", "1000")],
        &["ACK 0", "ACK 1", "ACK 1", "ACK 1", "ACK 4"],
        "> OACK windowsize=3 blksize=1000
         < ACK 0
         > DATA 1 1000
         > DATA 2 1000
         > DATA 3 1000
         < ACK 1
         > DATA 2 1000
         > DATA 3 1000
         > DATA 4 1000
         < ACK 1
         < ACK 1
         < ACK 4
         > DATA 5 1000
         > DATA 6 1000
         > DATA 7 0",
    );
}

#[test]
fn a_window_that_was_sent_twice_does_not_double_the_next_ones() {
    check(
        4500,
        &[("windowsize", "2"), ("blksize", "1000")],
        &["ACK 0", "ACK 0", "ACK 2", "ACK 2", "ACK 2", "ACK 4", "ACK 4", "ACK 5"],
        "> OACK windowsize=2 blksize=1000
         < ACK 0
         > DATA 1 1000
         > DATA 2 1000
         < ACK 0
         > DATA 1 1000
         > DATA 2 1000
         < ACK 2
         > DATA 3 1000
         > DATA 4 1000
         < ACK 2
         < ACK 2
         < ACK 4
         > DATA 5 500
         < ACK 4
         > DATA 5 500
         < ACK 5
         Done 4500 bytes 2 retries",
    );
}

#[test]
fn a_client_that_is_gone_is_given_up_with_back_off() {
    let content = [0; 10];
    let mut read = reader(&content);
    let (mut session, mut step) = Session::start(&request(&[]), None, Limits::default(), &mut read);
    let mut waits = Vec::new();
    while step.ended.is_none() {
        waits.push(step.wait.as_secs());
        step = session.drive(Input::Timeout, &mut read);
    }
    assert_eq!(waits, [1, 2, 4, 5, 5, 5, 5]);
    assert_eq!(step.ended, Some(Ended::TimedOut));
    assert_eq!(session.retries(), 6);
    let (_, step) =
        Session::start(&request(&[("timeout", "9")]), None, Limits::default(), &mut reader(&content));
    assert_eq!(step.wait.as_secs(), 9);
}

#[test]
fn unreadable_content_ends_in_an_error_packet() {
    let mut broken = |_: u64, _: &mut [u8]| Err("disk on fire".to_owned());
    let (_, step) = Session::start(&request(&[]), None, Limits::default(), &mut broken);
    assert_eq!(step.ended, Some(Ended::Failed("disk on fire".into())));
    assert_eq!(show(&step.send[0]), "ERROR 0");
    assert!(
        !String::from_utf8_lossy(&step.send[0]).contains("fire"),
        "the client learns nothing of our disk"
    );
}

#[test]
fn block_numbers_wrap_for_files_above_32_megabytes() {
    let size = 65_540_u64 * 512 + 7;
    let mut read = |offset: u64, buffer: &mut [u8]| {
        let len = buffer.len().min((size - offset) as usize);
        buffer[..len].fill((offset / 512) as u8);
        Ok(len)
    };
    let (mut session, mut step) = Session::start(&request(&[]), Some(size), Limits::default(), &mut read);
    let mut block = 0_u64;
    while step.ended.is_none() {
        block += 1;
        assert_eq!(show(&step.send[0]).split(' ').nth(1), Some((block as u16).to_string().as_str()));
        step = session.drive(Input::Packet(&ack(block as u16)), &mut read);
    }
    assert_eq!((step.ended, block, session.bytes()), (Some(Ended::Done), 65_541, size));
}

#[test]
fn requests_of_odd_roms() {
    let read = |bytes: &[u8]| match Packet::decode(bytes) {
        Ok(Packet::Read(r)) => format!("{} {:?} {:?}", r.file, r.mode, r.options),
        other => format!("{other:?}"),
    };
    assert_eq!(read(&rrq("a/b", "OCTET", &[("TSIZE", "0")])), r#"a/b Octet [("tsize", "0")]"#);
    assert_eq!(read(&rrq("a", "mail", &[])), "a Octet []");
    assert_eq!(read(&rrq("a", "NetAscii", &[])), "a Netascii []");
    let padded = [rrq("a", "octet", &[]), vec![0; 20]].concat();
    assert_eq!(read(&padded), "a Octet []");
    for bad in [
        &b"\0"[..],
        b"\0\x01",
        b"\0\x01abc",
        b"\0\x01abc\0",
        b"\0\x01\0octet\0",
        b"\0\x03\0\x01x",
        b"\0\x05\0",
    ] {
        assert!(Packet::decode(bad).is_err(), "{bad:?}");
    }
    let many: Vec<_> = (0..33).map(|_| ("x", "1")).collect();
    assert!(Packet::decode(&rrq("a", "octet", &many)).is_err());
    assert!(matches!(Packet::decode(b"\0\x02up\0octet\0"), Ok(Packet::Write(r)) if r.mode == Mode::Octet));
}

#[test]
fn lines_of_netascii() {
    assert_eq!(netascii(b"a\nb\rc"), b"a\r\nb\r\0c");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        let _ = Packet::decode(&bytes);
        let mut read = reader(&bytes);
        let (mut session, _) = Session::start(&request(&[("windowsize", "9")]), None, Limits::default(), &mut read);
        let _ = session.drive(Input::Packet(&bytes), &mut read);
    }

    /// Through any loss, doubling and reordering of data and acknowledgements, a patient client gets exactly the content, and no
    /// mishap makes the server send more than a few windows again.
    #[test]
    fn every_byte_arrives(
        size in 0_usize..9000, block in 8_usize..1400, window in 1_u16..9, to_client in fates(60), to_server in fates(40),
    ) {
        transfer(size, block, window, to_client, to_server)?;
    }
}

/// A client as RFC 1350 and RFC 7440 have it: it acknowledges a whole window, the last block, and what it has when one is missing.
struct Receiver {
    got: Vec<u8>,
    block: usize,
    window: u16,
    last: u16,
    since_ack: u16,
}

impl Receiver {
    /// The block to acknowledge, if any.
    fn hear(&mut self, datagram: &[u8]) -> Option<u16> {
        if datagram[1] == 6 {
            return (self.last == 0).then_some(0);
        }
        if u16::from_be_bytes([datagram[2], datagram[3]]) != self.last.wrapping_add(1) {
            self.since_ack = 0;
            return Some(self.last);
        }
        self.last += 1;
        self.since_ack += 1;
        self.got.extend_from_slice(&datagram[4..]);
        if self.since_ack < self.window && datagram.len() - 4 == self.block {
            return None;
        }
        self.since_ack = 0;
        Some(self.last)
    }
}

fn transfer(
    size: usize,
    block: usize,
    window: u16,
    to_client: Vec<Fate>,
    to_server: Vec<Fate>,
) -> Result<(), TestCaseError> {
    let content: Vec<u8> = (0..size).map(|i| (i / 3) as u8).collect();
    let mut read = reader(&content);
    let (block_text, window_text) = (block.to_string(), window.to_string());
    let options = [("blksize", block_text.as_str()), ("windowsize", window_text.as_str())];
    let (mut session, mut step) = Session::start(&request(&options), None, Limits::default(), &mut read);
    let mut client = Receiver { got: Vec::new(), block, window, last: 0, since_ack: 0 };
    let (mut down, mut up) = (Wire::new(to_client), Wire::new(to_server));
    let (mut sent, mut timeouts) = (0, 0);
    while step.ended.is_none() {
        sent += step.send.len();
        step.send.drain(..).for_each(|datagram| down.send(datagram));
        step = if let Some(datagram) = down.receive() {
            client.hear(&datagram).into_iter().for_each(|number| up.send(number));
            Step { send: Vec::new(), ..step }
        } else if let Some(number) = up.receive() {
            session.drive(Input::Packet(&ack(number)), &mut read)
        } else {
            timeouts += 1;
            session.drive(Input::Timeout, &mut read)
        };
    }
    // The last acknowledgement may be lost too often; the content never is incomplete after Done.
    if step.ended == Some(Ended::Done) {
        prop_assert_eq!(&client.got, &content);
        prop_assert_eq!(session.bytes(), size as u64);
    } else {
        prop_assert_eq!(step.ended, Some(Ended::TimedOut));
        prop_assert!(content.starts_with(&client.got));
    }
    let blocks = size / block + 1;
    let bound = 1 + blocks + (2 * (down.mishaps + up.mishaps) + timeouts) * usize::from(window);
    prop_assert!(sent <= bound, "{} datagrams for {} blocks, at most {} expected", sent, blocks, bound);
    Ok(())
}
