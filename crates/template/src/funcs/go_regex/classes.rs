//! Characters and classes of Go's regular expressions: escapes, `[[:alpha:]]`, `\pL`.

use super::Fault;
use crate::rune;

const BAD_ESCAPE: &str = "invalid escape sequence";
pub(super) const BAD_RANGE: &str = "invalid character class range";
pub(super) const NO_BRACKET: &str = "missing closing ]";

pub(super) const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

pub(super) fn class_char<'p>(rest: &'p str, class: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    match rest.chars().next() {
        None => Err((NO_BRACKET, class)),
        Some('\\') => parse_escape(rest),
        Some(c) => Ok((c, &rest[c.len_utf8()..])),
    }
}

/// `\pL`, `\p{Greek}`, `\p{^Greek}`, `\P{Greek}`
pub(super) fn unicode_class<'p>(start: &'p str, kind: char) -> Result<(String, &'p str), Fault<'p>> {
    let body = &start[2..];
    let Some(c) = body.chars().next() else { return Err((BAD_RANGE, start)) };
    let (name, after) = if c == '{' {
        let Some(end) = body.find('}') else { return Err((BAD_RANGE, start)) };
        (&body[1..end], &body[end + 1..])
    } else {
        body.split_at(c.len_utf8())
    };
    let shown = &start[..start.len() - after.len()];
    let negative = (kind == 'P') != name.starts_with('^');
    let class = table(name.strip_prefix('^').unwrap_or(name), negative).ok_or((BAD_RANGE, shown))?;
    Ok((class, after))
}

/// Scripts of four letters; others of that length are codes (`Grek`), which Go does not know.
const SHORT_SCRIPTS: [&str; 9] = ["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

/// The class of the crate for the table of characters that Go finds under a name: a category or a script. The crate takes many
/// more names. Neither minds upper and lower case, spaces, hyphens and underscores.
fn table(name: &str, negative: bool) -> Option<String> {
    let name: String = name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect();
    let name = name.to_ascii_lowercase();
    if !name.bytes().all(|b| b.is_ascii_alphabetic()) || name.starts_with("is") {
        return None;
    }
    if matches!(name.as_str(), "cs" | "surrogate") {
        // There are none in text.
        return Some(if negative { r"\x{0}-\x{10ffff}" } else { r"[^\x{0}-\x{10ffff}]" }.to_owned());
    }
    let script = name.len() != 4 || SHORT_SCRIPTS.contains(&name.as_str());
    let letter = if negative { 'P' } else { 'p' };
    ["gc", "sc"]
        .into_iter()
        .filter(|&kind| kind == "gc" || script)
        .map(|kind| format!(r"\{letter}{{{kind}={name}}}"))
        .find(|class| regex::Regex::new(class).is_ok())
}

/// An escape that stands for one character.
pub(super) fn parse_escape(start: &str) -> Result<(char, &str), Fault<'_>> {
    let mut chars = start[1..].chars();
    let Some(c) = chars.next() else { return Err(("trailing backslash at end of expression", "")) };
    let after = chars.as_str();
    let bad = |after: &str| Err((BAD_ESCAPE, &start[..start.len() - after.len()]));
    let simple = match c {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' => {
            if c != '0' && !after.starts_with(|c| ('0'..='7').contains(&c)) {
                return bad(after);
            }
            let more = after.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let code = u32::from_str_radix(&start[1..2 + more], 8).unwrap_or(0);
            return Ok((char::from_u32(code).unwrap_or(rune::ERROR), &after[more..]));
        }
        'x' => return hex_escape(start, after),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return bad(after),
    };
    Ok((simple, after))
}

/// The rest of `\x{…}`. A fault is shown up to the character that it is found at.
fn braced_hex<'p>(start: &'p str, body: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    let mut code = 0;
    for (at, c) in body.char_indices() {
        let after = &body[at + c.len_utf8()..];
        match c.to_digit(16) {
            None if c == '}' && at > 0 => return Ok((char::from_u32(code).unwrap_or(rune::ERROR), after)),
            Some(digit) if code * 16 + digit <= char::MAX as u32 => code = code * 16 + digit,
            _ => return Err((BAD_ESCAPE, &start[..start.len() - after.len()])),
        }
    }
    Err((BAD_ESCAPE, start))
}

fn hex_escape<'p>(start: &'p str, after: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    let bad = |after: &str| Err((BAD_ESCAPE, &start[..start.len() - after.len()]));
    let Some(c) = after.chars().next() else { return bad(after) };
    if c == '{' {
        return braced_hex(start, &after[1..]);
    }
    let mut rest = &after[c.len_utf8()..];
    let Some(second) = rest.chars().next() else { return bad(rest) };
    rest = &rest[second.len_utf8()..];
    match (c.to_digit(16), second.to_digit(16)) {
        (Some(high), Some(low)) => Ok((char::from(high as u8 * 16 + low as u8), rest)),
        _ => bad(rest),
    }
}
