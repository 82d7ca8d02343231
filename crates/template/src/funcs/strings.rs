//! Strings: trimming, case, searching, cutting.

use super::args::{ANY, INT, STR, int, str, text};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::fmt;
use crate::object::Signature;
use crate::rune;
use crate::value::{Str, Value};

const ONE: Signature = Signature::exact(&[STR]);
const TWO: Signature = Signature::exact(&[STR, STR]);

pub(super) static ROWS: &[Row] = &[
    row("hello", Signature::exact(&[]), |_, _| Ok("Hello!".into()), "hello", "The text Hello!"),
    row("trim", ONE, trim, "trim STRING", "Removes white space on both sides."),
    row(
        "upper",
        ONE,
        |_, a| Ok(rune::map(str(&a[0]), rune::to_upper).into()),
        "upper STRING",
        "In capital letters.",
    ),
    row(
        "lower",
        ONE,
        |_, a| Ok(rune::map(str(&a[0]), rune::to_lower).into()),
        "lower STRING",
        "In small letters.",
    ),
    row("title", ONE, title, "title STRING", "Every word with a capital first letter."),
    row("untitle", ONE, untitle, "untitle STRING", "Every word with a small first letter."),
    row(
        "substr",
        Signature::exact(&[INT, INT, STR]),
        substr,
        "substr FROM TO STRING",
        "The bytes from FROM to before TO; a negative FROM means the start, a negative TO the end.",
    ),
    row("repeat", Signature::exact(&[INT, STR]), repeat, "repeat COUNT STRING", "The string COUNT times."),
    row("trimall", TWO, trim_all, "trimall CHARACTERS STRING", "Old name of trimAll."),
    row("trimAll", TWO, trim_all, "trimAll CHARACTERS STRING", "Removes the given characters on both sides."),
    row("trimSuffix", TWO, trim_suffix, "trimSuffix SUFFIX STRING", "Removes the suffix once."),
    row("trimPrefix", TWO, trim_prefix, "trimPrefix PREFIX STRING", "Removes the prefix once."),
    row("contains", TWO, contains, "contains PART STRING", "Whether the part is in the string."),
    row(
        "hasPrefix",
        TWO,
        |_, a| Ok(str(&a[1]).starts_with(str(&a[0])).into()),
        "hasPrefix PREFIX STRING",
        "Whether the string starts so.",
    ),
    row(
        "hasSuffix",
        TWO,
        |_, a| Ok(str(&a[1]).ends_with(str(&a[0])).into()),
        "hasSuffix SUFFIX STRING",
        "Whether the string ends so.",
    ),
    row(
        "quote",
        Signature::variadic(&[ANY]),
        quote,
        "quote VALUE...",
        "Each value that is not nil in double quotes, with Go's escapes.",
    ),
    row(
        "squote",
        Signature::variadic(&[ANY]),
        squote,
        "squote VALUE...",
        "Each value that is not nil in single quotes, without escapes.",
    ),
    row(
        "cat",
        Signature::variadic(&[ANY]),
        cat,
        "cat VALUE...",
        "The values that are not nil, with spaces between.",
    ),
    row("indent", Signature::exact(&[INT, STR]), indent, "indent SPACES STRING", "Every line indented."),
    row(
        "nindent",
        Signature::exact(&[INT, STR]),
        nindent,
        "nindent SPACES STRING",
        "A line feed, then every line indented.",
    ),
    row(
        "replace",
        Signature::exact(&[STR, STR, STR]),
        replace,
        "replace OLD NEW STRING",
        "Every OLD replaced by NEW.",
    ),
    row(
        "plural",
        Signature::exact(&[STR, STR, INT]),
        plural,
        "plural ONE MANY COUNT",
        "ONE if COUNT is 1, else MANY.",
    ),
    row(
        "abbrev",
        Signature::exact(&[INT, STR]),
        abbrev,
        "abbrev WIDTH STRING",
        "Cut to WIDTH bytes, ending in three dots.",
    ),
    row(
        "abbrevboth",
        Signature::exact(&[INT, INT, STR]),
        abbrev_both,
        "abbrevboth OFFSET WIDTH STRING",
        "Cut to WIDTH bytes on both sides.",
    ),
    row(
        "trunc",
        Signature::exact(&[INT, STR]),
        trunc,
        "trunc COUNT STRING",
        "The first COUNT bytes, or the last ones of a negative COUNT.",
    ),
    row(
        "toString",
        Signature::exact(&[ANY]),
        |s, a| Ok(text(s, &a[0])?.into()),
        "toString VALUE",
        "The value as text.",
    ),
];

