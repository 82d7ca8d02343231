//! Words: cases of identifiers, wrapping, initials. Sprig borrows these from libraries that look at
//! bytes in some places and at runes in others; so do we.

use super::args::{INT, STR, int, str};
use super::strings::find;
use super::{Result, Row, row};
use crate::exec::Scope;
use crate::object::Signature;
use crate::rune;
use crate::value::Value;

const ONE: Signature = Signature::exact(&[STR]);

pub(super) static ROWS: &[Row] = &[
    row("nospace", ONE, no_space, "nospace STRING", "Without any white space."),
    row("initials", ONE, initials, "initials STRING", "The first letter of every word."),
    row("swapcase", ONE, swap_case, "swapcase STRING", "Capital letters small and small ones capital."),
    row(
        "snakecase",
        ONE,
        |_, a| Ok(lower_case(str(&a[0]), '_').into()),
        "snakecase STRING",
        "FirstName as first_name.",
    ),
    row(
        "kebabcase",
        ONE,
        |_, a| Ok(lower_case(str(&a[0]), '-').into()),
        "kebabcase STRING",
        "FirstName as first-name.",
    ),
    row("camelcase", ONE, camel_case, "camelcase STRING", "http_server as HttpServer."),
    row(
        "wrap",
        Signature::exact(&[INT, STR]),
        wrap,
        "wrap WIDTH STRING",
        "Broken into lines of at most WIDTH bytes; long words stay.",
    ),
    row(
        "wrapWith",
        Signature::exact(&[INT, STR, STR]),
        wrap_with,
        "wrapWith WIDTH SEPARATOR STRING",
        "Broken into pieces of at most WIDTH bytes, long words too.",
    ),
];

/// The bytes as runes of their own, which is how goutils reads strings here.
fn latin1(s: &[u8]) -> impl Iterator<Item = char> + '_ {
    s.iter().map(|&byte| byte as char)
}

fn no_space(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let s = str(&args[0]);
    if !latin1(s).any(rune::is_space) {
        return Ok(args[0].clone());
    }
    Ok(latin1(s).filter(|&c| !rune::is_space(c)).collect::<String>().into())
}

fn initials(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut gap = true;
    let picked = latin1(str(&args[0])).filter(|&c| {
        let space = rune::is_space(c);
        let first = gap && !space;
        gap = space;
        first
    });
    Ok(picked.collect::<String>().into())
}

fn swap_case(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut gap = true;
    Ok(rune::map(str(&args[0]), |c| {
        if rune::is_upper(c) || rune::is_title(c) {
            gap = false;
            rune::to_lower(c)
        } else if rune::is_lower(c) {
            if std::mem::take(&mut gap) { rune::to_title(c) } else { rune::to_upper(c) }
        } else {
            gap = rune::is_space(c);
            c
        }
    })
    .into())
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || rune::is_space(c)
}

