//! The options of a packet as they are on the wire: in order, duplicates and pieces kept (RFC 2132, RFC 3396).

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::Error;
use crate::dhcp::option::code;

/// The options of a packet in wire order, duplicates kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    /// The joined value of an option (RFC 3396: all its pieces, in order).
    pub fn get(&self, code: u8) -> Option<Cow<'_, [u8]>> {
        let mut pieces = self.0.iter().filter(|(c, _)| *c == code).map(|(_, v)| v.as_slice());
        let first = pieces.next()?;
        match pieces.next() {
            None => Some(Cow::Borrowed(first)),
            Some(second) => {
                let mut all = [first, second].concat();
                pieces.for_each(|p| all.extend_from_slice(p));
                Some(Cow::Owned(all))
            }
        }
    }

    /// Is the option there at all?
    pub fn has(&self, code: u8) -> bool {
        self.0.iter().any(|(c, _)| *c == code)
    }

    /// One byte, when the option is exactly that.
    pub fn byte(&self, code: u8) -> Option<u8> {
        <[u8; 1]>::try_from(self.get(code)?.as_ref()).ok().map(|[b]| b)
    }

    /// One address, when the option is exactly that.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(self.get(code)?.as_ref()).ok().map(Ipv4Addr::from)
    }

    /// Appends; a value of more than 255 bytes is split when encoded.
    pub fn push(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        self.0.push((code, value.into()));
    }

    /// Raw pieces in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.0.iter().map(|(c, v)| (*c, v.as_slice()))
    }

    /// Each code once, in order of first appearance.
    pub fn codes(&self) -> Vec<u8> {
        let mut seen = [false; 256];
        let fresh = |c: &u8| !std::mem::replace(&mut seen[usize::from(*c)], true);
        self.0.iter().map(|(c, _)| *c).filter(fresh).collect()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads one area of TLVs; `Ok` also without an end mark, which some clients forget.
    pub(super) fn read(&mut self, area: &[u8]) -> Result<(), Error> {
        let mut rest = area;
        while let [code, tail @ ..] = rest {
            match *code {
                code::PAD => rest = tail,
                code::END => return Ok(()),
                code => {
                    let (value, tail) = split_value(code, tail)?;
                    self.0.push((code, value.to_vec()));
                    rest = tail;
                }
            }
        }
        Ok(())
    }
}

fn split_value(code: u8, tail: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let Some((len, body)) = tail.split_first() else {
        return Err(Error::Truncated { code, want: 1, have: 0 });
    };
    let want = usize::from(*len);
    body.split_at_checked(want).ok_or(Error::Truncated { code, want, have: body.len() })
}
