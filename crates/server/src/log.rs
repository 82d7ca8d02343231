//! The log that the API shows: a ring of the newest lines, each also published as an event (reference: api.md §17).
//!
//! This is not the server's own diagnostics, which go to standard error through `tracing`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use gantry_api::Event;
use gantry_model::Time;
use serde::Serialize;

use crate::bus::Bus;
use crate::clock;

/// Lines that are kept.
const KEPT: usize = 1_000;
/// Longest message in bytes; the rest is cut.
const LONGEST: usize = 4_096;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    /// Who did what; always kept.
    Audit,
}

impl Level {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Audit => "audit",
        }
    }

    /// The level that a preference names; warn for words that nobody knows.
    pub fn of_preference(word: &str) -> Self {
        match word {
            "trace" => Self::Trace,
            "debug" | "2" => Self::Debug,
            "info" | "1" => Self::Info,
            "error" | "fatal" | "panic" => Self::Error,
            _ => Self::Warn,
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Line {
    group: u64,
    seq: u64,
    time: Time,
    service: &'static str,
    principal: String,
    level: Level,
    file: &'static str,
    line: u32,
    message: String,
    data: Vec<String>,
    ignore_publish: bool,
}

/// The ring.
#[derive(Debug)]
pub struct Log {
    lines: Mutex<(u64, VecDeque<Line>)>,
    bus: Bus,
}

impl Log {
    /// An empty ring whose lines are published on `bus`.
    pub fn new(bus: Bus) -> Self {
        Self { lines: Mutex::default(), bus }
    }

    /// Adds a line if `level` reaches `threshold`.
    #[track_caller]
    pub fn add(
        &self,
        threshold: Level,
        level: Level,
        service: &'static str,
        principal: &str,
        mut message: String,
    ) {
        if level < threshold {
            return;
        }
        message.truncate(message.floor_char_boundary(LONGEST));
        let place = std::panic::Location::caller();
        let line = {
            let mut held = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let (seq, lines) = &mut *held;
            *seq += 1;
            let line = Line {
                group: *seq,
                seq: *seq,
                time: clock::now(),
                service,
                principal: principal.to_owned(),
                level,
                file: place.file(),
                line: place.line(),
                message,
                data: Vec::new(),
                ignore_publish: false,
            };
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(line.clone());
            line
        };
        if self.bus.has_listeners() {
            self.bus.publish(event(&line));
        }
    }

    /// All lines, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).1.iter().cloned().collect()
    }
}

fn event(line: &Line) -> Event {
    Event {
        time: line.time.to_string(),
        r#type: "log".into(),
        action: line.level.as_str().into(),
        key: line.service.into(),
        principal: line.principal.clone(),
        object: serde_json::to_value(line).unwrap_or_default(),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_numbers_its_lines() {
        let log = Log::new(Bus::default());
        log.add(Level::Warn, Level::Debug, "frontend", "", "too quiet".into());
        for n in 0..KEPT + 3 {
            log.add(Level::Warn, Level::Audit, "frontend", "", n.to_string());
        }
        let lines = log.lines();
        assert_eq!((lines.len(), lines[0].seq, lines[0].message.as_str()), (KEPT, 4, "3"));
    }

    #[tokio::test]
    async fn a_line_is_an_event_for_those_who_listen() {
        let bus = Bus::default();
        let mut heard = bus.listen();
        Log::new(bus).add(Level::Warn, Level::Audit, "frontend", "user:x", "hello".into());
        let event = heard.recv().await.unwrap();
        assert_eq!(
            (event.r#type.as_str(), event.action.as_str(), event.key.as_str()),
            ("log", "audit", "frontend")
        );
        assert_eq!(event.object["Message"], "hello");
    }
}
