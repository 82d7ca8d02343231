//! QEMU's monitor protocol: JSON lines over a socket, answers and events mixed.
//!
//! One thread reads; a command waits for the answer with its own id. Reference: QEMU, docs/interop/qmp-spec.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Doing, Error, Result};

/// How long QEMU may take for an answer. It may be busy with a disk, on a machine with little to spare.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest line that is read, in bytes. QEMU's own are shorter by far.
const LONGEST: u64 = 1 << 20;

/// A connection to the monitor of one QEMU.
pub(crate) struct Qmp {
    stream: UnixStream,
    answers: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last_id: u64,
    by_id: HashMap<u64, mpsc::Sender<Value>>,
    /// The reader has ended, and so has QEMU.
    closed: bool,
}

impl Qmp {
    /// Speaks the greeting, then hands every event to `on_event` on a thread of its own.
    ///
    /// # Errors
    /// If QEMU ends or does not answer in time.
    pub(crate) fn start(stream: UnixStream, on_event: impl Fn(&Value) + Send + 'static) -> Result<Qmp> {
        let answers = Arc::new(Mutex::new(Waiting::default()));
        let reader = stream.try_clone().doing(|| "share the socket of QEMU's monitor")?;
        let waiting = Arc::clone(&answers);
        thread::Builder::new()
            .name("qmp".to_owned())
            .spawn(move || read(reader, &waiting, &on_event))
            .doing(|| "start a thread for QEMU's monitor")?;
        let qmp = Qmp { stream, answers };
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns its answer.
    ///
    /// # Errors
    /// If QEMU refuses, ends, or does not answer in time.
    pub(crate) fn execute(&self, command: &str, arguments: &Value) -> Result<Value> {
        let (id, answer) = self.expect_answer()?;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');
        (&self.stream).write_all(line.as_bytes()).doing(|| format!("send {command} to QEMU"))?;
        let answer = answer.recv_timeout(PATIENCE).map_err(|error| match error {
            mpsc::RecvTimeoutError::Disconnected => ended(),
            mpsc::RecvTimeoutError::Timeout => Error::Deadline {
                what: format!("QEMU's answer to {command}"),
                after: PATIENCE,
                tail: String::new(),
            },
        });
        lock(&self.answers).by_id.remove(&id);
        match answer? {
            Value::Object(mut fields) if fields.contains_key("return") => {
                Ok(fields.remove("return").unwrap_or_default())
            }
            refused => Err(Error::Refused {
                message: format!("QEMU refuses {command}: {}", refused["error"]["desc"]),
            }),
        }
    }

    fn expect_answer(&self) -> Result<(u64, mpsc::Receiver<Value>)> {
        let mut waiting = lock(&self.answers);
        if waiting.closed {
            return Err(ended());
        }
        waiting.last_id += 1;
        let id = waiting.last_id;
        let (sender, receiver) = mpsc::channel();
        waiting.by_id.insert(id, sender);
        Ok((id, receiver))
    }
}

fn ended() -> Error {
    Error::Refused { message: "QEMU has ended".to_owned() }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(stream: UnixStream, waiting: &Mutex<Waiting>, on_event: &impl Fn(&Value)) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // What is no JSON is skipped: QEMU's greeting is, its errors at start-up are not.
        let Ok(message) = serde_json::from_slice::<Value>(&line) else { continue };
        if message.get("event").is_some() {
            on_event(&message);
        } else if let Some(sender) = message["id"].as_u64().and_then(|id| lock(waiting).by_id.remove(&id)) {
            // The asker may have lost patience.
            let _ = sender.send(message);
        }
    }
    let mut waiting = lock(waiting);
    waiting.closed = true;
    waiting.by_id.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A QEMU that answers each command with the next of the given lines; `$id` stands for the command's id.
    fn fake(lines: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut reader = BufReader::new(theirs.try_clone().unwrap());
            let mut theirs = theirs;
            writeln!(theirs, r#"{{"QMP": {{"version": {{}}, "capabilities": []}}}}"#).unwrap();
            for answer in lines {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let command: Value = serde_json::from_str(&line).unwrap();
                writeln!(theirs, "{}", answer.replace("$id", &command["id"].to_string())).unwrap();
            }
        });
        ours
    }

    #[test]
    fn answers_find_their_command_and_events_their_listener() {
        let (sender, events) = mpsc::channel();
        let lines = &[
            r#"{"return": {}, "id": $id}"#,
            "not JSON\n{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n{\"return\": {\"status\": \"running\"}, \"id\": $id}",
        ];
        let qmp = Qmp::start(fake(lines), move |event| sender.send(event.clone()).unwrap()).unwrap();
        assert_eq!(qmp.execute("query-status", &json!({})).unwrap(), json!({ "status": "running" }));
        assert_eq!(events.recv().unwrap()["event"], "RESET");
    }

    #[test]
    fn a_refusal_says_what_qemu_said() {
        let lines = &[
            r#"{"return": {}, "id": $id}"#,
            r#"{"error": {"class": "GenericError", "desc": "no such"}, "id": $id}"#,
        ];
        let qmp = Qmp::start(fake(lines), |_| ()).unwrap();
        let error = qmp.execute("eject", &json!({})).unwrap_err();
        assert_eq!(error.to_string(), "QEMU refuses eject: \"no such\"");
    }

    #[test]
    fn the_end_of_qemu_is_told_at_once() {
        let error = Qmp::start(fake(&[]), |_| ()).err().unwrap();
        assert!(!matches!(error, Error::Deadline { .. }), "{error}");
    }
}
