//! `wait`: until a field of an object has a value.

use super::{Call, Output, Result, ask, value_of};
use crate::http::stream::Events;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long `wait` waits by default.
const WAIT: u64 = 86_400;

/// Prints `complete` or `timeout`; both are a success, as content expects.
pub(in crate::drpcli) fn wait(c: Call<'_>) -> Result {
    let seconds = if c.words.len() > 3 {
        c.word(3).parse().map_err(|_| format!("{}: want seconds", c.word(3)))?
    } else {
        WAIT
    };
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let wanted = value_of(c.word(2))?;
    let object = ask(c.client, "GET", &c.path(), None)?;
    if holds(&object, c.word(1), &wanted) {
        return Ok(Output::Text("complete\n".into()));
    }
    let key = ["Uuid", "Name", "ID", "Id"]
        .iter()
        .find_map(|field| object.get(*field)?.as_str())
        .unwrap_or(c.word(0));
    let filters = ["update", "save"].map(|action| format!("{}.{action}.{key}", c.kind));
    let mut events = Events::open(c.client, &filters, Duration::from_secs(20)).ok();
    loop {
        if holds(&ask(c.client, "GET", &c.path(), None)?, c.word(1), &wanted) {
            return Ok(Output::Text("complete\n".into()));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Output::Text("timeout\n".into()));
        }
        let broken = match &mut events {
            Some(stream) => stream.next(deadline).is_err(),
            None => {
                std::thread::sleep(left.min(Duration::from_secs(2)));
                false
            }
        };
        if broken {
            events = Events::open(c.client, &filters, Duration::from_secs(20)).ok();
        }
    }
}

/// Compares as values, and a text also by how it is written.
fn holds(object: &Value, field: &str, wanted: &Value) -> bool {
    let Some(found) = object.pointer(&format!("/{field}")).or_else(|| object.get(field)) else {
        return false;
    };
    let bare = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    found == wanted || bare(found) == bare(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions() {
        let object = json!({"WorkflowComplete": true, "Stage": "none", "Params": {"x": 5}});
        assert!(holds(&object, "WorkflowComplete", &json!(true)));
        assert!(holds(&object, "Stage", &json!("none")) && holds(&object, "Params/x", &json!(5)));
        assert!(!holds(&object, "Stage", &json!("x")) && !holds(&object, "Nope", &json!(null)));
    }
}
