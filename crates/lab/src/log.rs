//! The lab's own log: lines on standard error, which is `lab.log`.

use std::fmt;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes one line, with the time in Unix seconds before it.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Nobody can be told that the log cannot be written.
    let _ = writeln!(std::io::stderr(), "{}.{:03} {text}", now.as_secs(), now.subsec_millis());
}
