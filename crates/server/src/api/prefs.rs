//! Preferences (reference: api.md §18).

use gantry_api::Error;
use gantry_api::refusal::Target;
use gantry_model::{View, preference};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::{Ask, body};

/// `GET /prefs`
pub(super) fn read(ask: &Ask) -> Answer {
    answer::ok(&all(&ask.view))
}

/// `POST /prefs`
pub(super) async fn write(mut ask: Ask) -> Answer {
    let given = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let Value::Object(given) = given else {
        let text = format!(
            "json: cannot unmarshal {} into Go value of type map[string]string",
            gantry_model::go::word(&given)
        );
        return Err(Error::malformed("POST", text));
    };
    let mut values = Vec::new();
    for (name, value) in given {
        let Value::String(value) = value else {
            return Err(
                Error::new(400, "POST", format!("{name} must be a string, not {value}")).about("prefs", "")
            );
        };
        values.push((name, value));
    }
    let written = ask.write("save", Target::Object, move |tx| tx.set_preferences(&values)).await?;
    answer::json(StatusCode::CREATED, &all(&written.view))
}

fn all(view: &View) -> Map<String, Value> {
    preference::ROWS.iter().map(|row| (row.name.to_owned(), view.preference(row.name).into())).collect()
}
