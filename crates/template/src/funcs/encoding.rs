//! Base 64 and base 32. A text that cannot be decoded gives the message of Go's decoder as its
//! result, as Sprig does it, so the message and its position are part of the language.

use super::args::{STR, str};
use super::{Row, row};
use crate::object::Signature;

const ONE: Signature = Signature::exact(&[STR]);
const ALPHABET_64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ALPHABET_32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) static ROWS: &[Row] = &[
    row("b64enc", ONE, |_, a| Ok(base64(str(&a[0])).into()), "b64enc STRING", "In base 64."),
    row(
        "b64dec",
        ONE,
        |_, a| Ok(decode64(str(&a[0])).unwrap_or_else(illegal64).into()),
        "b64dec STRING",
        "From base 64; the message of the error if it is none.",
    ),
    row("b32enc", ONE, |_, a| Ok(encode(str(&a[0]), ALPHABET_32, 5).into()), "b32enc STRING", "In base 32."),
    row(
        "b32dec",
        ONE,
        |_, a| Ok(decode32(str(&a[0])).unwrap_or_else(illegal32).into()),
        "b32dec STRING",
        "From base 32; the message of the error if it is none.",
    ),
];

/// Standard base 64 with padding.
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    encode(bytes, ALPHABET_64, 6)
}

/// Encodes in groups of `bits`, padded to whole quanta.
fn encode(bytes: &[u8], alphabet: &[u8], bits: u32) -> Vec<u8> {
    let (group, quantum) = if bits == 6 { (3, 4) } else { (5, 8) };
    let mut out = Vec::with_capacity(bytes.len().div_ceil(group) * quantum);
    for chunk in bytes.chunks(group) {
        let mut word = chunk.iter().fold(0u64, |word, &b| word << 8 | u64::from(b));
        word <<= 8 * (group - chunk.len()) as u32;
        let used = (chunk.len() as u32 * 8).div_ceil(bits) as usize;
        for i in 0..quantum {
            let shift = bits * (quantum - 1 - i) as u32;
            out.push(if i < used { alphabet[(word >> shift) as usize & ((1 << bits) - 1)] } else { b'=' });
        }
    }
    out
}

fn illegal64(at: usize) -> Vec<u8> {
    format!("illegal base64 data at input byte {at}").into_bytes()
}

fn illegal32(at: usize) -> Vec<u8> {
    format!("illegal base32 data at input byte {at}").into_bytes()
}

fn digit(alphabet: &[u8], byte: u8) -> Option<u64> {
    alphabet.iter().position(|&b| b == byte).map(|at| at as u64)
}

/// Decodes, skipping line breaks; the error is the position that Go names.
pub(super) fn decode64(input: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(input.len() * 3 / 4);
    let mut at = 0;
    let skip = |at: &mut usize| {
        while matches!(input.get(*at), Some(b'\r' | b'\n')) {
            *at += 1;
        }
    };
    loop {
        let mut word = 0;
        let mut count = 0;
        while count < 4 {
            skip(&mut at);
            let Some(&byte) = input.get(at) else {
                return if count == 0 { Ok(out) } else { Err(at - count) };
            };
            at += 1;
            if let Some(value) = digit(ALPHABET_64, byte) {
                word = word << 6 | value;
                count += 1;
                continue;
            }
            if byte != b'=' || count < 2 {
                return Err(at - 1);
            }
            if count == 2 {
                skip(&mut at);
                match input.get(at) {
                    None => return Err(input.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            skip(&mut at);
            if at < input.len() {
                return Err(at);
            }
            word <<= 6 * (4 - count);
            out.extend_from_slice(&(word as u32).to_be_bytes()[1..count]);
            return Ok(out);
        }
        out.extend_from_slice(&(word as u32).to_be_bytes()[1..]);
    }
}

/// Decodes, skipping line breaks; the error is the position that Go names.
fn decode32(input: &[u8]) -> Result<Vec<u8>, usize> {
    let input: Vec<u8> = input.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let total = input.len();
    let mut out = Vec::with_capacity(total * 5 / 8);
    let mut rest = input.as_slice();
    while !rest.is_empty() {
        let mut word = 0;
        let mut count = 0;
        while count < 8 {
            let Some((&byte, tail)) = rest.split_first() else { return Err(total - count) };
            rest = tail;
            if byte == b'=' && count >= 2 && rest.len() < 8 {
                if rest.len() + count < 8 - 1 {
                    return Err(total);
                }
                for (k, &pad) in rest.iter().take(8 - 1 - count).enumerate() {
                    if pad != b'=' {
                        return Err(total - rest.len() + k - 1);
                    }
                }
                if matches!(count, 1 | 3 | 6) {
                    return Err(total - rest.len() - 1);
                }
                return Ok(finish(out, word, count));
            }
            match digit(ALPHABET_32, byte) {
                Some(value) => word = word << 5 | value,
                None => return Err(total - rest.len() - 1),
            }
            count += 1;
        }
        out = finish(out, word, 8);
    }
    Ok(out)
}

fn finish(mut out: Vec<u8>, word: u64, count: usize) -> Vec<u8> {
    let word = word << (5 * (8 - count));
    out.extend_from_slice(&word.to_be_bytes()[3..3 + count * 5 / 8]);
    out
}
