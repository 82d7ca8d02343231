//! The virtual file tree: what is behind a path.
//!
//! Rendered files are not kept anywhere, not even their names. A path leads to machines by what it contains (a UUID, a MAC
//! address with colons or dashes, an address dotted or in hexadecimal, a name); the templates of such a machine's boot
//! environment and stage are candidates, and the one whose path template renders to the path is the file. Then come the
//! templates of the boot environment for unknown machines, then those of the machine that asks (paths that name nobody).
//! What no template claims is a file on disk. So the cost of a look-up does not depend on the size of the fleet.

mod names;

use std::sync::Arc;

use gantry_model::kinds::bootenv::clean_path;
use gantry_model::{BootEnv, Key, Kind, Machine, Record, Stage, View, is_install_source};
use gantry_template::{Limits, Set};

use crate::Error;
use crate::bootenv;
use crate::compile::{Compiled, CompiledFile, PATTERN, Pattern, Renderer};
use crate::host::{Host, Server};
use crate::scene::{Cast, Scene, machine_at};
use names::candidates;

/// What is behind a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// A rendered file.
    Rendered(Rendered),
    /// A file on disk, if there is one: the cleaned path below the root of the file tree.
    Static(String),
    /// A file of a remote repository, to be fetched and passed on.
    Remote(String),
}

/// A rendered file and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// The template behind it.
    pub source: Source,
}

/// Which template of which object a file comes from, and for which machine it was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `Kind::BootEnv` or `Kind::Stage`.
    pub kind: Kind,
    /// The name of the environment or stage.
    pub object: String,
    /// The name of the template in it.
    pub template: String,
    /// The machine; none for files for unknown machines.
    pub machine: Option<Key>,
}

/// How deep links may lead to links.
const LINKS: usize = 4;

impl Renderer {
    /// What is behind `path`. Backslashes count as slashes, and a path cannot climb above the root.
    ///
    /// # Errors
    /// [`Error::Render`] when a template claims the path but fails; nothing of it may be sent then.
    pub fn file(
        &self,
        view: &View,
        path: &str,
        server: &Arc<Server>,
        host: &Arc<dyn Host>,
    ) -> Result<File, Error> {
        let mut path = clean_path(&path.replace('\\', "/"));
        for _ in 0..LINKS {
            match self.resolve(view, &path, server, host)? {
                Target::File(file) => return Ok(file),
                Target::Link(next) => path = clean_path(&next),
            }
        }
        Ok(File::Static(path))
    }

