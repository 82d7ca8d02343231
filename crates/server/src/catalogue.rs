//! The list of files in the View, where checks and templates find it: kept by looking at the folders from time to time, and
//! at one file after each upload and deletion.
//!
//! One look at a time, each at what is there then: so the newest always wins. A look at everything that somebody asks for
//! while another is under way is shared by all who ask meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_api::Event;
use gantry_model::{Catalogue, Change, Record};
use gantry_store::blobs::{Error, Name};
use tokio::sync::Mutex;

use crate::clock;
use crate::core::Core;

/// Whose turn it is to look.
#[derive(Debug, Default)]
pub struct Keeper {
    /// How often a look at everything was asked for.
    asked: AtomicU64,
    /// How many of these the looks so far have answered. Held while looking.
    answered: Mutex<u64>,
}

impl Core {
    /// Looks which files there are. Returns when the View shows them.
    pub(crate) async fn refresh_catalogue(self: &Arc<Self>) {
        let mine = self.catalogue.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answered = self.catalogue.answered.lock().await;
        if *answered >= mine {
            return;
        }
        let all = self.catalogue.asked.load(Ordering::Relaxed);
        self.look(Self::list_files).await;
        *answered = all;
    }

    /// Looks at one file below the file root that came or went. Returns when the View shows it.
    pub(crate) async fn refresh_file(self: &Arc<Self>, name: Name) {
        let _turn = self.catalogue.answered.lock().await;
        self.look(move |core| {
            let known = core.state.view().catalogue().clone();
            if !known.complete {
                return core.list_files();
            }
            let mut files = known.files.clone();
            match core.size(&name) {
                Some(size) => files.insert(name.as_str().to_owned(), size),
                None => files.remove(name.as_str()),
            };
            Ok(files)
        })
        .await;
    }

    /// Puts what `list` finds into the View.
    async fn look(
        self: &Arc<Self>,
        list: impl FnOnce(&Self) -> Result<BTreeMap<String, u64>, Error> + Send + 'static,
    ) {
        let core = self.clone();
        let files = match tokio::task::spawn_blocking(move || list(&core)).await {
            Ok(Ok(files)) => files,
            Ok(Err(error)) => {
                tracing::error!(%error, "the files could not be listed");
                return;
            }
            Err(_) => return,
        };
        let view = self.state.view();
        let catalogue = Catalogue { files, complete: true };
        if catalogue == **view.catalogue() {
            return;
        }
        let catalogue = Arc::new(catalogue);
        let (_, changes) = view.recatalogued(Arc::clone(&catalogue));
        // A state that has ended says so to everybody who writes; nobody waits here.
        if self.state.set_catalogue(catalogue).await.is_ok() && self.bus.has_listeners() {
            changes.iter().for_each(|change| self.tell_of_files(change));
        }
    }

    /// What files make of an object is no change of the store: who listens hears of it all the same.
    fn tell_of_files(&self, change: &Change) {
        let shown = |record: &Option<Arc<Record>>| {
            record.as_ref().map(|record| record.wire_value()).unwrap_or_default()
        };
        self.bus.publish(Event {
            time: clock::now().to_string(),
            r#type: change.kind.prefix().to_owned(),
            action: "save".to_owned(),
            key: change.key.to_string(),
            principal: "files".to_owned(),
            object: shown(&change.after),
            original: shown(&change.before),
            ..Event::default()
        });
    }

    /// Sizes of the files that can be served, by path: those below the file root, and those that replace them.
    fn list_files(&self) -> Result<BTreeMap<String, u64>, Error> {
        let listed = self.files.list("")?.into_iter();
        let mut all: BTreeMap<String, u64> =
            listed.map(|blob| (blob.name.as_str().to_owned(), blob.size)).collect();
        replacements(&self.config.replace_root, "", &mut all);
        Ok(all)
    }

    /// The size of one of them, as [`Core::list_files`] would find it.
    fn size(&self, name: &Name) -> Option<u64> {
        let instead = std::fs::metadata(self.config.replace_root.join(name.as_str()));
        match instead {
            Ok(instead) if !instead.is_dir() => Some(instead.len()),
            _ => self.files.read(name).ok().map(|blob| blob.size()),
        }
    }
}

/// Files that the operator put in the place of others. A folder that cannot be read replaces nothing.
fn replacements(folder: &Path, below: &str, all: &mut BTreeMap<String, u64>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if meta.is_dir() {
            replacements(&entry.path(), &path, all);
        } else {
            all.insert(path, meta.len());
        }
    }
}
