//! One line of the log for each request, at level debug: what was asked, what came of it, how long it took. It is kept when
//! preference `debugFrontend` says so, or when the caller asks for it with `X-Log-Request: debug` (`gantry --trace`); the text of
//! `X-Log-Token` is in it, so that who asked finds it (reference: api.md §1.2, §17).

use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::Ask;
use crate::core::Core;
use crate::log::Level;

/// The longest token that is repeated, bytes.
const LONGEST_TOKEN: usize = 256;

/// A request under way, if there will be a line about it.
pub(super) struct Logged {
    principal: String,
    text: String,
    since: Instant,
}

impl Logged {
    /// None when nobody wants the line.
    pub(super) fn begin(ask: &Ask) -> Option<Self> {
        let wished = header(&ask.headers, "x-log-request").map(Level::of_preference);
        let threshold = ask.api.threshold(&ask.view, "debugFrontend");
        let threshold = wished.map_or(threshold, |wished| wished.min(threshold));
        if threshold > Level::Debug {
            return None;
        }
        let path = ask.path.split('?').next().unwrap_or_default();
        let token = header(&ask.headers, "x-log-token").unwrap_or_default();
        let token = &token[..token.floor_char_boundary(LONGEST_TOKEN)];
        let token = if token.is_empty() { String::new() } else { format!("Log token: {token}: ") };
        Some(Self {
            principal: ask.caller.principal.clone(),
            text: format!("{token}{} {path}", ask.method),
            since: Instant::now(),
        })
    }

    /// Writes the line.
    pub(super) fn end(self, core: &Core, status: StatusCode) {
        let milliseconds = self.since.elapsed().as_millis();
        let text = format!("{} answered with {} in {milliseconds} ms", self.text, status.as_u16());
        core.log.add(Level::Debug, Level::Debug, "frontend", &self.principal, text);
    }
}

/// A header of plain text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
