//! One transfer, from the answer to the request until the last block is acknowledged.
//!
//! Blocks carry 16-bit numbers that wrap; inside, blocks are counted in 64 bits, and an acknowledgement is matched against the
//! window in flight. An acknowledgement that does not end the window tells of a gap (RFC 7440 §4), and the server goes back to it:
//! once, because a client acknowledges the copies of blocks that it already has, too, and a server that heeded those would send
//! every block twice until the end (the sorcerer's apprentice of RFC 1123 §4.2.3.1). What is lost twice waits for the time-out.

use std::time::Duration;

use super::packet::{self, Packet, Request, error};

const DEFAULT_BLOCK: usize = 512;
const MIN_BLOCK: usize = 8;
const MAX_BLOCK: usize = 65464;
/// Waits between retransmissions when the client named none: 27 s in all. Firmware that has not answered by then is gone.
const BACK_OFF: [u64; 7] = [1, 2, 4, 5, 5, 5, 5];

/// What the server grants at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest block, bytes; the MTU less 32 avoids fragments, which many ROMs cannot join.
    pub block: usize,
    /// Most blocks in flight.
    pub window: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { block: 1500 - 32, window: 32 }
    }
}

impl Limits {
    /// For an interface of this MTU and IPv4 (20 bytes of header, 8 of UDP, 4 of TFTP).
    pub fn for_mtu(mtu: usize) -> Self {
        Self { block: mtu.saturating_sub(32).clamp(DEFAULT_BLOCK, MAX_BLOCK), ..Self::default() }
    }
}

/// What drives a session.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A datagram from the client's port.
    Packet(&'a [u8]),
    /// The wait of the last step is over.
    Timeout,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Datagrams to send, in order.
    pub send: Vec<Vec<u8>>,
    /// How long to wait for the next packet; counted from now.
    pub wait: Duration,
    /// Set when the session is over; send first.
    pub ended: Option<Ended>,
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Every block is acknowledged.
    Done,
    /// The client only asked for the size: EDK2 and grub do so first and end it with error 8. No failure.
    Probed,
    /// The client sent an error.
    Refused(u16, String),
    /// No answer after all retransmissions.
    TimedOut,
    /// The content could not be read.
    Failed(String),
}

/// Reads content at an offset into the buffer, all of it unless the content ends.
pub type Read<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> Result<usize, String>;

/// A transfer under way.
#[derive(Debug)]
pub struct Session {
    block: usize,
    window: u64,
    wait: Option<Duration>,
    /// `Some` until the client acknowledged the options.
    option_ack: Option<Vec<u8>>,
    /// Last acknowledged block; the first block is 1.
    acked: u64,
    /// Last block sent.
    sent: u64,
    /// The block that is shorter than the others, once it was read.
    last: Option<u64>,
    /// Bytes of the last block.
    last_len: usize,
    /// From this block on every block was sent once. What a client repeats or acknowledges within a window before it may come
    /// from a copy and tells of no gap.
    settled: u64,
    tries: usize,
    retries: u32,
}

