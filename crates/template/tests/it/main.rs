//! Tests at the border of the crate: templates and data in, text or an error out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod errors;
mod goldens;
mod hostile;
mod limits;
mod objects;
mod protocol;
mod random;
mod reference;
mod sets;
mod structs;

use gantry_template::{Error, NoHost, Set, Value};
use serde_json::Value as Json;

/// Renders one template over JSON data.
fn render(text: &str, data: &Json) -> Result<String, Error> {
    let mut set = Set::new();
    set.parse("main", text)?;
    set.render_to_string("main", &Value::from_json_live(data), &NoHost::default())
}

/// Asserts what a template without data gives.
#[track_caller]
fn check(text: &str, want: &str) {
    assert_eq!(render(text, &Json::Null).unwrap(), want, "{text}");
}
