//! TFTP, reading only: RFC 1350 with options (RFC 2347), block size (2348), timeout and size (2349), window (7440).
//!
//! [`packet`] is bytes ↔ values, [`Session`] one transfer: a packet or a timeout goes in, datagrams and the next deadline
//! come out. Sockets, files and clocks stay with the caller.

pub mod packet;
mod session;

pub use packet::{Mode, Packet, Request};
pub use session::{Ended, Input, Limits, Read, Session, Step};

/// Text lines as netascii (RFC 764): LF becomes CR LF, a lone CR becomes CR NUL.
pub fn netascii(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 32);
    for byte in content {
        match byte {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\r' => out.extend_from_slice(b"\r\0"),
            byte => out.push(*byte),
        }
    }
    out
}
