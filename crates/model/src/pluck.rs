//! One value out of a JSON text without parsing the rest: what list filters do a hundred thousand times.
//!
//! The text is walked byte by byte, strings and brackets skipped, and only the value that was asked for is parsed. It takes
//! any JSON; what is no JSON gives nothing.

use serde_json::Value;

/// The value at `path`, names from the top; none when it is not there.
pub(crate) fn pluck(json: &str, path: &[&str]) -> Option<Value> {
    let mut walk = Walk { bytes: json.as_bytes(), at: 0 };
    for name in path {
        walk.enter(&Value::from(*name).to_string())?;
    }
    walk.space();
    let from = walk.at;
    walk.skip()?;
    serde_json::from_str(json.get(from..walk.at)?).ok()
}

/// A place in a JSON text.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    /// Goes to the value of the member with this name, quoted as serde_json writes it.
    fn enter(&mut self, quoted: &str) -> Option<()> {
        self.take(b'{')?;
        loop {
            self.space();
            let from = self.at;
            self.string()?;
            let found = self.bytes.get(from..self.at)? == quoted.as_bytes();
            self.take(b':')?;
            if found {
                return Some(());
            }
            self.skip()?;
            self.take(b',')?;
        }
    }

    /// Goes behind the value that begins here.
    fn skip(&mut self) -> Option<()> {
        self.space();
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => self.at += 1,
                _ => self.word()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Goes behind the string that begins here.
    fn string(&mut self) -> Option<()> {
        if *self.bytes.get(self.at)? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Goes behind a number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.iter().take_while(|byte| is_word(byte)).count();
        self.at += length;
        (length > 0).then_some(())
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        self.space();
        let is = *self.bytes.get(self.at)? == wanted;
        self.at += 1;
        is.then_some(())
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_value_is_found_and_the_rest_skipped() {
        let json = r#"{"a":[1,{"b":2}],"P":{"x":{"y":[3]},"z":null},"t":"q"}"#;
        assert_eq!(pluck(json, &["P", "x"]), Some(json!({"y": [3]})));
        assert_eq!(pluck(json, &["P", "z"]), Some(Value::Null));
        assert_eq!(pluck(json, &["t"]), Some(json!("q")));
        assert_eq!(pluck(json, &["P", "none"]), None);
        assert_eq!(pluck(json, &["t", "u"]), None);
        assert_eq!(pluck("{", &["t"]), None);
    }

    /// Every member of awkward objects, written compactly and with spaces, is what a parser finds.
    #[test]
    fn it_finds_what_a_parser_finds() {
        let object = json!({
            "a\"b": "x\\\"}{", "ä/\n": [-1.5e3, true, false, null, {}, []], "": {"": {"k": "}"}}, "n": 0,
            "deep": {"t": "wrong", "Params": {"t": 1}}, "t": {"deep": [[["]"]]]},
        });
        for text in [object.to_string(), serde_json::to_string_pretty(&object).unwrap()] {
            for (name, value) in object.as_object().unwrap() {
                assert_eq!(pluck(&text, &[name]).as_ref(), Some(value), "{name}");
                for (inner, value) in value.as_object().into_iter().flatten() {
                    assert_eq!(pluck(&text, &[name, inner]).as_ref(), Some(value), "{name} {inner}");
                }
            }
            for end in 0..text.len() - 1 {
                let Some(cut) = text.get(..end) else { continue };
                let names = object.as_object().unwrap().keys();
                names.for_each(|name| drop(pluck(cut, &[name])));
            }
        }
    }
}
