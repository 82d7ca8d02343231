//! Go string and character literals into what they stand for.

use crate::value::Str;

/// `strconv.Unquote` of a double-quoted or raw string literal; `None` for invalid syntax.
pub(crate) fn string(literal: &str) -> Option<Str> {
    if let Some(raw) = literal.strip_prefix('`') {
        return Some(raw.strip_suffix('`')?.replace('\r', "").into());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let unit = unit(rest, '"')?;
        match unit.what {
            What::Byte(byte) => out.push(byte),
            What::Rune(rune) => crate::rune::push(&mut out, rune),
        }
        rest = unit.rest;
    }
    Some(out.into())
}

/// The code of a character literal.
pub(crate) fn character(literal: &str) -> Result<u32, String> {
    let body = literal.strip_prefix('\'').unwrap_or(literal);
    let unit = unit(body, '\'').ok_or("invalid syntax")?;
    if unit.rest != "'" {
        return Err(format!("malformed character constant: {literal}"));
    }
    Ok(match unit.what {
        What::Byte(byte) => byte.into(),
        What::Rune(rune) => rune as u32,
    })
}

struct Unit<'t> {
    what: What,
    rest: &'t str,
}

enum What {
    Byte(u8),
    Rune(char),
}

/// One character or escape; `quote` is the only quote that may be escaped and must not stand alone.
fn unit(text: &str, quote: char) -> Option<Unit<'_>> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some(Unit { what: What::Rune(first), rest: chars.as_str() });
    }
    let what = match chars.next()? {
        'a' => What::Rune('\x07'),
        'b' => What::Rune('\x08'),
        'f' => What::Rune('\x0c'),
        'n' => What::Rune('\n'),
        'r' => What::Rune('\r'),
        't' => What::Rune('\t'),
        'v' => What::Rune('\x0b'),
        '\\' => What::Rune('\\'),
        c if c == quote => What::Rune(c),
        'x' => What::Byte(digits(&mut chars, 2, 16)? as u8),
        'u' => What::Rune(char::from_u32(digits(&mut chars, 4, 16)?)?),
        'U' => What::Rune(char::from_u32(digits(&mut chars, 8, 16)?)?),
        c @ '0'..='7' => {
            let code = (c as u32 - '0' as u32) * 64 + digits(&mut chars, 2, 8)?;
            What::Byte(u8::try_from(code).ok()?)
        }
        _ => return None,
    };
    Some(Unit { what, rest: chars.as_str() })
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut code: u32 = 0;
    for _ in 0..count {
        code = code.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_what_they_mean() {
        let got = string(r#""a\n\x7B\u00e9\101\"""#).unwrap();
        assert_eq!(&*got, "a\n{éA\"".as_bytes());
        assert_eq!(&*string(r#""\xff""#).unwrap(), b"\xff");
        assert_eq!(&*string("`a\\n\r`").unwrap(), b"a\\n");
        assert!(string(r#""\'""#).is_none());
        assert!(string(r#""\400""#).is_none());
        assert!(string(r#""\ud800""#).is_none());
    }

    #[test]
    fn characters_are_numbers() {
        assert_eq!(character("'a'"), Ok(97));
        assert_eq!(character(r"'\''"), Ok(39));
        assert_eq!(character("''"), Err("invalid syntax".to_owned()));
        assert_eq!(character("'ab'"), Err("malformed character constant: 'ab'".to_owned()));
    }
}
