//! Events and log lines as they come.

use gantry_model::Kind;
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
    let filter = filter(typed.optional(0).unwrap_or("*"))?;
    watch(typed, &filter, from, |event| event).await
}

/// Types of events that are no kind of object.
const OTHER_TYPES: &[&str] = &["files", "gap", "isos", "log", "websocket"];

/// The filter that a word stands for: the types alone, with actions, or with keys, too. A server acknowledges any other, and
/// nothing would ever come. Events of any type can be posted, so only a word that is nothing but an unknown type is refused.
fn filter(word: &str) -> Result<String, Error> {
    let whole = match word.matches('.').count() {
        0 => format!("{word}.*.*"),
        1 => format!("{word}.*"),
        _ => word.to_owned(),
    };
    let types = || Kind::ALL.iter().map(|kind| kind.prefix()).chain(OTHER_TYPES.iter().copied());
    let asked = word.split('.').next().unwrap_or(word).split(',');
    let Some(unknown) = asked.into_iter().find(|name| *name != "*" && !types().any(|known| known == *name))
    else {
        return Ok(whole);
    };
    let mut known: Vec<_> = types().collect();
    known.sort_unstable();
    let meant = gantry_pack::similar(unknown, types()).map(|meant| format!("; did you mean `{meant}`?"));
    if word.matches('.').count() > 1 {
        output::say(&format!(
            "warning: `{unknown}` is no type of events: only what somebody posts will come{}",
            meant.unwrap_or_default()
        ));
        return Ok(whole);
    }
    Err(Error::Usage(format!(
        "`{unknown}` is no type of events{}\nknown are {}\nhint: `{unknown}.*.*` watches for events that somebody posts",
        meant.unwrap_or_default(),
        known.join(" ")
    )))
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
    fn a_filter_is_whole_or_refused() {
        let ok = |word: &str, want: &str| assert_eq!(filter(word).unwrap(), want);
        ok("*", "*.*.*");
        ok("machines,jobs", "machines,jobs.*.*");
        ok("machines.save", "machines.save.*");
        ok("mine.*.*", "mine.*.*");
        let error = filter("machine").unwrap_err().to_string();
        assert!(
            error
                .starts_with("`machine` is no type of events; did you mean `machines`?\nknown are bootenvs "),
            "{error}"
        );
        assert!(
            filter("machines,nope.save").unwrap_err().to_string().contains("`nope` is no type of events\n")
        );
    }

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
