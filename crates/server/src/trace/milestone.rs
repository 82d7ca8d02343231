//! What agents tell of their machines: check-in, restart by kexec or by firmware, power off.
//!
//! An agent posts an event of type `trace` whose key is its machine's UUID (`POST /events`), with an `Object` of `Mode`
//! (`discovery` or `service`), `BootID`, `Kernel`, `Uptime` (seconds since the kernel's start) and `Milestones` (points
//! before, each with `Name` and `Uptime`). Nothing of it is believed further than it is written down: fields that are
//! something else are left out, texts and lists are cut.

use gantry_api::Event;
use serde_json::{Map, Value, json};

use super::Note;

/// The type of events that agents post for the trace.
const TYPE: &str = "trace";
/// Letters of a text that are kept.
const LONGEST: usize = 64;
/// Milestones that are kept.
const MOST: usize = 32;
/// The `Mode` of the agent in the discovery OS.
const DISCOVERY: &str = "discovery";

/// The note for an event that the agent of machine `uuid` posted, unless it is about something else.
pub(crate) fn note(event: &Event, uuid: &str) -> Option<Note> {
    if event.r#type != TYPE || !event.key.eq_ignore_ascii_case(uuid) {
        return None;
    }
    let data = data(&event.object);
    let system = match data.get("Mode").and_then(Value::as_str) {
        Some(DISCOVERY) => "the discovery OS",
        _ => "its own system",
    };
    let after = data.get("Uptime").and_then(Value::as_f64).map(|uptime| format!("{uptime:.1} s"));
    let up = after.as_ref().map_or(String::new(), |after| format!(", {after} after its kernel's start"));
    let (kind, text) = match event.action.as_str() {
        "checkin" => ("agent", format!("check-in from {system}{up}")),
        "kexec" => ("power", format!("kexec out of {system}{up}")),
        "reboot" => ("power", format!("reboot out of {system}{up}")),
        "poweroff" => ("power", format!("power off by {system}{up}")),
        _ => return None,
    };
    Some(Note { kind, text, data, ..Note::default() })
}

/// The known fields, each as far as it is what it should be.
fn data(object: &Value) -> Map<String, Value> {
    let mut data = Map::new();
    for name in ["Mode", "BootID", "Kernel"] {
        let given = object.get(name).and_then(Value::as_str).map(short);
        data.extend(given.map(|text| (name.to_owned(), Value::from(text))));
    }
    data.extend(seconds(object).map(|uptime| ("Uptime".to_owned(), uptime)));
    let milestones = object.get("Milestones").and_then(Value::as_array).into_iter().flatten().take(MOST);
    let milestones: Vec<Value> = milestones.filter_map(milestone).collect();
    data.insert("Milestones".into(), milestones.into());
    data
}

fn milestone(given: &Value) -> Option<Value> {
    let name = given.get("Name").and_then(Value::as_str)?;
    Some(json!({ "Name": short(name), "Uptime": seconds(given)? }))
}

/// `Uptime`, to a hundredth.
fn seconds(object: &Value) -> Option<Value> {
    let uptime = object.get("Uptime").and_then(Value::as_f64).filter(|uptime| *uptime >= 0.0)?;
    Some(Value::from((uptime * 100.0).round() / 100.0))
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(r#type: &str, action: &str, key: &str, object: Value) -> Option<Note> {
        let event = Event {
            r#type: r#type.into(),
            action: action.into(),
            key: key.into(),
            object,
            ..Event::default()
        };
        note(&event, "u-1")
    }

    #[test]
    fn each_milestone_has_its_line() {
        let object = json!({ "Mode": "discovery", "Kernel": "6.1", "Uptime": 4.267, "Milestones": [] });
        let line = |action: &str| noted("trace", action, "U-1", object.clone()).map(|note| note.text);
        let after = "4.3 s after its kernel's start";
        assert_eq!(line("checkin").unwrap(), format!("check-in from the discovery OS, {after}"));
        assert_eq!(line("kexec").unwrap(), format!("kexec out of the discovery OS, {after}"));
        assert_eq!(line("reboot").unwrap(), format!("reboot out of the discovery OS, {after}"));
        assert_eq!(line("poweroff").unwrap(), format!("power off by the discovery OS, {after}"));
        assert_eq!(line("explode"), None);
        let own = noted("trace", "checkin", "u-1", json!({ "Mode": "service" })).unwrap();
        assert_eq!((own.kind, own.text.as_str()), ("agent", "check-in from its own system"));
    }

    #[test]
    fn nobody_speaks_for_another_machine_and_other_events_are_none() {
        assert_eq!(noted("trace", "checkin", "u-2", json!({})), None);
        assert_eq!(noted("beeblebrox", "checkin", "u-1", json!({})), None);
    }

    #[test]
    fn what_is_noted_is_bounded() {
        let milestone = json!({ "Name": "x".repeat(10_000), "Uptime": 1, "More": "y".repeat(10_000) });
        let object = json!({
            "Mode": "m\n".repeat(10_000), "Kernel": 7, "Uptime": -1, "BootID": ["z".repeat(10_000)],
            "Milestones": vec![milestone; 1_000], "Else": "w".repeat(10_000),
        });
        let note = noted("trace", "reboot", "u-1", object).unwrap();
        assert_eq!(note.text, "reboot out of its own system");
        let names: Vec<&String> = note.data.keys().collect();
        assert_eq!(names, ["Milestones", "Mode"]);
        assert!(Value::Object(note.data).to_string().len() < 4_000);
    }
}
