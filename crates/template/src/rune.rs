//! Go's view of text: a string is bytes, a rune is decoded from them, and a byte that is no valid
//! UTF-8 counts as one U+FFFD. Categories follow Go's `unicode` package (general categories), not
//! Rust's derived properties; case mapping is the simple, one-to-one mapping.

use std::borrow::Cow;
use unicode_properties::{GeneralCategory as Cat, GeneralCategoryGroup as Group, UnicodeGeneralCategory};

/// What an undecodable byte becomes.
pub(crate) const ERROR: char = char::REPLACEMENT_CHARACTER;

/// Decodes the first rune of `bytes`: the rune and its width in bytes, `(U+FFFD, 1)` for an invalid
/// byte, `(U+FFFD, 0)` for an empty slice.
pub(crate) fn decode(bytes: &[u8]) -> (char, usize) {
    let Some(&first) = bytes.first() else { return (ERROR, 0) };
    if first < 0x80 {
        return (first as char, 1);
    }
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (ERROR, 1),
    };
    let Some(head) = bytes.get(..width) else { return (ERROR, 1) };
    match std::str::from_utf8(head) {
        Ok(text) => (text.chars().next().unwrap_or(ERROR), width),
        Err(_) => (ERROR, 1),
    }
}

/// The runes of `bytes` with their byte offset and width.
pub(crate) fn runes(bytes: &[u8]) -> impl Iterator<Item = (usize, char, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let (rune, width) = decode(&bytes[at..]);
        let item = (at, rune, width);
        at += width;
        Some(item)
    })
}

/// Number of runes.
pub(crate) fn count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() { bytes.len() } else { runes(bytes).count() }
}

/// Appends the UTF-8 form of `rune`.
pub(crate) fn push(out: &mut Vec<u8>, rune: char) {
    out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The bytes as text: each byte that is no UTF-8 becomes one U+FFFD, as in Go's JSON.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(runes(bytes).map(|(_, rune, _)| rune).collect()),
    }
}

/// The first character of the private range that stands for bytes in [`marked`].
const MARK: u32 = 0x10_FF00;

/// The bytes as text in which each byte that is no UTF-8 is a private character of its own, to be found again by [`unmarked`].
pub(crate) fn marked(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let marks = runes(bytes).map(|(at, rune, width)| match (rune, width) {
                (ERROR, 1) => char::from_u32(MARK + u32::from(bytes[at])).unwrap_or(ERROR),
                _ => rune,
            });
            Cow::Owned(marks.collect())
        }
    }
}

/// The byte that a character of [`marked`] stands for.
pub(crate) fn unmarked(rune: char) -> Option<u8> {
    (rune as u32).checked_sub(MARK).and_then(|byte| u8::try_from(byte).ok())
}

/// The bytes of a text made of [`marked`] ones.
pub(crate) fn unmarked_text(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for rune in text.chars() {
        match unmarked(rune) {
            Some(byte) => out.push(byte),
            None => push(&mut out, rune),
        }
    }
    out
}

/// Go's `[]rune(s)`.
pub(crate) fn to_vec(bytes: &[u8]) -> Vec<char> {
    runes(bytes).map(|(_, rune, _)| rune).collect()
}

/// Go's `string([]rune)`.
pub(crate) fn from_slice(runes: &[char]) -> Vec<u8> {
    let mut out = Vec::with_capacity(runes.len());
    runes.iter().for_each(|&rune| push(&mut out, rune));
    out
}

pub(crate) fn is_letter(r: char) -> bool {
    if r.is_ascii() {
        return r.is_ascii_alphabetic();
    }
    r.general_category_group() == Group::Letter
}

pub(crate) fn is_digit(r: char) -> bool {
    if r.is_ascii() {
        return r.is_ascii_digit();
    }
    r.general_category() == Cat::DecimalNumber
}

pub(crate) fn is_number(r: char) -> bool {
    r.general_category_group() == Group::Number
}

pub(crate) fn is_punct(r: char) -> bool {
    r.general_category_group() == Group::Punctuation
}

pub(crate) fn is_upper(r: char) -> bool {
    r.general_category() == Cat::UppercaseLetter
}

pub(crate) fn is_lower(r: char) -> bool {
    r.general_category() == Cat::LowercaseLetter
}

