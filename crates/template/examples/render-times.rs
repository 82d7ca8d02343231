//! Reads the same lines as `render-lines` and answers each with its name and the time of one render in
//! nanoseconds, parsing not counted. Lines that do not render are left out. `bench/render` compares
//! the times with Go's.

use gantry_template::{Limits, NoHost, Set, Value};
use serde_json::Value as Json;
use std::io::{self, BufRead, BufWriter, Write};
use std::time::{Duration, Instant};

/// How long one question is measured.
const SPAN: Duration = Duration::from_millis(20);

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let question: Json = serde_json::from_str(&line?)?;
        let Some(time) = measure(&question) else { continue };
        writeln!(out, "{}\t{}", question["name"].as_str().unwrap_or_default(), time.as_nanos())?;
    }
    out.flush()
}

/// The median time of a render.
fn measure(question: &Json) -> Option<Duration> {
    let mut set = Set::new();
    for (name, text) in question["templates"].as_object()? {
        set.parse(name, text.as_str()?).ok()?;
    }
    let main = question["main"].as_str()?;
    let data = Value::from_json_live(&question["data"]);
    let (limits, host) = (Limits::default(), NoHost::default());
    let mut out = Vec::new();
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SPAN || times.len() < 5 {
        out.clear();
        let begin = Instant::now();
        set.render(main, &data, &limits, &host, &mut out).ok()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Some(times[times.len() / 2])
}
