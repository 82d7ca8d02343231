//! What the tests share: a fixed clock, a View to start from, and short ways to change it.

use gantry_model::{Error, Kind, Now, Time, Tx, View, builtin};
use serde_json::Value;

/// Noon of some day, with ids that are the same in every run.
pub(crate) fn now() -> Now {
    Now::new(Time::from_unix(1_700_000_000), [1; 32])
}

/// The built-in objects, profile `global`, the first user and the preferences.
pub(crate) fn base() -> View {
    let mut tx = Tx::new(View::base(), now());
    builtin::first_objects(&mut tx, b"hash").unwrap();
    tx.into_parts().0
}

/// A draft over [`base`].
pub(crate) fn draft() -> Tx {
    Tx::new(base(), now())
}

/// The UUID with the number `n` at its end.
pub(crate) fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub(crate) fn create(tx: &mut Tx, kind: Kind, value: Value) -> Value {
    match tx.create(kind, value) {
        Ok(record) => record.wire_value(),
        Err(error) => panic!("{error}"),
    }
}

/// The messages of a refusal.
pub(crate) fn messages(error: Error) -> Vec<String> {
    match error {
        Error::Invalid { messages, .. }
        | Error::InUse { messages, .. }
        | Error::Conflict { messages, .. } => messages,
        other => vec![other.to_string()],
    }
}