pub(crate) fn is_title(r: char) -> bool {
    r.general_category() == Cat::TitlecaseLetter
}

/// Go's `unicode.IsSpace`, which is the White_Space property.
pub(crate) fn is_space(r: char) -> bool {
    r.is_whitespace()
}

/// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_print(r: char) -> bool {
    if r.is_ascii() {
        return (' '..='~').contains(&r);
    }
    matches!(
        r.general_category_group(),
        Group::Letter | Group::Mark | Group::Number | Group::Punctuation | Group::Symbol
    )
}

/// Simple upper-case mapping.
pub(crate) fn to_upper(r: char) -> char {
    if r.is_ascii() {
        return r.to_ascii_uppercase();
    }
    match r as u32 {
        // Greek with iota subscript: the simple mapping is the title-case letter.
        0x1F80..=0x1F87 | 0x1F90..=0x1F97 | 0x1FA0..=0x1FA7 => shift(r, 8),
        0x1FB3 | 0x1FC3 | 0x1FF3 => shift(r, 9),
        _ => single(r, r.to_uppercase()),
    }
}

/// Simple lower-case mapping.
pub(crate) fn to_lower(r: char) -> char {
    if r.is_ascii() {
        return r.to_ascii_lowercase();
    }
    if r == '\u{130}' { 'i' } else { single(r, r.to_lowercase()) }
}

/// Simple title-case mapping, which differs from upper case for the digraphs and Georgian.
pub(crate) fn to_title(r: char) -> char {
    match r as u32 {
        0x1C4..=0x1C6 => '\u{1C5}',
        0x1C7..=0x1C9 => '\u{1C8}',
        0x1CA..=0x1CC => '\u{1CB}',
        0x1F1..=0x1F3 => '\u{1F2}',
        0x10D0..=0x10FA | 0x10FD..=0x10FF => r,
        _ => to_upper(r),
    }
}

fn shift(r: char, by: u32) -> char {
    char::from_u32(r as u32 + by).unwrap_or(r)
}

fn single(r: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => r,
    }
}

/// Maps every rune; an invalid byte becomes U+FFFD, as in Go's `strings.Map`.
pub(crate) fn map(bytes: &[u8], mut f: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (_, rune, _) in runes(bytes) {
        push(&mut out, f(rune));
    }
    out
}

/// Go's `strings.TrimFunc`.
pub(crate) fn trim_matches(bytes: &[u8], mut f: impl FnMut(char) -> bool) -> &[u8] {
    let mut start = bytes.len();
    let mut end = bytes.len();
    for (at, rune, _) in runes(bytes) {
        if !f(rune) {
            start = at;
            break;
        }
    }
    while end > start {
        let (rune, width) = decode_last(&bytes[start..end]);
        if !f(rune) {
            break;
        }
        end -= width;
    }
    &bytes[start..end]
}

/// Decodes the last rune of `bytes`.
pub(crate) fn decode_last(bytes: &[u8]) -> (char, usize) {
    let len = bytes.len();
    for width in 1..=len.min(4) {
        let tail = &bytes[len - width..];
        if width > 1 || tail[0] < 0x80 {
            let (rune, got) = decode(tail);
            if got == width && (rune != ERROR || width == 3) {
                return (rune, width);
            }
        }
    }
    (ERROR, usize::from(len > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_byte_is_one_rune() {
        let got: Vec<_> = runes(b"a\xff\xe4\xb8z").collect();
        assert_eq!(got, [(0, 'a', 1), (1, ERROR, 1), (2, ERROR, 1), (3, ERROR, 1), (4, 'z', 1)]);
    }

    #[test]
    fn last_rune_matches_first_rune() {
        assert_eq!(decode_last("xé".as_bytes()), ('é', 2));
        assert_eq!(decode_last("\u{FFFD}".as_bytes()), (ERROR, 3));
        assert_eq!(decode_last(b"\xb8\xb8"), (ERROR, 1));
        assert_eq!(decode_last(b""), (ERROR, 0));
    }

    #[test]
    fn case_mapping_is_one_to_one() {
        assert_eq!(to_upper('ß'), 'ß');
        assert_eq!(to_upper('ᾳ'), 'ᾼ');
        assert_eq!(to_lower('İ'), 'i');
        assert_eq!(to_title('ǆ'), 'ǅ');
    }
}
