//! What a server starts with beyond the model's built-in objects: our own content packs, and first values of preferences.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::{Error, Kind, Layer, Tx, View, builtin};
use gantry_pack::Pack;
use include_dir::{Dir, include_dir};

use crate::auth::password;

static OURS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../content");
/// The password of the first user, which DRP's clients try when they are told nothing.
const FIRST_PASSWORD: &str = "r0cketsk8ts";

/// Our own packs, which travel in the program. Packs that are uploaded may shadow their objects: public content brings a
/// boot environment `sledgehammer`, too, and who loads it means that one.
///
/// # Errors
/// Everything that is wrong with them; a test keeps that from happening.
pub(crate) fn packs() -> Result<Vec<Arc<Layer>>, gantry_pack::Error> {
    ours()?
        .into_iter()
        .map(|mut pack| {
            pack.meta.insert("Type".to_owned(), "default".into());
            pack.meta.insert("Overwritable".to_owned(), true.into());
            pack.layer()
        })
        .collect()
}

/// The manual of our own packs, as Markdown, from their objects' descriptions.
///
/// # Errors
/// As when they are loaded.
pub fn manual() -> Result<String, gantry_pack::Error> {
    Ok(ours()?.iter().map(gantry_pack::document).collect())
}

fn ours() -> Result<Vec<Pack>, gantry_pack::Error> {
    let packs = OURS
        .dirs()
        .filter(|folder| gantry_pack::is_pack(|name| folder.get_file(folder.path().join(name)).is_some()));
    packs.map(|folder| Pack::from_files(&folder.path().to_string_lossy(), embedded(folder))).collect()
}

/// Files of an embedded folder and of the folders in it, by path below it.
fn embedded<'a>(folder: &'a Dir<'a>) -> Vec<(String, Vec<u8>)> {
    let inner = folder.dirs().flat_map(Dir::files);
    let files = folder.files().chain(inner);
    let name = |path: &std::path::Path| {
        path.strip_prefix(folder.path()).unwrap_or(path).to_string_lossy().into_owned()
    };
    files.map(|file| (name(file.path()), file.contents().to_vec())).collect()
}

/// Whether a store still needs [`first_objects`].
pub(crate) fn is_fresh(view: &View) -> bool {
    view.count(Kind::User) == 0
}

/// The hash of the first user's password. Slow by design.
pub(crate) fn first_hash() -> Option<Vec<u8>> {
    password::hash(FIRST_PASSWORD)
}

/// Fills a fresh store: the model's first objects, then the preferences that the operator gave at the command line.
///
/// # Errors
/// When a given preference is refused.
pub(crate) fn first_objects(
    tx: &mut Tx,
    given: &BTreeMap<&'static str, String>,
    hash: &[u8],
) -> Result<(), Error> {
    builtin::first_objects(tx, hash)?;
    let given: Vec<(String, String)> =
        given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    tx.set_preferences(&given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        packs().unwrap().into_iter().fold(View::base(), |view, layer| view.put_layer(layer, 0).unwrap().0)
    }

    #[test]
    fn our_packs_load_and_are_usable() {
        let view = view();
        for kind in [Kind::BootEnv, Kind::Stage, Kind::Workflow, Kind::Task] {
            for record in view.records(kind) {
                assert!(
                    record.derived().available(),
                    "{kind} {}: {:?}",
                    record.key(),
                    record.derived().errors()
                );
            }
        }
    }

    #[test]
    fn what_the_operator_gave_is_the_first_value() {
        let mut tx = Tx::new(view(), crate::clock::dice());
        let given = BTreeMap::from([("defaultStage", "local".to_owned())]);
        first_objects(&mut tx, &given, b"hash").unwrap();
        assert_eq!(tx.view().preference("defaultStage"), "local");
        assert_eq!(tx.view().preference("baseTokenSecret").len(), 32);
    }
}
