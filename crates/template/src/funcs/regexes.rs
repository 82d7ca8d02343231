//! Regular expressions. Compiling one takes far longer than matching, so a set keeps the last ones: [`Patterns`].

use super::args::{INT, STR, int, str};
use super::go_regex::{Translated, translate};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::Signature;
use crate::value::{Elem, List, Str, Value};
use regex::bytes::{Captures, Match, Regex, RegexBuilder};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

const TWO: Signature = Signature::exact(&[STR, STR]);
const COUNT: Signature = Signature::exact(&[STR, STR, INT]);
const THREE: Signature = Signature::exact(&[STR, STR, STR]);

pub(super) static ROWS: &[Row] = &[
    row(
        "regexMatch",
        TWO,
        lenient_match,
        "regexMatch PATTERN STRING",
        "Whether the pattern matches somewhere; false for a bad pattern.",
    ),
    row(
        "mustRegexMatch",
        TWO,
        regex_match,
        "mustRegexMatch PATTERN STRING",
        "As regexMatch, but fails for a bad pattern.",
    ),
    row("regexFind", TWO, find, "regexFind PATTERN STRING", "The first match, else the empty string."),
    row("mustRegexFind", TWO, must_find, "mustRegexFind PATTERN STRING", "Another name of regexFind."),
    row(
        "regexFindAll",
        COUNT,
        find_all,
        "regexFindAll PATTERN STRING COUNT",
        "The first COUNT matches as a list; all of them for -1.",
    ),
    row(
        "mustRegexFindAll",
        COUNT,
        must_find_all,
        "mustRegexFindAll PATTERN STRING COUNT",
        "Another name of regexFindAll.",
    ),
    row(
        "regexReplaceAll",
        THREE,
        replace,
        "regexReplaceAll PATTERN STRING NEW",
        "Every match replaced; $1 and ${name} stand for groups.",
    ),
    row(
        "mustRegexReplaceAll",
        THREE,
        must_replace,
        "mustRegexReplaceAll PATTERN STRING NEW",
        "Another name of regexReplaceAll.",
    ),
    row(
        "regexReplaceAllLiteral",
        THREE,
        replace_literal,
        "regexReplaceAllLiteral PATTERN STRING NEW",
        "Every match replaced by just that text.",
    ),
    row(
        "mustRegexReplaceAllLiteral",
        THREE,
        must_replace_literal,
        "mustRegexReplaceAllLiteral PATTERN STRING NEW",
        "Another name of regexReplaceAllLiteral.",
    ),
    row(
        "regexSplit",
        COUNT,
        split,
        "regexSplit PATTERN STRING COUNT",
        "The parts between matches, at most COUNT; all of them for -1.",
    ),
    row(
        "mustRegexSplit",
        COUNT,
        must_split,
        "mustRegexSplit PATTERN STRING COUNT",
        "Another name of regexSplit.",
    ),
];

/// A compiled pattern with the names of its groups, and the work of its classes in steps.
pub(crate) struct Compiled {
    regex: Regex,
    names: Vec<String>,
    work: u64,
}

type Done<T> = std::result::Result<T, Fail>;

/// Patterns compiled by the renders of a set and its clones. Only a memory of what a pattern means: renders do not see whether
/// it was there, nor do their limits. Small ones are kept, so that hostile templates cannot fill the memory with them.
#[derive(Default)]
pub(crate) struct Patterns(RwLock<HashMap<Box<[u8]>, Arc<Compiled>>>);

impl Patterns {
    /// Most patterns kept; when there are more it starts over.
    const MOST: usize = 128;
    /// Longest pattern kept, bytes.
    const LONGEST: usize = 256;
    /// Largest program kept, bytes.
    const SIZE: usize = 128 << 10;

    fn find(&self, pattern: &[u8]) -> Option<Arc<Compiled>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(pattern).cloned()
    }

    fn keep(&self, pattern: &[u8], compiled: &Arc<Compiled>) {
        if pattern.len() > Self::LONGEST {
            return;
        }
        let mut patterns = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if patterns.len() >= Self::MOST {
            patterns.clear();
        }
        patterns.insert(pattern.into(), Arc::clone(compiled));
    }
}

