//! Bodies that are no objects of a kind, read as Go's decoder reads them: the names of fields count in any case, null leaves a
//! field as it is (reference: api.md §1.5). Objects of a kind are read by `gantry_model::decode`, which does the same.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// Reads `value` as a `T` whose fields have defaults.
///
/// # Errors
/// What does not fit.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Lenient(value))
}

struct Lenient(Value);

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(map) => visitor.visit_map(&mut MapDeserializer::new(named(map, fields))),
            Value::Null => visitor.visit_map(&mut MapDeserializer::new(named(Map::new(), fields))),
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            other => other.deserialize_struct(name, fields, visitor),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                visitor.visit_seq(&mut SeqDeserializer::new(items.into_iter().map(Lenient)))
            }
            Value::Object(map) => visitor.visit_map(&mut MapDeserializer::new(
                map.into_iter().map(|(name, item)| (name, Lenient(item))),
            )),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// What was given for fields, under their own names. An exact name wins over one in other case.
fn named(
    mut map: Map<String, Value>,
    fields: &'static [&'static str],
) -> impl Iterator<Item = (&'static str, Lenient)> {
    map.retain(|_, value| !value.is_null());
    fields.iter().filter_map(move |field| {
        let other = || map.keys().find(|name| name.eq_ignore_ascii_case(field)).cloned();
        let name = if map.contains_key(*field) { Some((*field).to_owned()) } else { other() };
        Some((*field, Lenient(map.remove(&name?)?)))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Event;
    use crate::types::Whoami;

    #[test]
    fn names_count_in_any_case_and_null_is_nothing() {
        let given = json!({
            "fingerprint": { "ssnhash": "a", "MemoryIds": ["x"], "CSNHash": null }, "MACADDRS": null, "OnDiskUUID": "u", "odd": 1,
        });
        let read: Whoami = from_value(given).unwrap();
        assert_eq!((read.fingerprint.ssn_hash.as_str(), read.on_disk_uuid.as_str()), ("a", "u"));
        assert_eq!((read.fingerprint.memory_ids, read.mac_addrs), (vec!["x".to_owned()], Vec::new()));
        assert_eq!(from_value::<Whoami>(Value::Null).unwrap(), Whoami::default());
        let both: Event =
            from_value(json!({ "type": "lower", "Type": "exact", "object": { "A": [null, 1] } })).unwrap();
        assert_eq!((both.r#type.as_str(), both.object), ("exact", json!({ "A": [null, 1] })));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for wrong in [json!([]), json!("x"), json!({ "MacAddrs": "x" }), json!({ "Fingerprint": 1 })] {
            assert!(from_value::<Whoami>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
