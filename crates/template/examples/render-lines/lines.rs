//! One answer for each line, at once and in order, whatever the line holds. Bytes that are no UTF-8 and halves of surrogate
//! pairs become U+FFFD, as Go's decoder has it; a line that is no question is answered with an error and no name.

use gantry_template::{Limits, MissingKey, Set, Str, System, Value};
use serde_json::{Deserializer, Value as Json, json};
use std::any::Any;
use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of the longest line that is read; what is longer is passed over and answered with an error.
const LINE: usize = 128 << 20;
/// How deep JSON may nest, as in Go's decoder.
const DEPTH: usize = 10_000;
/// Of a stack of 1 GiB. Go's templates may call each other 100,000 deep.
const LIMITS: Limits =
    Limits { depth: 100_000, output: 64 << 20, produced: 256 << 20, steps: 20_000_000, stack: 900 << 20 };

/// Answers each line of `input`, and writes the answer out before the next line is read.
///
/// # Errors
/// When the input cannot be read or the output cannot be written.
pub(super) fn answer_all(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while let Some(whole) = read_line(&mut input, &mut line)? {
        let answer = if whole { answer(&line) } else { bad(format!("longer than {LINE} bytes")) };
        let mut text = answer.to_string();
        text.push('\n');
        output.write_all(text.as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

/// Reads a line without its end; false when it was too long to be kept, none at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    if input.by_ref().take(LINE as u64 + 1).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_some() || line.len() <= LINE {
        return Ok(Some(true));
    }
    *line = Vec::new();
    input.skip_until(b'\n')?;
    Ok(Some(false))
}

fn bad(reason: impl std::fmt::Display) -> Json {
    json!({"name": Json::Null, "error": format!("bad line: {reason}")})
}

fn answer(line: &[u8]) -> Json {
    let question = match parse(line) {
        Ok(question) => question,
        Err(reason) => return bad(reason),
    };
    let name = &question["name"];
    let rendered = catch_unwind(AssertUnwindSafe(|| render(&question)));
    match rendered.unwrap_or_else(|panic| Err(format!("panic: {}", words(&*panic)))) {
        Ok(output) => json!({"name": name, "output": output}),
        Err(error) => json!({"name": name, "error": error}),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

fn parse(line: &[u8]) -> Result<Json, String> {
    if too_deep(line) {
        return Err("exceeded max depth".to_owned());
    }
    let text = Str::from(line);
    let text = text.to_text();
    let text = whole_pairs(&text);
    let mut deserializer = Deserializer::from_str(&text);
    deserializer.disable_recursion_limit();
    let mut values = deserializer.into_iter::<Json>();
    let question = values.next().ok_or("no JSON in it")?.map_err(|error| error.to_string())?;
    match values.next() {
        None => Ok(question),
        Some(_) => Err("more than one value in it".to_owned()),
    }
}

/// Whether brackets outside of strings nest deeper than Go's decoder lets them.
fn too_deep(line: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return true;
        }
    }
    false
}

/// The line with `\ufffd` in place of escapes that are half a surrogate pair.
fn whole_pairs(text: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(found) = backslash(text.as_bytes(), at) {
        at = found
            + match (unit(text, found), unit(text, found + 6)) {
                (None, _) => 2,
                (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
                (Some(0xd800..0xe000), _) => {
                    mended.push_str(&text[done..found]);
                    mended.push_str("\\ufffd");
                    done = found + 6;
                    6
                }
                (Some(_), _) => 6,
            };
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[done..]);
    Cow::Owned(mended)
}

/// Where the next backslash is, from `at` on.
fn backslash(bytes: &[u8], at: usize) -> Option<usize> {
    Some(at + bytes.get(at..)?.iter().position(|byte| *byte == b'\\')?)
}

/// The UTF-16 unit of the escape `\uXXXX` at `at`, if there is one.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

fn render(question: &Json) -> Result<String, String> {
    let mut set = Set::new();
    set.set_missing_key(missing_key(&question["missingkey"])?);
    let templates = question["templates"].as_object().ok_or("templates: want an object of texts")?;
    // The map is sorted by its keys, byte by byte.
    for (name, text) in templates {
        let text = text.as_str().ok_or_else(|| format!("templates.{name}: want a string"))?;
        set.parse(name, text).map_err(|error| error.to_string())?;
    }
    let main = question["main"].as_str().ok_or("main: want the name of a template")?;
    let data = Value::from_json_live(&question["data"]);
    let mut out = Vec::new();
    set.render(main, &data, &LIMITS, &System, &mut out).map_err(|error| error.to_string())?;
    Ok(Str::from(out).to_text().into_owned())
}

fn missing_key(option: &Json) -> Result<MissingKey, String> {
    match option {
        Json::Null => Ok(MissingKey::Default),
        Json::String(word) => match word.as_str() {
            "" | "default" | "invalid" => Ok(MissingKey::Default),
            "zero" => Ok(MissingKey::Zero),
            "error" => Ok(MissingKey::Error),
            _ => Err(format!("missingkey: {word:?}: want default, zero or error")),
        },
        other => Err(format!("missingkey: {other}: want default, zero or error")),
    }
}