fn trim(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let s = str(&args[0]);
    let trimmed = rune::trim_matches(s, rune::is_space);
    Ok(if trimmed.len() == s.len() { args[0].clone() } else { trimmed.to_vec().into() })
}

/// Go's `strings.Title`.
fn title(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut previous = ' ';
    Ok(rune::map(str(&args[0]), |c| {
        let mapped = if is_separator(previous) { rune::to_title(c) } else { c };
        previous = c;
        mapped
    })
    .into())
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !rune::is_letter(c) && !rune::is_digit(c) && rune::is_space(c)
}

fn untitle(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut start = true;
    Ok(rune::map(str(&args[0]), |c| {
        if rune::is_space(c) {
            start = true;
            return c;
        }
        if std::mem::take(&mut start) { rune::to_lower(c) } else { c }
    })
    .into())
}

fn substr(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let (start, end, s) = (int(&args[0]), int(&args[1]), str(&args[2]));
    let len = s.len() as i64;
    let out = |what: String| Fail::text(format!("runtime error: slice bounds out of range {what}"));
    let (from, to) = if start < 0 {
        if end < 0 {
            return Err(out(format!("[:{end}]")));
        }
        if end > len {
            return Err(out(format!("[:{end}] with length {len}")));
        }
        (0, end)
    } else if end < 0 || end > len {
        (start, len)
    } else {
        (start, end)
    };
    if from > to {
        return Err(out(format!("[{from}:{to}]")));
    }
    Ok(s[from as usize..to as usize].to_vec().into())
}

/// Go's `strings.Repeat` within the limits of the render.
pub(super) fn repeated(scope: &mut Scope<'_>, s: &[u8], count: i64) -> std::result::Result<Vec<u8>, Fail> {
    let count = usize::try_from(count).map_err(|_| Fail::text("strings: negative Repeat count"))?;
    let Some(len) = s.len().checked_mul(count).filter(|&len| len <= isize::MAX as usize) else {
        return Err(Fail::text("strings: Repeat output length overflow"));
    };
    scope.reserve(len)?;
    Ok(s.repeat(count))
}

fn repeat(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(repeated(scope, str(&args[1]), int(&args[0]))?.into())
}

fn trim_all(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let cut = rune::to_vec(str(&args[0]));
    Ok(rune::trim_matches(str(&args[1]), |c| cut.contains(&c)).to_vec().into())
}

fn trim_suffix(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(str(&args[1]).strip_suffix(str(&args[0])).map_or_else(|| args[1].clone(), |s| s.to_vec().into()))
}

fn trim_prefix(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(str(&args[1]).strip_prefix(str(&args[0])).map_or_else(|| args[1].clone(), |s| s.to_vec().into()))
}

