//! The packs of the house, which travel in the program: what a fresh server has, and what other packs are checked against.

use std::path::Path;
use std::sync::Arc;

use gantry_model::{Layer, View};
use include_dir::{Dir, include_dir};

use crate::{Error, Pack, document, is_pack};

static OURS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../content");

/// The packs as a server loads them. Packs that are uploaded may shadow their objects: public content brings a boot
/// environment `sledgehammer`, too, and who loads it means that one.
///
/// # Errors
/// Everything that is wrong with them; a test keeps that from happening.
pub fn layers() -> Result<Vec<Arc<Layer>>, Error> {
    packs()?
        .into_iter()
        .map(|mut pack| {
            pack.meta.insert("Type".to_owned(), "default".into());
            pack.meta.insert("Overwritable".to_owned(), true.into());
            pack.layer()
        })
        .collect()
}

/// What a fresh server has: the model's objects, and the packs of the house but for those that `without` names.
///
/// # Errors
/// As [`layers`], and when they do not get along with each other.
pub fn fresh(without: impl Fn(&str) -> bool) -> Result<View, Error> {
    let mut view = View::base();
    for layer in layers()?.into_iter().filter(|layer| !without(layer.name())) {
        let name = layer.name().to_owned();
        let named =
            || Pack { meta: [("Name".to_owned(), name.into())].into_iter().collect(), ..Pack::default() };
        view = view.put_layer(layer, view.revision() + 1).map_err(|error| named().wrong(error))?.0;
    }
    Ok(view)
}

/// The manual of the packs, as Markdown, from their objects' descriptions.
///
/// # Errors
/// As [`layers`].
pub fn manual() -> Result<String, Error> {
    Ok(packs()?.iter().map(document).collect())
}

fn packs() -> Result<Vec<Pack>, Error> {
    let packs =
        OURS.dirs().filter(|folder| is_pack(|name| folder.get_file(folder.path().join(name)).is_some()));
    packs.map(|folder| Pack::from_files(&folder.path().to_string_lossy(), embedded(folder))).collect()
}

/// Files of an embedded folder and of the folders in it, by path below it.
fn embedded<'a>(folder: &'a Dir<'a>) -> Vec<(String, Vec<u8>)> {
    let inner = folder.dirs().flat_map(Dir::files);
    let files = folder.files().chain(inner);
    let name = |path: &Path| path.strip_prefix(folder.path()).unwrap_or(path).to_string_lossy().into_owned();
    files.map(|file| (name(file.path()), file.contents().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::Kind;

    #[test]
    fn our_packs_load_and_are_usable() {
        let view = fresh(|_| false).unwrap();
        assert!(view.record(Kind::Template, "setup.tmpl").is_some());
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
    fn a_pack_of_the_house_can_be_left_out() {
        let view = fresh(|name| name == "core").unwrap();
        assert!(view.record(Kind::Template, "setup.tmpl").is_none());
    }
}
