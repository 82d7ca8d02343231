//! Waiting until an object is as wanted, without polling.

use std::time::Duration;

use serde_json::Value;

use crate::{Client, Error};

/// How a wait ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Waited {
    /// The object is as wanted; this is how it was then.
    Complete(Value),
    /// The time is over; this is how it was last.
    Timeout(Value),
}

impl Client {
    /// Waits until `test` likes the object at `prefix`/`key`, for `timeout` at most. It looks at once, then after every
    /// event of the object (reference: api.md §16.4), so nothing is missed between looking and listening.
    ///
    /// # Errors
    /// See [`Error`]; also when the object does not exist or the stream breaks.
    pub async fn wait_for(
        &self,
        prefix: &str,
        key: &str,
        timeout: Duration,
        test: impl Fn(&Value) -> bool,
    ) -> Result<Waited, Error> {
        let path = format!("/{prefix}/{key}");
        let first = self.get(&path, &[]).await?;
        let spec = gantry_model::Kind::from_prefix(prefix).map(gantry_model::Kind::spec);
        let field = spec.map_or("Name", |spec| spec.key_field);
        let native = first.get(field).and_then(Value::as_str).unwrap_or(key).to_owned();
        let mut events = self.events(None).await?;
        events.register(&format!("{prefix}.update,save.{native}")).await?;
        let mut seen = self.get(&path, &[]).await?;
        let deadline = tokio::time::Instant::now() + timeout;
        while !test(&seen) {
            match tokio::time::timeout_at(deadline, events.next()).await {
                Err(_) => return Ok(Waited::Timeout(seen)),
                Ok(event) => drop(event?),
            }
            seen = self.get(&path, &[]).await?;
        }
        Ok(Waited::Complete(seen))
    }
}
