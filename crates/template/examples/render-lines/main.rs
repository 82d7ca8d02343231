//! Reads JSON lines `{"name", "templates": {NAME: TEXT}, "main": NAME, "data": ANY, "missingkey":
//! "default|zero|error"}` from stdin and answers each with `{"name", "output"}` or `{"name", "error"}`.
//! The templates of a line are parsed in the order of their names; every number of the data is a
//! `float64`. The oracle (tools/oracle) asks Go the same questions.

mod lines;

use std::{io, panic, thread};

/// Go takes data that nest 10,000 deep and templates that call each other 100,000 deep. Memory is taken as it is used.
const STACK: usize = 1 << 30;

fn main() -> io::Result<()> {
    let work = || lines::answer_all(io::stdin().lock(), io::stdout().lock());
    let worker = thread::Builder::new().stack_size(STACK).spawn(work)?;
    worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}
