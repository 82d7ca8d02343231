//! The example `render-lines`: one answer for each line, at once and in order, whatever the line holds.

#[path = "../../examples/render-lines/lines.rs"]
mod lines;

use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;
use std::thread;

/// The answers to some input. Data nest deep here, so they are read on a long stack.
fn answers(input: impl Into<Vec<u8>>) -> Vec<Json> {
    let input = input.into();
    let work = move || {
        let mut out = Vec::new();
        lines::answer_all(&input[..], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = thread::Builder::new().stack_size(1 << 30).spawn(work).unwrap().join().unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The answer to one template over data that are given as JSON text.
fn answer(template: &str, data: impl AsRef<[u8]>) -> Json {
    let mut line =
        format!(r#"{{"name":"q","main":"m","templates":{{"m":{}}},"data":"#, json!(template)).into_bytes();
    line.extend_from_slice(data.as_ref());
    line.push(b'}');
    let mut all = answers(line);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[track_caller]
fn output(template: &str, data: impl AsRef<[u8]>, want: &str) {
    assert_eq!(answer(template, data), json!({"name": "q", "output": want}));
}

#[test]
fn every_line_gets_one_answer_whatever_it_holds() {
    let good = r#"{"name":"good","main":"m","templates":{"m":"{{.}}"},"data":"x"}"#;
    let hostile: &[&[u8]] = &[
        b"",
        b"   \r",
        b"no json",
        b"{",
        b"\xff\xfe",
        b"\0",
        b"5",
        b"[1, 2]",
        b"null",
        b"{} {}",
        br#"{"name":"h","main":"m","templates":{"m":"x"},"data":1e999}"#,
        br#"{"name":"h","main":5,"templates":{"m":"x"}}"#,
        br#"{"name":"h","main":"m","templates":{"m":5}}"#,
        br#"{"name":"h","main":"m","templates":"m"}"#,
        br#"{"name":"h","main":"nobody","templates":{}}"#,
        br#"{"name":"h","main":"m","templates":{"m":"x"},"missingkey":"maybe"}"#,
        br#"{"name":"h","main":"m","templates":{"m":"x"},"missingkey":{}}"#,
        br#"{"name":"h","main":"m","templates":{"m":"{{"}}"#,
    ];
    let mut input = Vec::new();
    for line in hostile {
        input.extend_from_slice(line);
        input.push(b'\n');
        input.extend_from_slice(good.as_bytes());
        input.push(b'\n');
    }
    // The last line has no end.
    input.pop();
    let answers = answers(input);
    assert_eq!(answers.len(), 2 * hostile.len());
    for (pair, line) in answers.chunks(2).zip(hostile) {
        let line = String::from_utf8_lossy(line);
        assert!(pair[0]["error"].is_string() && pair[0].get("output").is_none(), "{line}: {}", pair[0]);
        assert_eq!(pair[1], json!({"name": "good", "output": "x"}), "after {line}");
    }
}

#[test]
fn a_line_of_megabytes_is_answered() {
    let text = "x".repeat(8 << 20);
    output("{{len .}}", json!(text).to_string(), &(8 << 20).to_string());
    let bad = answers(format!("{text}\n"));
    assert!(bad[0]["error"].as_str().unwrap().starts_with("bad line: "), "{}", bad[0]);
}

/// Lines that come one by one, each only after the answer to the one before.
struct Turns {
    lines: Vec<&'static [u8]>,
    asked: usize,
    out: Rc<RefCell<Vec<u8>>>,
}

impl Read for Turns {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("lines are read from the buffer"))
    }
}

impl BufRead for Turns {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let answered = self.out.borrow().iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(answered, self.asked, "an answer is held back");
        Ok(self.lines.get(self.asked).copied().unwrap_or_default())
    }
    fn consume(&mut self, bytes: usize) {
        self.asked += usize::from(bytes > 0);
    }
}

/// What was flushed.
struct Flushed {
    held: Vec<u8>,
    out: Rc<RefCell<Vec<u8>>>,
}

impl io::Write for Flushed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.borrow_mut().append(&mut self.held);
        Ok(())
    }
}