    /// Every file that is rendered for a machine now: path and source. For `explain` and for checks.
    ///
    /// # Errors
    /// [`Error::Render`] with one message for each path that does not render.
    pub fn files_of(
        &self,
        view: &View,
        machine: &Arc<Machine>,
        server: &Arc<Server>,
        host: &Arc<dyn Host>,
    ) -> Result<Vec<(String, Source)>, Error> {
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for owner in self.owners(view, Some(machine)) {
            errors.extend(owner.compiled.messages());
            for file in &owner.compiled.files {
                for mac in owner.cards(file) {
                    let scene = Arc::new(owner.scene(view, host, server, mac, ""));
                    match file.path.as_ref().map(|pattern| render_pattern(pattern, &scene)) {
                        Some(Ok(path)) if owner.mountable(file) => {
                            found.push((path.trim_start_matches('/').to_owned(), owner.source(file)));
                        }
                        Some(Err(error)) => errors.push(format!(
                            "Error rendering template {} path {}: {error}",
                            file.info.name, file.info.path
                        )),
                        _ => {}
                    }
                }
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(Error::Render(errors)) }
    }

    fn resolve(
        &self,
        view: &View,
        path: &str,
        server: &Arc<Server>,
        host: &Arc<dyn Host>,
    ) -> Result<Target, Error> {
        let asking = server.client.and_then(|address| machine_at(view, address));
        let asks = |record: &Arc<Record>| asking.as_ref().is_some_and(|asking| asking.key() == record.key());
        let mut named = candidates(view, path);
        // Of several machines that a path may mean, the one that asks.
        named.sort_by_key(|record| !asks(record));
        for record in &named {
            if let Some(target) = self.claimed(view, Some(&record.typed()), path, server, host)? {
                return Ok(target);
            }
        }
        if let Some(target) = self.claimed(view, None, path, server, host)? {
            return Ok(target);
        }
        if let Some(record) = asking.as_ref().filter(|_| !named.iter().any(asks))
            && let Some(target) = self.claimed(view, Some(&record.typed()), path, server, host)?
        {
            return Ok(target);
        }
        Ok(Target::File(remote(view, path, server, host).unwrap_or_else(|| File::Static(path.to_owned()))))
    }

    /// The file of one machine, or of nobody, at the path.
    fn claimed(
        &self,
        view: &View,
        machine: Option<&Arc<Machine>>,
        path: &str,
        server: &Arc<Server>,
        host: &Arc<dyn Host>,
    ) -> Result<Option<Target>, Error> {
        for owner in self.owners(view, machine) {
            for file in &owner.compiled.files {
                let Some(pattern) = file.path.as_ref().filter(|pattern| pattern.may_be(path)) else {
                    continue;
                };
                if !owner.mountable(file) {
                    continue;
                }
                for mac in owner.cards(file) {
                    let scene = Arc::new(owner.scene(view, host, server, mac, path));
                    // A path that does not render claims nothing.
                    let Ok(rendered) = render_pattern(pattern, &scene) else { continue };
                    if clean_path(&rendered) == path {
                        return owner.produce(file, &scene).map(Some);
                    }
                }
            }
        }
        Ok(None)
    }

    /// The objects whose templates are files now: the machine's environment and stage, or the environment for the unknown.
    pub(crate) fn owners(&self, view: &View, machine: Option<&Arc<Machine>>) -> Vec<Owner> {
        let env_name =
            machine.map_or_else(|| view.preference("unknownBootEnv"), |machine| machine.boot_env.clone());
        let cast = Cast::of(view, machine.cloned(), &env_name);
        let owner = |kind, object: &str, compiled| Owner {
            kind,
            object: object.into(),
            compiled,
            cast: cast.clone(),
        };
        let mut owners = Vec::new();
        if let Some(record) = view.record(Kind::BootEnv, &env_name) {
            owners.push(owner(Kind::BootEnv, &env_name, self.compiled_env(view, record, &cast)));
        }
        // The files of a stage stay while its machine's environment is gone.
        if let Some(record) = machine.and_then(|machine| view.record(Kind::Stage, &machine.stage)) {
            owners.push(owner(Kind::Stage, record.key(), self.compiled(view, record)));
        }
        owners
    }

    /// The templates of an environment as the machine of the cast sees it.
    fn compiled_env(&self, view: &View, record: &Arc<Record>, cast: &Cast) -> Arc<Compiled> {
        let own = cast.env.clone().unwrap_or_default();
        if Arc::ptr_eq(&own, &record.typed::<BootEnv>()) {
            return self.compiled(view, record);
        }
        Arc::new(Compiled::new(&self.root(view), record.key(), &own.templates))
    }
}

impl Cast {
    /// A machine with the boot environment of this name and its stage; nobody with the environment.
    pub(crate) fn of(view: &View, machine: Option<Arc<Machine>>, env: &str) -> Self {
        Self {
            env: bootenv::for_machine(view, machine.as_deref(), env),
            stage: machine.as_ref().and_then(|machine| view.object::<Stage>(&machine.stage)),
            machine,
            shared: Arc::default(),
        }
    }
}

enum Target {
    File(File),
    Link(String),
}

/// An object with templates, for one machine or for nobody.
pub(crate) struct Owner {
    pub(crate) kind: Kind,
    pub(crate) object: Arc<str>,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) cast: Cast,
}

