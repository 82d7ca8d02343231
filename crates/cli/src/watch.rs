//! Events and log lines as they come.

use serde_json::Value;

use crate::run::Typed;
use crate::{Error, output};

type Answer = Result<Option<Value>, Error>;

pub(crate) async fn events(typed: &Typed<'_>) -> Answer {
    let from = match typed.flag("from") {
        Some(text) => {
            let wrong =
                |_| Error::Usage(format!("--from is `{text}`; it must be a revision, a whole number"));
            Some(text.parse().map_err(wrong)?)
        }
        None => None,
    };
    watch(typed, typed.optional(0).unwrap_or("*.*.*"), from, |event| event).await
}

pub(crate) async fn logs(typed: &Typed<'_>) -> Answer {
    watch(typed, "log.*.*", None, |mut event| event.get_mut("Object").map(Value::take).unwrap_or(event)).await
}

async fn watch(typed: &Typed<'_>, filter: &str, from: Option<u64>, pick: impl Fn(Value) -> Value) -> Answer {
    let mut events = typed.session.client.events(from).await?;
    events.register(filter).await?;
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = tokio::signal::ctrl_c() => return Ok(None),
        };
        let event = pick(serde_json::to_value(event).unwrap_or_default());
        let line = typed.session.format.is_table().then(|| line(&event));
        output::print(&line.unwrap_or_else(|| typed.session.format.render(&event)));
    }
}

/// An event or a log line for people: when, what, who.
fn line(value: &Value) -> String {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let what = match value.get("Message") {
        Some(_) => format!("{:<5} {}: {}", text("Level"), text("Service"), text("Message")),
        None => format!("{}.{}.{}{}", text("Type"), text("Action"), text("Key"), name(value)),
    };
    let who = text("Principal");
    let who = if who.is_empty() { String::new() } else { format!("  by {who}") };
    format!("{}  {what}{who}", text("Time"))
}

/// The name of the event's object, where its key says nothing to people.
fn name(event: &Value) -> String {
    let name = event.pointer("/Object/Name").and_then(Value::as_str).unwrap_or_default();
    let told = name.is_empty() || event.get("Key").is_some_and(|key| key == name);
    if told { String::new() } else { format!(" ({name})") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_per_event_and_log_line() {
        let event =
            json!({ "Time": "t", "Type": "machines", "Action": "create", "Key": "m", "Principal": "user:a" });
        assert_eq!(line(&event), "t  machines.create.m  by user:a");
        let named = json!({ "Time": "t", "Type": "machines", "Action": "save", "Key": "m", "Object": { "Name": "n" } });
        assert_eq!(line(&named), "t  machines.save.m (n)");
        let logged =
            json!({ "Time": "t", "Level": "warn", "Service": "frontend", "Message": "x", "Principal": "" });
        assert_eq!(line(&logged), "t  warn  frontend: x");
    }
}
