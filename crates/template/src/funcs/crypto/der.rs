//! Just enough DER and PEM to write a certificate and to find the subject of one.

use super::super::encoding::{base64, decode64};

pub(super) const SEQUENCE: u8 = 0x30;

/// A value with its tag and length.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = content.len();
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let bytes = len.to_be_bytes();
        let skip = bytes.iter().take_while(|&&b| b == 0).count();
        out.push(0x80 | (bytes.len() - skip) as u8);
        out.extend_from_slice(&bytes[skip..]);
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

/// A non-negative integer from its big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let skip = bytes.iter().take_while(|&&b| b == 0).count().min(bytes.len().saturating_sub(1));
    let mut content = bytes[skip..].to_vec();
    if content.first().is_none_or(|&b| b & 0x80 != 0) {
        content.insert(0, 0);
    }
    tagged(0x02, &content)
}

pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

pub(super) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    tagged(0x04, bytes)
}

/// An object identifier, given in its encoded form.
pub(super) fn oid(encoded: &[u8]) -> Vec<u8> {
    tagged(0x06, encoded)
}

/// One value: its tag, its content, its whole encoding, and what follows.
pub(super) struct Item<'d> {
    pub(super) tag: u8,
    pub(super) content: &'d [u8],
    pub(super) whole: &'d [u8],
    pub(super) rest: &'d [u8],
}

/// Reads one value.
pub(super) fn read(data: &[u8]) -> Option<Item<'_>> {
    let (&tag, after) = data.split_first()?;
    let (&first, after) = after.split_first()?;
    let (len, after) = if first < 0x80 {
        (usize::from(first), after)
    } else {
        let (digits, after) = after.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |len, &b| len << 8 | usize::from(b)), after)
    };
    let (content, rest) = after.split_at_checked(len)?;
    Some(Item { tag, content, whole: &data[..data.len() - rest.len()], rest })
}

/// A PEM block.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in base64(der).chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The content of the first PEM block in a text.
pub(super) fn unpem(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (label, body) = after.split_once("-----")?;
    let (body, _) = body.split_once(&format!("-----END {label}-----"))?;
    let body: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    decode64(&body).ok()
}
