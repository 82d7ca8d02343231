//! JSON into values, as Go's decoder does it: objects are `map[string]interface {}`, arrays are
//! `[]interface {}`, and every number is a `float64`.

use super::{Elem, Entries, INTERFACE_SIZE, List, Map, Value, grown_capacity};
use serde_json::Value as Json;
use std::sync::Arc;

impl From<Json> for Value {
    /// Frozen data, which can be shared between renders.
    fn from(json: Json) -> Self {
        Value::from(&json)
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        convert(json, &|entries| Map::frozen(Elem::Any, Arc::new(entries)))
    }
}

impl Value {
    /// JSON data for one render: templates may change its maps in place, as in Go.
    pub fn from_json_live(json: &Json) -> Value {
        convert(json, &Map::new)
    }
}

fn convert(json: &Json, make_map: &dyn Fn(Entries) -> Map) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Float(n.as_f64().unwrap_or(f64::INFINITY)),
        Json::String(s) => Value::from(s.as_str()),
        Json::Array(items) => {
            let items: Vec<Value> = items.iter().map(|item| convert(item, make_map)).collect();
            let cap = grown_capacity(items.len(), INTERFACE_SIZE);
            Value::List(List::with_capacity(Elem::Any, items, cap))
        }
        Json::Object(fields) => Value::Map(make_map(
            fields.iter().map(|(k, v)| (k.as_str().into(), convert(v, make_map))).collect(),
        )),
    }
}
