//! What fields hold when nobody gives them a value, found out by filling an object made of nothing.
//!
//! For the reference page: the defaults are written down once, in the kinds' own code.

use serde_json::{Map, Value};

use crate::check::Fill;
use crate::{Kind, Now, Time, View, decode};

impl Kind {
    /// The stored fields of a new object that was given no field at all. Fields for which the server makes a fresh value
    /// each time (ids, secrets) are left out.
    #[must_use]
    pub fn defaults(self) -> Map<String, Value> {
        let (mut one, other) = (filled(self, 0), filled(self, 1));
        one.retain(|name, value| other.get(name) == Some(value));
        one
    }
}

fn filled(kind: Kind, seed: u8) -> Map<String, Value> {
    let (view, now) = (View::base(), Now::new(Time::from_unix(0), [seed; 32]));
    // Null stands for an object without fields, which always decodes.
    let mut object = decode::object(kind, Value::Null).unwrap_or_default();
    (kind.spec().erased.fill)(&mut object, &Fill { view: &view, now: &now, before: None });
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_told_and_fresh_values_are_not() {
        let machine = Kind::Machine.defaults();
        assert_eq!((machine["Pool"].as_str(), machine["Runnable"].as_bool()), (Some("default"), Some(true)));
        assert_eq!((machine.get("Uuid"), machine.get("Secret")), (None, None));
        assert_eq!(Kind::Subnet.defaults()["Pickers"][0], "hint");
    }
}
