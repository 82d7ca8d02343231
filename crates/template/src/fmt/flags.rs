//! The raw formatter: one basic value under flags, width and precision. The counterpart of the lower
//! half of Go's `fmt`.

use super::{float, quote};
use crate::rune;

/// Flags, width and precision of one verb.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    pub(crate) sharp: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
    /// `%+v`
    pub(crate) plus_v: bool,
    /// `%#v`
    pub(crate) sharp_v: bool,
}

const LOWER: &[u8; 17] = b"0123456789abcdefx";
const UPPER: &[u8; 17] = b"0123456789ABCDEFX";

impl Flags {
    fn padding(&self, out: &mut Vec<u8>, count: usize) {
        let byte = if self.zero && !self.minus { b'0' } else { b' ' };
        out.resize(out.len() + count, byte);
    }

    /// Writes `bytes`, padded to the width.
    pub(crate) fn pad(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        let width = self.width.unwrap_or(0);
        if width == 0 {
            return out.extend_from_slice(bytes);
        }
        let fill = width.saturating_sub(rune::count(bytes));
        if !self.minus {
            self.padding(out, fill);
        }
        out.extend_from_slice(bytes);
        if self.minus {
            self.padding(out, fill);
        }
    }

    fn pad_without_zeros(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        Flags { zero: false, ..*self }.pad(out, bytes);
    }

    fn truncate<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        match self.precision {
            Some(count) => rune::runes(bytes).nth(count).map_or(bytes, |(at, _, _)| &bytes[..at]),
            None => bytes,
        }
    }

    pub(crate) fn string(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        self.pad(out, self.truncate(bytes));
    }

    pub(crate) fn quoted(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        let bytes = self.truncate(bytes);
        if self.sharp && quote::can_backquote(bytes) {
            return self.pad(out, &[b"`", bytes, b"`"].concat());
        }
        let text = if self.plus { quote::ascii(bytes) } else { quote::text(bytes) };
        self.pad(out, text.as_bytes());
    }

    pub(crate) fn hex_string(&self, out: &mut Vec<u8>, bytes: &[u8], upper: bool) {
        let digits = if upper { UPPER } else { LOWER };
        let bytes = &bytes[..self.precision.unwrap_or(bytes.len()).min(bytes.len())];
        let mut text = Vec::with_capacity(bytes.len() * 3);
        for (i, byte) in bytes.iter().enumerate() {
            if self.space && i > 0 {
                text.push(b' ');
            }
            if self.sharp && (self.space || i == 0) {
                text.extend_from_slice(&[b'0', digits[16]]);
            }
            text.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        self.pad(out, &text);
    }

    pub(crate) fn boolean(&self, out: &mut Vec<u8>, b: bool) {
        self.pad(out, if b { b"true" } else { b"false" });
    }

    /// An integer given by its absolute value and sign.
    pub(crate) fn integer(&self, out: &mut Vec<u8>, u: u64, negative: bool, base: u64, verb: char) {
        if self.precision == Some(0) && u == 0 {
            return out.resize(out.len() + self.width.unwrap_or(0), b' ');
        }
        let mut precision = self.precision.unwrap_or(0);
        if self.precision.is_none() && self.zero && !self.minus {
            let sign = usize::from(negative || self.plus || self.space);
            precision = self.width.unwrap_or(0).saturating_sub(sign);
        }
        let digits = if verb == 'X' { UPPER } else { LOWER };
        let mut text = Vec::with_capacity(24.max(precision + 3));
        let mut rest = u;
        loop {
            text.push(digits[(rest % base) as usize]);
            rest /= base;
            if rest == 0 {
                break;
            }
        }
        if text.len() < precision {
            text.resize(precision, b'0');
        }
        if self.sharp {
            match base {
                2 => text.extend_from_slice(b"b0"),
                8 if text.last() != Some(&b'0') => text.push(b'0'),
                16 => text.extend_from_slice(&[digits[16], b'0']),
                _ => {}
            }
        }
        if verb == 'O' {
            text.extend_from_slice(b"o0");
        }
        if negative {
            text.push(b'-');
        } else if self.plus {
            text.push(b'+');
        } else if self.space {
            text.push(b' ');
        }
        text.reverse();
        self.pad_without_zeros(out, &text);
    }

    pub(crate) fn character(&self, out: &mut Vec<u8>, code: u64) {
        let mut text = Vec::new();
        rune::push(&mut text, to_char(code));
        self.pad(out, &text);
    }

    pub(crate) fn quoted_character(&self, out: &mut Vec<u8>, code: u64) {
        self.pad(out, quote::character(to_char(code), self.plus).as_bytes());
    }

    pub(crate) fn unicode(&self, out: &mut Vec<u8>, code: u64) {
        let precision = self.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{code:0>precision$X}").into_bytes();
        if self.sharp
            && let Some(c) = u32::try_from(code).ok().and_then(char::from_u32).filter(|&c| rune::is_print(c))
        {
            text.extend_from_slice(format!(" '{c}'").as_bytes());
        }
        self.pad_without_zeros(out, &text);
    }

    pub(crate) fn float(&self, out: &mut Vec<u8>, x: f64, verb: u8, precision: Option<usize>) {
        let precision = self.precision.or(precision);
        let mut text = Vec::with_capacity(24);
        float::append(&mut text, x, verb, precision);
        if !matches!(text[0], b'-' | b'+') {
            text.insert(0, b'+');
        }
        if self.space && text[0] == b'+' && !self.plus {
            text[0] = b' ';
        }
        if matches!(text[1], b'I' | b'N') {
            // An infinity keeps its sign, NaN only when one was asked for.
            let bare = text[1] == b'N' && !self.space && !self.plus;
            return self.pad_without_zeros(out, &text[usize::from(bare)..]);
        }
        if self.sharp && verb != b'b' {
            keep_point(&mut text, verb, precision);
        }
        if !self.plus && text[0] == b'+' {
            return self.pad(out, &text[1..]);
        }
        match self.width {
            Some(width) if self.zero && !self.minus && width > text.len() => {
                out.push(text[0]);
                self.padding(out, width - text.len());
                out.extend_from_slice(&text[1..]);
            }
            _ => self.pad(out, &text),
        }
    }
}

fn to_char(code: u64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(rune::ERROR)
}

/// The `#` flag: always a decimal point, and trailing zeros for `%g`.
fn keep_point(text: &mut Vec<u8>, verb: u8, precision: Option<usize>) {
    let mut digits = match verb {
        b'v' | b'g' | b'G' | b'x' => precision.map_or(6, |p| p as i64),
        _ => 0,
    };
    let hex = matches!(verb, b'x' | b'X');
    let tail_at = text
        .iter()
        .position(|&b| matches!(b, b'p' | b'P') || !hex && matches!(b, b'e' | b'E'))
        .unwrap_or(text.len());
    let tail = text.split_off(tail_at);
    let mut nonzero = false;
    let mut point = false;
    for &b in &text[1..] {
        if b == b'.' {
            point = true;
            continue;
        }
        nonzero |= b != b'0';
        digits -= i64::from(nonzero);
    }
    if !point {
        if text.len() == 2 && text[1] == b'0' {
            digits -= 1;
        }
        text.push(b'.');
    }
    text.resize(text.len() + digits.max(0) as usize, b'0');
    text.extend_from_slice(&tail);
}
