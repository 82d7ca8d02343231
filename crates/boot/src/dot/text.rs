//! Texts that methods of dot take apart or make: URLs, netmasks, JSON.

use gantry_template::{Fail, Scope, Value};
use serde_json::Value as Json;

use crate::object::fail;

/// A part of a URL, as Go takes it apart: `scheme`, `host` with its port, `path`.
pub(super) fn parse_url(part: &str, url: &str, scope: &mut Scope<'_>) -> Result<Value, Fail> {
    if !["scheme", "host", "path"].contains(&part) {
        return fail(format!("No idea how to get URL part {part} from {url}"));
    }
    let parsed = scope.function("urlParse", &[Value::from(url)]).map_err(|error| {
        let message = error.to_string();
        Fail::text(message.strip_prefix("unable to parse url: ").unwrap_or(&message))
    })?;
    match parsed {
        Value::Map(map) => Ok(map.get(part.as_bytes()).unwrap_or(Value::Nil)),
        _ => Ok(Value::Nil),
    }
}

/// Compact JSON as Go writes it, with a newline at its end.
pub(super) fn json(value: &Json, scope: &mut Scope<'_>) -> Result<Value, Fail> {
    match scope.function("mustToJson", &[Value::from(value)])? {
        Value::Str(text) => Ok(Value::from(format!("{}\n", text.to_text()))),
        other => Ok(other),
    }
}

/// The length of a dotted netmask.
pub(super) fn netmask_to_cidr(mask: &str) -> Result<Value, Fail> {
    match mask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => Ok(Value::Int(i64::from(u32::from(mask).leading_ones()))),
        Err(_) => fail(format!("{mask} is no netmask such as 255.255.255.0")),
    }
}