/// Where `needle` begins in `haystack`.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let Some((&first, rest)) = needle.split_first() else { return Some(0) };
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|&b| b == first) {
        let at = from + at;
        if haystack[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn contains(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(find(str(&args[1]), str(&args[0])).is_some()))
}

fn joined(parts: impl Iterator<Item = std::result::Result<Vec<u8>, Fail>>) -> Result {
    let parts: Vec<Vec<u8>> = parts.collect::<std::result::Result<_, _>>()?;
    Ok(parts.join(&b' ').into())
}

fn quote(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let scope = &*scope;
    joined(args.iter().filter(|v| !v.is_nil()).map(|v| Ok(fmt::quote::text(&text(scope, v)?).into_bytes())))
}

fn squote(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let bounds = scope.bounds();
    joined(args.iter().filter(|v| !v.is_nil()).map(|v| Ok([b"'", &*fmt::value(v, bounds)?, b"'"].concat())))
}

fn cat(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let bounds = scope.bounds();
    joined(args.iter().filter(|v| !v.is_nil()).map(|v| fmt::value(v, bounds)))
}

fn indented(scope: &mut Scope<'_>, spaces: i64, s: &[u8]) -> std::result::Result<Vec<u8>, Fail> {
    let pad = repeated(scope, b" ", spaces)?;
    let lines = 1 + s.iter().filter(|&&b| b == b'\n').count();
    scope.reserve(pad.len().saturating_mul(lines).saturating_add(s.len()))?;
    let mut out = Vec::with_capacity(s.len() + pad.len() * lines);
    for (i, line) in s.split(|&b| b == b'\n').enumerate() {
        if i > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(&pad);
        out.extend_from_slice(line);
    }
    Ok(out)
}

fn indent(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(indented(scope, int(&args[0]), str(&args[1]))?.into())
}

fn nindent(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut out = indented(scope, int(&args[0]), str(&args[1]))?;
    out.insert(0, b'\n');
    Ok(out.into())
}

/// Go's `strings.ReplaceAll` within the limits of the render.
pub(super) fn replaced(
    scope: &mut Scope<'_>,
    s: &[u8],
    old: &[u8],
    new: &[u8],
) -> std::result::Result<Vec<u8>, Fail> {
    let mut out = Vec::with_capacity(s.len());
    if old.is_empty() {
        scope.reserve(new.len().saturating_mul(s.len() + 1))?;
        for (at, _, width) in rune::runes(s) {
            out.extend_from_slice(new);
            out.extend_from_slice(&s[at..at + width]);
        }
        out.extend_from_slice(new);
        return Ok(out);
    }
    let mut rest = s;
    let mut matches = 0;
    while let Some(at) = find(rest, old) {
        matches += 1;
        rest = &rest[at + old.len()..];
    }
    scope.reserve(s.len().saturating_add(new.len().saturating_mul(matches)))?;
    rest = s;
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn replace(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(replaced(scope, str(&args[2]), str(&args[0]), str(&args[1]))?.into())
}

fn plural(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(args[usize::from(int(&args[2]) != 1)].clone())
}

/// Cuts `s` to `width` bytes, beginning near `offset`.
fn abbreviate(s: &[u8], offset: i64, width: i64) -> Vec<u8> {
    const DOTS: &[u8] = b"...";
    let len = s.len() as i64;
    if s.is_empty() || width < 4 {
        return Vec::new();
    }
    if len <= width {
        return s.to_vec();
    }
    let keep = width - 3;
    let mut offset = offset.min(len);
    if len - offset < keep {
        offset = len - keep;
    }
    if offset <= 4 {
        return [&s[..keep as usize], DOTS].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + keep < len {
        return [DOTS, &abbreviate(&s[offset as usize..], 0, keep)].concat();
    }
    [DOTS, &s[(len - keep) as usize..]].concat()
}

fn abbrev(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let width = int(&args[0]);
    if width < 4 {
        return Ok(args[1].clone());
    }
    Ok(abbreviate(str(&args[1]), 0, width).into())
}

fn abbrev_both(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let (left, right) = (int(&args[0]), int(&args[1]));
    if right < 4 || left > 0 && right < 7 {
        return Ok(args[2].clone());
    }
    Ok(abbreviate(str(&args[2]), left, right).into())
}

fn trunc(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let (count, s) = (int(&args[0]), str(&args[1]));
    let len = s.len() as i64;
    if count < 0 && len.saturating_add(count) > 0 {
        return Ok(s[(len + count) as usize..].to_vec().into());
    }
    if (0..len).contains(&count) {
        return Ok(Str::from(&s[..count as usize]).into());
    }
    Ok(args[1].clone())
}