impl Owner {
    /// The same owner for nobody in particular.
    pub(crate) fn without_machine(mut self) -> Self {
        self.cast = Cast { env: self.cast.env, ..Cast::default() };
        self
    }

    /// The network cards that a template makes a file for: each for a per-card template of an environment, else "none".
    pub(crate) fn cards(&self, file: &CompiledFile) -> Vec<Option<String>> {
        match &self.cast.machine {
            Some(machine) if file.per_card && self.kind == Kind::BootEnv => {
                machine.hardware_addrs.iter().map(|mac| Some(mac.to_ascii_lowercase())).collect()
            }
            _ => vec![None],
        }
    }

    /// A path made of the address makes no sense while there is none.
    pub(crate) fn mountable(&self, file: &CompiledFile) -> bool {
        let path = &file.info.path;
        let by_address = path.contains(".Machine.Address") || path.contains(".Machine.HexAddress");
        let has_address = self
            .cast
            .machine
            .as_ref()
            .is_some_and(|machine| machine.address.0.is_some_and(|a| !a.is_unspecified()));
        !by_address || has_address
    }

    pub(crate) fn scene(
        &self,
        view: &View,
        host: &Arc<dyn Host>,
        server: &Arc<Server>,
        mac: Option<String>,
        path: &str,
    ) -> Scene {
        let mut scene = Scene::new(view, host, server, self.cast.clone());
        scene.mac = mac;
        path.clone_into(&mut scene.path);
        scene
    }

    fn source(&self, file: &CompiledFile) -> Source {
        Source {
            kind: self.kind,
            object: self.object.to_string(),
            template: file.info.name.clone(),
            machine: self.cast.machine.as_ref().map(|machine| machine.uuid.to_string().into()),
        }
    }

    fn produce(&self, file: &CompiledFile, scene: &Arc<Scene>) -> Result<Target, Error> {
        if !self.compiled.errors.is_empty() {
            return Err(Error::Render(self.compiled.messages()));
        }
        if let Some(link) = &file.link {
            return render_pattern(link, scene).map(Target::Link).map_err(|error| Error::Render(vec![error]));
        }
        let bytes =
            render(&self.compiled.set, file.call(), scene).map_err(|error| Error::Render(vec![error]))?;
        Ok(Target::File(File::Rendered(Rendered { bytes, source: self.source(file) })))
    }
}

/// Renders a template with the scene as dot.
pub(crate) fn render(set: &Set, name: &str, scene: &Arc<Scene>) -> Result<Vec<u8>, String> {
    render_or_fail(set, name, scene).map_err(|error| error.message)
}

/// The same, with the place of a failure.
pub(crate) fn render_or_fail(
    set: &Set,
    name: &str,
    scene: &Arc<Scene>,
) -> Result<Vec<u8>, gantry_template::Error> {
    let mut bytes = Vec::new();
    set.render(name, &scene.dot(), &Limits::default(), &**scene, &mut bytes)?;
    Ok(bytes)
}

fn render_pattern(pattern: &Pattern, scene: &Arc<Scene>) -> Result<String, String> {
    render(&pattern.set, PATTERN, scene).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A boot file that is missing in the unpacked tree but reachable in a repository (engine §1.8, "lookaside").
fn remote(view: &View, path: &str, server: &Arc<Server>, host: &Arc<dyn Host>) -> Option<File> {
    if view.catalogue().has_file(path) || !path.contains("/install/") {
        return None;
    }
    let scene = Scene::new(view, host, server, Cast::default());
    let entries = scene.param("package-repositories")?.value;
    let (os, file) = path.split_once("/install/")?;
    let (os, arch) = os.split_once('/').unwrap_or((os, "amd64"));
    let entry = entries.as_array()?.iter().find(|entry| is_install_source(entry, os, arch))?;
    let text =
        |name: &str| entry.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let url = match text("bootloc") {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), file.rsplit('/').next()?),
        None => format!("{}/{file}", text("url")?.trim_end_matches('/')),
    };
    Some(File::Remote(url))
}