impl Session {
    /// Answers a read request: acknowledges options, or sends the first block. `size` is that of the content, if known.
    pub fn start(request: &Request, size: Option<u64>, limits: Limits, read: Read<'_>) -> (Self, Step) {
        let mut session = Self {
            block: DEFAULT_BLOCK,
            window: 1,
            wait: None,
            option_ack: None,
            acked: 0,
            sent: 0,
            last: None,
            last_len: 0,
            settled: 0,
            tries: 0,
            retries: 0,
        };
        let granted: Vec<_> = request
            .options
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), session.grant(name, value, size, limits)?)))
            .collect();
        if granted.is_empty() {
            let step = session.send_window(read);
            return (session, step);
        }
        let bytes = packet::option_ack(&granted);
        session.option_ack = Some(bytes.clone());
        let step = session.step(vec![bytes]);
        (session, step)
    }

    /// The value to acknowledge; `None` leaves the option out, which tells the client that it does not apply.
    fn grant(&mut self, name: &str, value: &str, size: Option<u64>, limits: Limits) -> Option<String> {
        let number: u64 = value.parse().ok()?;
        match name {
            "blksize" if (MIN_BLOCK as u64..=MAX_BLOCK as u64).contains(&number) => {
                self.block = (number as usize).min(limits.block.max(MIN_BLOCK));
                Some(self.block.to_string())
            }
            "tsize" => size.map(|s| s.to_string()),
            "timeout" if (1..=255).contains(&number) => {
                self.wait = Some(Duration::from_secs(number));
                Some(number.to_string())
            }
            "windowsize" if (1..=65535).contains(&number) => {
                self.window = number.min(u64::from(limits.window.max(1)));
                Some(self.window.to_string())
            }
            _ => None,
        }
    }

    /// One packet or timeout.
    pub fn drive(&mut self, input: Input<'_>, read: Read<'_>) -> Step {
        let bytes = match input {
            Input::Timeout => return self.time_out(read),
            Input::Packet(bytes) => bytes,
        };
        match Packet::decode(bytes) {
            Ok(Packet::Ack(number)) => self.acknowledge(number, read),
            Ok(Packet::Error(code, message)) => self.refused(code, message),
            // A repeated request crosses our first answer; anything else is noise.
            _ => self.step(Vec::new()),
        }
    }

    fn refused(&self, code: u16, message: String) -> Step {
        let probed = self.option_ack.is_some() || (code == error::OPTION && self.acked == 0);
        self.end(if probed { Ended::Probed } else { Ended::Refused(code, message) }, Vec::new())
    }

    fn acknowledge(&mut self, number: u16, read: Read<'_>) -> Step {
        if self.option_ack.is_some() {
            if number != 0 {
                return self.step(Vec::new());
            }
            self.option_ack = None;
            self.tries = 0;
            return self.send_window(read);
        }
        // The one block in the window (acked..=sent) whose low 16 bits these are.
        let ahead = u64::from(number.wrapping_sub(self.acked as u16));
        if ahead > self.sent - self.acked {
            return self.step(Vec::new());
        }
        if ahead > 0 {
            self.acked += ahead;
            self.tries = 0;
        }
        if self.last == Some(self.acked) {
            return self.end(Ended::Done, Vec::new());
        }
        let is_gap = self.acked < self.sent && self.acked >= self.settled && self.window > 1;
        if is_gap {
            self.retries += 1;
            self.settled = self.sent + 1;
            return self.send_window(read);
        }
        self.send_more(read)
    }

    fn time_out(&mut self, read: Read<'_>) -> Step {
        self.tries += 1;
        if self.tries >= BACK_OFF.len() {
            return self
                .end(Ended::TimedOut, vec![packet::refusal(error::UNDEFINED, "no answer from the client")]);
        }
        self.retries += 1;
        self.settled = self.sent + 1;
        match self.option_ack.clone() {
            Some(bytes) => self.step(vec![bytes]),
            None => self.send_window(read),
        }
    }

    /// The whole window from the first block that is not acknowledged.
    fn send_window(&mut self, read: Read<'_>) -> Step {
        self.sent = self.acked;
        self.send_more(read)
    }

    /// What the window has room for behind the blocks that were sent.
    fn send_more(&mut self, read: Read<'_>) -> Step {
        let mut send = Vec::new();
        let mut buffer = vec![0; self.block];
        while self.sent < self.acked + self.window && self.last.is_none_or(|last| self.sent < last) {
            let block = self.sent + 1;
            let len = match read((block - 1) * self.block as u64, &mut buffer) {
                Ok(len) => len.min(self.block),
                Err(what) => {
                    send.push(packet::refusal(error::UNDEFINED, "the file cannot be read"));
                    return self.end(Ended::Failed(what), send);
                }
            };
            if len < self.block {
                self.last = Some(block);
                self.last_len = len;
            }
            send.push(packet::data(block as u16, &buffer[..len]));
            self.sent = block;
        }
        self.step(send)
    }

    fn step(&self, send: Vec<Vec<u8>>) -> Step {
        let wait =
            self.wait.unwrap_or_else(|| Duration::from_secs(BACK_OFF[self.tries.min(BACK_OFF.len() - 1)]));
        Step { send, wait, ended: None }
    }

    fn end(&self, ended: Ended, send: Vec<Vec<u8>>) -> Step {
        Step { send, wait: Duration::ZERO, ended: Some(ended) }
    }

    /// The part of the content that the next step may read: a caller with slow content fetches it beforehand.
    pub fn ahead(&self) -> std::ops::Range<u64> {
        let block = self.block as u64;
        self.acked * block..(self.acked + 2 * self.window) * block
    }

    /// Bytes of content that the client has acknowledged.
    pub fn bytes(&self) -> u64 {
        match self.last {
            Some(last) if last == self.acked => (last - 1) * self.block as u64 + self.last_len as u64,
            _ => self.acked * self.block as u64,
        }
    }

    /// How often something was sent again.
    pub fn retries(&self) -> u32 {
        self.retries
    }
}