impl Clone for Patterns {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patterns")
    }
}

fn compile(scope: &mut Scope<'_>, pattern: &[u8]) -> Done<Arc<Compiled>> {
    const SIZE: usize = 8 << 20;
    scope.work(200 + pattern.len() as u64)?;
    let kept = scope.set.patterns();
    if let Some(compiled) = kept.find(pattern) {
        scope.work(compiled.work)?;
        return Ok(compiled);
    }
    let text = match std::str::from_utf8(pattern) {
        Ok(text) => text,
        Err(error) => return Err(not_utf8(pattern, error.valid_up_to()).into()),
    };
    let Translated { pattern: translated, names, work } = translate(text)?;
    scope.work(work)?;
    let build = |size| RegexBuilder::new(&translated).size_limit(size).dfa_size_limit(Patterns::SIZE).build();
    if let Ok(regex) = build(Patterns::SIZE) {
        let compiled = Arc::new(Compiled { regex, names, work });
        kept.keep(pattern, &compiled);
        return Ok(compiled);
    }
    let regex = build(SIZE).map_err(|_| format!("error parsing regexp: expression too large: `{text}`"))?;
    Ok(Arc::new(Compiled { regex, names, work }))
}

/// What Go says of a pattern with a bad byte at `at`: an earlier fault counts first, unless it is only that the pattern ends there.
fn not_utf8(pattern: &[u8], at: usize) -> String {
    let (before, rest) = pattern.split_at(at);
    let earlier = std::str::from_utf8(before).ok().and_then(|text| translate(text).err());
    match earlier {
        // This one shows the whole pattern.
        Some(fault) if fault.contains(": unexpected ): ") => {
            format!("error parsing regexp: unexpected ): `{}`", crate::rune::lossy(pattern))
        }
        Some(fault) if !fault.contains(": missing closing") && !fault.contains(": trailing") => fault,
        _ => format!("error parsing regexp: invalid UTF-8: `{}`", crate::rune::lossy(rest)),
    }
}

/// Go's `MustCompile`, whose panic has words of its own.
fn must_compile(scope: &mut Scope<'_>, pattern: &[u8]) -> Done<Arc<Compiled>> {
    compile(scope, pattern).map_err(|fail| Fail {
        message: if fail.limit {
            fail.message
        } else {
            let shown = match std::str::from_utf8(pattern) {
                Ok(text) if crate::fmt::quote::can_backquote(pattern) => format!("`{text}`"),
                _ => crate::fmt::quote::text(pattern),
            };
            format!("regexp: Compile({shown}): {}", fail.message)
        },
        ..fail
    })
}

/// A text to match in. To Go a byte that is no UTF-8 is the character U+FFFD, one byte long; here such bytes are replaced by
/// that character before matching, and places found are counted back.
struct Subject<'t> {
    original: &'t [u8],
    text: Cow<'t, [u8]>,
    /// The place in the original of each byte of the text, and of its end; empty when they are the same.
    places: Vec<usize>,
}

impl<'t> Subject<'t> {
    /// A text as the expressions see it. A replaced one counts towards the limits.
    fn new(scope: &mut Scope<'_>, original: &'t [u8]) -> Done<Self> {
        if std::str::from_utf8(original).is_ok() {
            return Ok(Self { original, text: Cow::Borrowed(original), places: Vec::new() });
        }
        scope.produce(original.len() * (1 + size_of::<usize>()) * 3)?;
        let mut text = Vec::with_capacity(original.len() + 8);
        let mut places = Vec::with_capacity(original.len() + 9);
        for (at, rune, _) in crate::rune::runes(original) {
            crate::rune::push(&mut text, rune);
            places.resize(text.len(), at);
        }
        places.push(original.len());
        Ok(Self { original, text: Cow::Owned(text), places })
    }

    /// The place in the original of a place in the text.
    fn place(&self, at: usize) -> usize {
        self.places.get(at).copied().unwrap_or(at)
    }

