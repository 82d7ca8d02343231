//! The one file tree that machines see, as the services of [`crate::net`] read it: files below `replace-root` first, then
//! what boot environments render for the client, then files below `file-root`, then folders.

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::Core;
use crate::net::{Boxed, FileSource, Found, Served, ServedSink, Wanted};
use crate::{clock, incident, render};

/// The folder of `store::blobs` for its own files, below the file root.
pub(crate) const PRIVATE: &str = ".gantry";

/// The file tree of one server.
#[derive(Debug)]
pub struct Tree {
    core: Arc<Core>,
    replace: PathBuf,
    root: PathBuf,
}

impl Tree {
    /// The tree of `core`.
    pub fn new(core: Arc<Core>) -> Self {
        let (replace, root) = (core.config.replace_root.clone(), core.config.file_root.clone());
        Self { core, replace, root }
    }

    fn find(core: &Arc<Core>, replace: &Path, root: &Path, wanted: &Wanted) -> Found {
        if let Some(found) = plain(replace, &wanted.path) {
            return found;
        }
        match render::file(core, wanted) {
            Found::Missing => {}
            found => return found,
        }
        plain(root, &wanted.path).or_else(|| folder(root, &wanted.path)).unwrap_or(Found::Missing)
    }
}

impl FileSource for Tree {
    fn open<'a>(&'a self, wanted: &'a Wanted) -> Boxed<'a, Found> {
        Box::pin(async move {
            let (core, replace, root, wanted) =
                (self.core.clone(), self.replace.clone(), self.root.clone(), wanted.clone());
            let work = move || Self::find(&core, &replace, &root, &wanted);
            let joined = tokio::task::spawn_blocking(work).await;
            joined.unwrap_or_else(|error| Found::Failed(incident::why_not(error)))
        })
    }
}

/// An ordinary file below `root`. Links that lead out of it are not followed.
fn plain(root: &Path, path: &str) -> Option<Found> {
    let whole = inside(root, path)?;
    let file = File::open(whole).ok()?;
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Found::File { size: meta.len(), modified: meta.modified().ok(), file })
}

fn folder(root: &Path, path: &str) -> Option<Found> {
    let whole = inside(root, path)?;
    let entries = std::fs::read_dir(whole).ok()?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok().filter(|name| name != PRIVATE)?;
            let slash = if entry.file_type().ok()?.is_dir() { "/" } else { "" };
            Some(format!("{name}{slash}"))
        })
        .collect();
    names.sort_unstable();
    Some(Found::Folder(names))
}

/// The real place of a clean relative path, if it lies below the root.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    // What the blobs keep for themselves (uploads under way, the lock) is nobody's business.
    if path.split('/').any(|part| part == PRIVATE) {
        return None;
    }
    let root = root.canonicalize().ok()?;
    let whole = root.join(path).canonicalize().ok()?;
    whole.starts_with(&root).then_some(whole)
}

/// Publishes an event for every file that was served (reference: api.md §16.1).
#[derive(Debug)]
pub struct Announce(pub Arc<Core>);

impl ServedSink for Announce {
    fn served(&self, served: &Served) {
        if !self.0.bus.has_listeners() {
            return;
        }
        let service = match served.wanted.protocol.word() {
            "tftp" => "tftp",
            _ => "static",
        };
        self.0.bus.publish(gantry_api::Event {
            time: clock::now().to_string(),
            r#type: service.into(),
            action: "serve".into(),
            key: served.wanted.path.clone(),
            principal: service.into(),
            object: serde_json::json!({
                "Path": served.wanted.path,
                "Status": served.status,
                "Bytes": served.bytes,
                "Duration": served.duration.as_secs_f64(),
                "Remote": address(served.wanted.client),
                "Error": served.error,
            }),
            ..gantry_api::Event::default()
        });
    }
}

fn address(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}