fn camel_case(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let runes = rune::to_vec(str(&args[0]));
    let mut out = Vec::new();
    let mut at = 0;
    let mut current = None;
    while at < runes.len() {
        let c = runes[at];
        at += 1;
        if !is_connector(c) {
            current = Some(rune::to_upper(c));
            break;
        }
        out.push(c);
        current = Some(c);
    }
    if at >= runes.len() {
        // All connectors: the last one appears twice, as in the original.
        out.extend(current);
        return Ok(rune::from_slice(&out).into());
    }
    let mut current = current.unwrap_or_default();
    for &c in &runes[at..] {
        let previous = std::mem::replace(&mut current, c);
        match (is_connector(previous), is_connector(c)) {
            (true, true) => out.push(previous),
            (true, false) => current = rune::to_upper(c),
            (false, _) => {
                current = rune::to_lower(c);
                out.push(previous);
            }
        }
    }
    out.push(current);
    Ok(rune::from_slice(&out).into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

fn is_alphabet(c: char) -> bool {
    // Chinese characters are words of their own and count as "other".
    rune::is_letter(c) && !matches!(c as u32, 0x3400..=0x4D85 | 0x4E00..=0x9FCC | 0x20000..=0x2B81D)
}

/// Splits the next word off: its kind, its text, and the rest.
fn next_word(s: &[u8]) -> (Word, &[u8], &[u8]) {
    if s.is_empty() {
        return (Word::Invalid, s, s);
    }
    // As in the library: a U+FFFD that was written as such is passed over like a byte that is no text.
    let valid = |&(_, c, _): &(usize, char, usize)| c != rune::ERROR;
    let mut runes = rune::runes(s).filter(valid).peekable();
    let Some((start, first, width)) = runes.next() else {
        return (Word::Invalid, s, &[]);
    };
    let mut end = start + width;
    let mut take = |accept: &dyn Fn(char) -> bool| {
        while let Some(&(at, c, width)) = runes.peek() {
            if !accept(c) {
                return Some((at, c));
            }
            end = at + width;
            runes.next();
        }
        // What cannot be decoded at the end belongs to the last word.
        end = s.len();
        None
    };
    let lower = |c: char| is_alphabet(c) && !rune::is_upper(c);
    let word = if is_connector(first) {
        take(&is_connector);
        Word::Connector
    } else if rune::is_punct(first) {
        take(&rune::is_punct);
        Word::Punct
    } else if rune::is_upper(first) {
        let stopped = take(&rune::is_upper);
        let caps_end = end;
        if stopped.is_some_and(|(_, c)| is_alphabet(c)) {
            let caps = rune::count(&s[start..caps_end]);
            if caps > 1 {
                // The last capital of HTTPServer begins the next word.
                end = caps_end - rune::decode_last(&s[..caps_end]).1;
            } else {
                let mut tail = rune::runes(&s[caps_end..]).filter(valid);
                end =
                    caps_end + tail.find(|&(_, c, _)| !lower(c)).map_or(s.len() - caps_end, |(at, _, _)| at);
            }
        }
        Word::Upper
    } else if is_alphabet(first) {
        take(&lower);
        Word::Alphabet
    } else if rune::is_number(first) {
        take(&rune::is_number);
        Word::Number
    } else {
        take(&|c| {
            !(is_connector(c)
                || is_alphabet(c)
                || rune::is_number(c)
                || rune::is_punct(c)
                || rune::is_upper(c))
        });
        Word::Other
    };
    (word, &s[..end], &s[end..])
}

fn push_lower(out: &mut Vec<u8>, word: Word, text: &[u8], connector: char) {
    if word == Word::Upper || word == Word::Connector {
        for (_, c, _) in rune::runes(text) {
            let lowered = if rune::is_upper(c) { rune::to_lower(c) } else { c };
            rune::push(out, if is_connector(c) { connector } else { lowered });
        }
    } else {
        out.extend_from_slice(text);
    }
}

/// `snakecase` and `kebabcase`.
fn lower_case(s: &[u8], connector: char) -> Vec<u8> {
    let mut out = Vec::with_capacity(s.len() + 8);
    if s.is_empty() {
        return out;
    }
    let (mut word, mut text, mut rest) = next_word(s);
    macro_rules! advance {
        () => {
            (word, text, rest) = next_word(rest)
        };
    }
    while !rest.is_empty() {
        if word != Word::Connector {
            push_lower(&mut out, word, text, connector);
        }
        let (previous, last) = (word, text);
        advance!();
        match previous {
            Word::Number => {
                while matches!(word, Word::Alphabet | Word::Number) {
                    push_lower(&mut out, word, text, connector);
                    advance!();
                }
                if word != Word::Invalid && word != Word::Punct {
                    rune::push(&mut out, connector);
                }
            }
            Word::Connector => push_lower(&mut out, previous, last, connector),
            Word::Punct => {}
            _ if word != Word::Number => {
                if word != Word::Connector && word != Word::Punct {
                    rune::push(&mut out, connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = text;
                advance!();
                if word != Word::Alphabet {
                    // "Bld4Floor": the number belongs to the word before it.
                    push_lower(&mut out, Word::Number, number, connector);
                    if word != Word::Connector && word != Word::Punct {
                        rune::push(&mut out, connector);
                    }
                    continue;
                }
                // "HTTP2xx": the number begins a word.
                rune::push(&mut out, connector);
                push_lower(&mut out, Word::Number, number, connector);
                while matches!(word, Word::Alphabet | Word::Number) {
                    push_lower(&mut out, word, text, connector);
                    advance!();
                }
                if !matches!(word, Word::Invalid | Word::Connector | Word::Punct) {
                    rune::push(&mut out, connector);
                }
            }
        }
    }
    push_lower(&mut out, word, text, connector);
    out
}

fn wrap(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    wrapped(scope, str(&args[1]), int(&args[0]), b"\n", false)
}

fn wrap_with(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let separator = if str(&args[1]).is_empty() { b"\n" } else { str(&args[1]) };
    wrapped(scope, str(&args[2]), int(&args[0]), separator, true)
}

fn wrapped(scope: &mut Scope<'_>, s: &[u8], width: i64, separator: &[u8], long: bool) -> Result {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s;
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        let (line, skip) = match rest[..=width].iter().rposition(|&b| b == b' ') {
            Some(space) => (space, 1),
            None if long => (width, 0),
            None => match find(&rest[width..], b" ") {
                Some(space) => (width + space, 1),
                None => (rest.len(), 0),
            },
        };
        out.extend_from_slice(&rest[..line]);
        rest = &rest[line + skip..];
        if skip == 1 || long {
            scope.produce(separator.len())?;
            out.extend_from_slice(separator);
        }
    }
    out.extend_from_slice(rest);
    Ok(out.into())
}