    /// What was found, in the original's own bytes.
    fn part(&self, found: Match<'_>) -> &'t [u8] {
        &self.original[self.place(found.start())..self.place(found.end())]
    }
}

fn lenient_match(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    match compile(scope, str(&args[0])) {
        Ok(compiled) => matches_somewhere(scope, &compiled, args),
        Err(fail) if fail.limit => Err(fail),
        Err(_) => Ok(false.into()),
    }
}

fn regex_match(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = compile(scope, str(&args[0]))?;
    matches_somewhere(scope, &compiled, args)
}

fn matches_somewhere(scope: &mut Scope<'_>, compiled: &Compiled, args: &[Value]) -> Result {
    let subject = Subject::new(scope, str(&args[1]))?;
    Ok(compiled.regex.is_match(&subject.text).into())
}

fn first_match(scope: &mut Scope<'_>, compiled: &Compiled, args: &[Value]) -> Result {
    let subject = Subject::new(scope, str(&args[1]))?;
    let found = compiled.regex.find(&subject.text);
    Ok(Value::Str(found.map_or_else(Str::default, |found| Str::from(subject.part(found)))))
}

fn find(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = must_compile(scope, str(&args[0]))?;
    first_match(scope, &compiled, args)
}

fn must_find(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = compile(scope, str(&args[0]))?;
    first_match(scope, &compiled, args)
}

/// Up to `count` matches, all of them for a negative count.
fn matches(scope: &mut Scope<'_>, compiled: &Compiled, text: &[u8], count: i64) -> Done<Vec<(usize, usize)>> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let subject = Subject::new(scope, text)?;
    let mut found = Vec::new();
    let whole = whole_runes(&subject.text);
    let all = compiled.regex.find_iter(&subject.text).filter(|one| !one.is_empty() || whole(one.start()));
    for one in all.take(limit) {
        scope.work(1)?;
        found.push((subject.place(one.start()), subject.place(one.end())));
    }
    Ok(found)
}

/// Whether an empty match may be at a position: not in the middle of a rune.
fn whole_runes(text: &[u8]) -> impl Fn(usize) -> bool + '_ {
    let text = std::str::from_utf8(text).ok();
    move |at| text.is_none_or(|text| text.is_char_boundary(at))
}

fn all(scope: &mut Scope<'_>, compiled: &Compiled, args: &[Value]) -> Result {
    let text = str(&args[1]);
    let found = matches(scope, compiled, text, int(&args[2]))?;
    scope.produce(found.len() * size_of::<Value>() * 2)?;
    if found.is_empty() {
        return Ok(List::nil(Elem::String).into());
    }
    // Go makes room for ten matches at first.
    let mut cap = 10;
    while cap < found.len() {
        cap *= 2;
    }
    let items = found.iter().map(|&(from, to)| Value::Str(Str::from(&text[from..to]))).collect();
    Ok(List::with_capacity(Elem::String, items, cap).into())
}

fn find_all(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = must_compile(scope, str(&args[0]))?;
    all(scope, &compiled, args)
}

fn must_find_all(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = compile(scope, str(&args[0]))?;
    all(scope, &compiled, args)
}

/// The groups of one match.
struct Groups<'s> {
    subject: &'s Subject<'s>,
    captures: &'s Captures<'s>,
}

impl<'s> Groups<'s> {
    fn get(&self, index: usize) -> Option<&'s [u8]> {
        self.captures.get(index).map(|found| self.subject.part(found))
    }
}

