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
        let event = serde_json::to_value(event).unwrap_or_default();
        output::print(&typed.session.format.render(&pick(event)));
    }
}
