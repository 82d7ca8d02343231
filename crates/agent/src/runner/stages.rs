//! Which stage follows when a machine without a workflow has done all tasks of its stage: the parameter
//! `change-stage/map` of 2018 (engine.md §4.13), which servers leave to the agent.

use crate::http::{Client, Fault, decode};
use crate::session::exit::After;
use crate::session::{NextStage, Reply};
use serde::Deserialize;
use serde_json::Value;

/// What follows an installer that no map speaks of.
const AFTER_INSTALL: &str = "local";

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Stage {
    reboot: bool,
}

/// Asks the map, and the stage that it names whether it wants a restart.
pub(super) fn next(client: &Client, uuid: &str, stage: &str, installing: bool) -> Result<Reply, Fault> {
    let map = match client.get(&format!("machines/{uuid}/params/change-stage/map?aggregate=true")) {
        Ok(answer) => answer.body,
        Err(Fault::Refused(refusal)) if matches!(refusal.code, 404 | 422) => Value::Null,
        Err(fault) => return Err(fault),
    };
    let Some(mut next) = choose(&map, stage, installing).map_err(Fault::Nonsense)? else {
        return Ok(Reply::NextStage(None));
    };
    let there: Stage = decode("stage", client.get(&format!("stages/{}", next.stage))?.body)?;
    if there.reboot && next.then == After::Continue {
        next.then = After::Reboot;
    }
    Ok(Reply::NextStage(Some(next)))
}

/// An entry is `STAGE` or `STAGE:Success`, `:Reboot`, `:Stop`, `:Shutdown`.
fn choose(map: &Value, stage: &str, installing: bool) -> Result<Option<NextStage>, String> {
    let entry = map.get(stage).and_then(Value::as_str).filter(|entry| !entry.is_empty());
    let entry = match entry {
        Some(entry) => entry,
        None if installing => AFTER_INSTALL,
        None => return Ok(None),
    };
    let (next, target) = entry.split_once(':').unwrap_or((entry, "Success"));
    let then = match target {
        "" | "Success" => After::Continue,
        "Reboot" => After::Reboot,
        "Stop" => After::Stop,
        "Shutdown" => After::PowerOff,
        other => {
            return Err(format!(
                "entry {entry} of {stage}: {other} is not Success, Reboot, Stop or Shutdown"
            ));
        }
    };
    Ok(Some(NextStage { stage: next.to_owned(), then }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_map() {
        let map = json!({"a": "b", "b": "c:Reboot", "c": "d:Stop", "d": "e:Shutdown", "e": "f:Success", "f": "", "g": "h:Fly"});
        let text = |stage: &str, installing| match choose(&map, stage, installing) {
            Ok(Some(next)) => format!("{} {:?}", next.stage, next.then),
            Ok(None) => "none".to_owned(),
            Err(text) => text,
        };
        let rows = [
            ("a", "b Continue"),
            ("b", "c Reboot"),
            ("c", "d Stop"),
            ("d", "e PowerOff"),
            ("e", "f Continue"),
            ("f", "none"),
            ("x", "none"),
            ("g", "entry h:Fly of g: Fly is not Success, Reboot, Stop or Shutdown"),
        ];
        for (stage, expected) in rows {
            assert_eq!(text(stage, false), expected, "{stage}");
        }
        assert_eq!(text("x", true), "local Continue");
        assert_eq!(text("a", true), "b Continue");
        assert_eq!(choose(&Value::Null, "a", false), Ok(None));
    }
}