/// Replaces every match by what `with` appends.
fn replaced(
    scope: &mut Scope<'_>,
    compiled: &Compiled,
    text: &[u8],
    mut with: impl FnMut(&mut Vec<u8>, &Groups<'_>),
) -> Result {
    let subject = Subject::new(scope, text)?;
    let room = scope.room();
    let whole = whole_runes(&subject.text);
    let mut out = Vec::with_capacity(text.len());
    let mut last = 0;
    for captures in compiled.regex.captures_iter(&subject.text) {
        scope.work(1)?;
        let Some(found) = captures.get(0) else { continue };
        if found.is_empty() && !whole(found.start()) {
            continue;
        }
        out.extend_from_slice(&text[last..subject.place(found.start())]);
        last = subject.place(found.end());
        with(&mut out, &Groups { subject: &subject, captures: &captures });
        if out.len() > room {
            scope.produce(out.len())?;
        }
    }
    out.extend_from_slice(&text[last..]);
    Ok(out.into())
}

fn replace_template(scope: &mut Scope<'_>, compiled: &Compiled, args: &[Value]) -> Result {
    let template = str(&args[2]);
    replaced(scope, compiled, str(&args[1]), |out, groups| expand(out, template, groups, &compiled.names))
}

fn replace(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = must_compile(scope, str(&args[0]))?;
    replace_template(scope, &compiled, args)
}

fn must_replace(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = compile(scope, str(&args[0]))?;
    replace_template(scope, &compiled, args)
}

fn replace_literal(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = must_compile(scope, str(&args[0]))?;
    replaced(scope, &compiled, str(&args[1]), |out, _| out.extend_from_slice(str(&args[2])))
}

fn must_replace_literal(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = compile(scope, str(&args[0]))?;
    replaced(scope, &compiled, str(&args[1]), |out, _| out.extend_from_slice(str(&args[2])))
}

/// Go's `Regexp.Expand`: `$1`, `$name`, `${name}` and `$$`.
fn expand(out: &mut Vec<u8>, template: &[u8], groups: &Groups<'_>, names: &[String]) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|&b| b == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.first() == Some(&b'$') {
            out.push(b'$');
            rest = &rest[1..];
            continue;
        }
        let Some((name, after)) = reference(rest) else {
            out.push(b'$');
            continue;
        };
        rest = after;
        let group = match number(name) {
            Some(index) => groups.get(index),
            None => names
                .iter()
                .enumerate()
                .filter(|(_, have)| have.as_bytes() == name)
                .find_map(|(i, _)| groups.get(i + 1)),
        };
        out.extend_from_slice(group.unwrap_or_default());
    }
    out.extend_from_slice(rest);
}

/// The name behind a dollar sign.
fn reference(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let braced = text.first() == Some(&b'{');
    let body = &text[usize::from(braced)..];
    let len = crate::rune::runes(body)
        .find(|&(_, c, _)| c != '_' && !crate::rune::is_letter(c) && !crate::rune::is_digit(c))
        .map_or(body.len(), |(at, _, _)| at);
    let (name, after) = body.split_at(len);
    if name.is_empty() {
        return None;
    }
    if !braced {
        return Some((name, after));
    }
    after.strip_prefix(b"}").map(|after| (name, after))
}

fn number(name: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(name).ok()?;
    if !text.bytes().all(|b| b.is_ascii_digit()) || text.len() > 1 && text.starts_with('0') {
        return None;
    }
    text.parse().ok().filter(|&n: &usize| n < 100_000_000)
}

fn parts(scope: &mut Scope<'_>, compiled: &Compiled, pattern: &[u8], args: &[Value]) -> Result {
    let (text, count) = (str(&args[1]), int(&args[2]));
    if count == 0 {
        return Ok(List::nil(Elem::String).into());
    }
    if !pattern.is_empty() && text.is_empty() {
        return Ok(Value::strings([Str::default()]));
    }
    let found = matches(scope, compiled, text, count)?;
    let cap = found.len();
    let mut items = Vec::with_capacity(found.len() + 1);
    let (mut from, mut last_end) = (0, 0);
    for (start, end) in found {
        if count > 0 && items.len() as i64 == count - 1 {
            break;
        }
        last_end = start;
        if end != 0 {
            items.push(Value::Str(Str::from(&text[from..start])));
        }
        from = end;
    }
    if last_end != text.len() {
        items.push(Value::Str(Str::from(&text[from..])));
    }
    scope.produce(items.len() * size_of::<Value>() * 2)?;
    Ok(List::with_capacity(Elem::String, items, cap).into())
}

fn split(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = must_compile(scope, str(&args[0]))?;
    parts(scope, &compiled, str(&args[0]), args)
}

fn must_split(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let compiled = compile(scope, str(&args[0]))?;
    parts(scope, &compiled, str(&args[0]), args)
}