#[test]
fn the_answer_comes_before_the_next_line_is_read() {
    let out = Rc::default();
    let lines = vec![&b"{\"name\":1}\n"[..], b"junk\n", b"{\"name\":2}\n"];
    let turns = Turns { lines, asked: 0, out: Rc::clone(&out) };
    lines::answer_all(turns, Flushed { held: Vec::new(), out: Rc::clone(&out) }).unwrap();
    assert_eq!(out.borrow().iter().filter(|byte| **byte == b'\n').count(), 3);
}

#[test]
fn bytes_that_are_no_text_become_the_replacement_character() {
    output("{{.}}", b"\"a\xffb\xe2\x82\"", "a\u{fffd}b\u{fffd}\u{fffd}");
    output("{{.}}", r#""\ud834x""#, "\u{fffd}x");
    output("{{.}}", r#""\udd1e\ud834""#, "\u{fffd}\u{fffd}");
    output("{{.}}", r#""\ud834\ud834\udd1e""#, "\u{fffd}\u{1d11e}");
    output("{{.}}", r#""\ud834\u0041""#, "\u{fffd}A");
    output("{{.}}", r#""\\ud834 \\\ud834""#, "\\ud834 \\\u{fffd}");
    output("{{range $k, $v := .}}{{$k}}{{end}}", r#"{"\udc00é":1}"#, "\u{fffd}é");
    let bad = answer("{{.}}", r#""\ud83""#);
    assert!(bad["error"].is_string(), "{bad}");
}

#[test]
fn data_nest_ten_thousand_deep_and_no_deeper() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    // The question is a level, too.
    for template in ["{{.}}", "{{toJson .}}"] {
        output(template, nested(9_999), &nested(9_999));
    }
    output("{{deepEqual . (deepCopy .)}}", nested(9_999), "true");
    assert_eq!(
        answer("{{.}}", nested(10_000)),
        json!({"name": null, "error": "bad line: exceeded max depth"})
    );
    // Brackets in a text are no levels.
    output("{{len .}}", json!("[".repeat(20_000)).to_string(), "20000");
}

#[test]
fn templates_call_each_other_as_deep_as_gos() {
    let count = r#"{{define "r"}}{{if .}}{{template "r" (int (sub . 1))}}{{else}}end{{end}}{{end}}{{template "r" 20000}}"#;
    output(count, "null", "end");
    let endless = answer(r#"{{define "r"}}{{template "r"}}{{end}}{{template "r"}}"#, "null");
    let error = endless["error"].as_str().unwrap();
    assert!(error.ends_with("exceeded maximum template depth (100000)"), "{error}");
}

#[test]
fn a_date_that_is_none_is_the_present_one() {
    let answer = answer("{{htmlDate \"x\"}}", "null");
    assert!(answer["output"].as_str().unwrap() > "2025-01-01", "{answer}");
}

#[test]
fn numbers_are_read_exactly() {
    output("{{.}}", "29197.977131508974e-6", "0.029197977131508974");
    output("{{.}}", "-0", "-0");
    output("{{.}}", "12345678901234567890123", "1.2345678901234568e+22");
    // A walk through doubles of all sizes: what is written in full is read as the same.
    let mut bits = 0x0123_4567_89ab_cdef_u64;
    let mut numbers = Vec::new();
    while numbers.len() < 20_000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = f64::from_bits(bits);
        if number.is_finite() {
            numbers.push(number);
        }
    }
    for number in numbers {
        let text = format!("{number:e}");
        let read: f64 = serde_json::from_str::<Json>(&text).unwrap().as_f64().unwrap();
        assert_eq!(read.to_bits(), number.to_bits(), "{text}");
    }
}
