//! What a server starts with beyond what is built in: first objects, and first values of preferences.

use std::collections::BTreeMap;

use gantry_model::{Error, Kind, Tx, User, View, builtin};

use crate::auth::password;

/// The password of the first user, which DRP's clients try when they are told nothing.
const FIRST_PASSWORD: &str = "r0cketsk8ts";

/// Whether a store still needs [`first_objects`]. Users say nothing about it: a content pack may bring some.
pub(crate) fn is_fresh(view: &View) -> bool {
    view.preference("baseTokenSecret").is_empty()
}

/// The hash of the first user's password. Slow by design.
pub(crate) fn first_hash() -> Option<Vec<u8>> {
    password::hash(FIRST_PASSWORD)
}

/// Whether the first user still has the password that every reader of the documents knows. Slow by design.
pub(crate) fn has_first_password(view: &View) -> bool {
    let user = view.object::<User>(builtin::FIRST_USER);
    user.is_some_and(|user| password::verify(FIRST_PASSWORD, &user.password_hash.0))
}

/// Fills a fresh store: the model's first objects, and the preferences that the operator gave at the command line.
///
/// # Errors
/// When a given preference is refused.
pub(crate) fn first_objects(
    tx: &mut Tx,
    given: &BTreeMap<&'static str, String>,
    hash: &[u8],
) -> Result<(), Error> {
    let unset = |name: &&str| tx.view().record(Kind::Preference, name).is_none();
    let given: Vec<(String, String)> = given
        .iter()
        .filter(|(name, _)| unset(name))
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    builtin::first_objects(tx, hash)?;
    tx.set_preferences(&given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_gave_is_the_first_value() {
        let mut tx = Tx::new(View::base(), crate::clock::dice());
        let given = BTreeMap::from([("defaultStage", "local".to_owned())]);
        first_objects(&mut tx, &given, b"hash").unwrap();
        assert_eq!(tx.view().preference("defaultStage"), "local");
        assert_eq!(tx.view().preference("baseTokenSecret").len(), 32);
    }

    /// A store whose first pack has users is as fresh as any: without a secret of its own, anybody could make tokens.
    #[test]
    fn users_of_a_pack_do_not_leave_a_store_without_secrets() {
        let pack = serde_json::json!({
            "meta": { "Name": "people" }, "sections": { "users": { "joe": { "Name": "joe" } } },
        });
        let (view, _) = View::base().put_layer(gantry_model::Layer::from_value(pack).unwrap(), 0).unwrap();
        assert!(is_fresh(&view));
        let mut tx = Tx::new(view, crate::clock::dice());
        first_objects(&mut tx, &BTreeMap::new(), b"hash").unwrap();
        assert!(!is_fresh(tx.view()));
        assert_eq!(tx.view().preference("systemGrantorSecret").len(), 32);
        assert!(tx.view().record(Kind::Profile, "global").is_some());
        let other = BTreeMap::from([("defaultStage", "local".to_owned())]);
        first_objects(&mut tx, &other, b"hash").unwrap();
        assert_eq!(tx.view().preference("defaultStage"), "none", "what is stored is left alone");
    }

    #[test]
    fn the_first_password_is_known_again_until_it_is_changed() {
        for (hash, stands) in [(first_hash(), true), (password::hash("another"), false)] {
            let mut tx = Tx::new(View::base(), crate::clock::dice());
            first_objects(&mut tx, &BTreeMap::new(), &hash.unwrap()).unwrap();
            assert_eq!(has_first_password(tx.view()), stands);
        }
        assert!(!has_first_password(&View::base()), "nobody is there");
    }
}
