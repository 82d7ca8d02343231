//! What all handlers and services of one server share.

use std::net::IpAddr;
use std::sync::Arc;

use gantry_api::Event;
use gantry_model::{Kind, Machine, Tx, View};
use gantry_state::{Audit, Failure, State};
use gantry_store::blobs::Blobs;
use tokio_util::sync::CancellationToken;

use crate::api::info::Infos;
use crate::api::joblog::JobLogs;
use crate::api::secure::Keys;
use crate::auth::{Caller, Passwords};
use crate::bus::Bus;
use crate::catalogue::Keeper;
use crate::clock;
use crate::config::{Config, Ports};
use crate::digests::Digests;
use crate::log::{Level, Log};
use crate::metrics::Metrics;
use crate::trace::{Note, Trace, TraceSink as _, Wanted};

/// One server, as its handlers see it.
pub struct Core {
    /// All objects, live.
    pub state: State,
    /// What the operator asked for.
    pub config: Config,
    /// What the server found out about itself.
    pub facts: Facts,
    /// Compiled templates.
    pub renderer: Arc<gantry_boot::Renderer>,
    /// Names that templates look up.
    pub(crate) lookups: crate::render::Lookups,
    /// What previews rendered, by what it was made of.
    pub memo: gantry_boot::memo::Memo,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Keys of secure parameters.
    pub secure: Keys,
    /// Everything below the root that machines see: files, ISOs, unpacked trees.
    pub files: Arc<Blobs>,
    /// Job logs.
    pub job_logs: JobLogs,
    /// What the server says about itself.
    pub info: Infos,
    /// Remembered digests of files.
    pub digests: Digests,
    /// Which files there are, as the View shows it.
    pub catalogue: Keeper,
    /// Boot traces.
    pub trace: Arc<Trace>,
    /// Events that are no change of an object.
    pub bus: Bus,
    /// The log that the API shows.
    pub log: Log,
    /// Counters.
    pub metrics: Metrics,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
}

/// What the server found out about itself at its start.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Name of this server.
    pub id: String,
    /// Name of the cluster.
    pub ha_id: String,
    /// MAC of the first usable interface.
    pub local_id: String,
    /// The ports that are really bound.
    pub ports: Ports,
}

/// A write that is durable, with a View that shows it.
#[derive(Debug)]
pub struct Written<T> {
    /// What the closure gave back.
    pub value: T,
    /// Shows the write.
    pub view: Arc<View>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Core {
    /// Runs `work` in a transaction in the name of `principal`; returns when it is durable and visible.
    ///
    /// # Errors
    /// As `State::write`.
    pub async fn write<T: Send + 'static, E: Send + 'static>(
        &self,
        principal: &str,
        action: &str,
        work: impl FnMut(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<Written<T>, Failure<E>> {
        let committed = self.state.write(Audit::new(principal, action), work).await?;
        Ok(Written { value: committed.value, view: self.state.view() })
    }

    /// Resolves when a revision after `revision` is visible, or the server stops.
    pub async fn changed_after(&self, revision: u64) {
        // A gap means that much has changed, and an end that nothing more will: both wake the caller.
        drop(self.state.subscribe(Some(revision)).next().await);
    }

    /// The level from which lines of `preference`'s service are kept.
    pub fn threshold(&self, view: &View, preference: &str) -> Level {
        Level::of_preference(&view.preference(preference))
    }

    /// Notes who gave a password.
    pub(crate) fn audit(&self, caller: &Caller, from: IpAddr) {
        if caller.by_password {
            let name = caller.principal.trim_start_matches("user:");
            let text = format!("Authenticated user {name} from {}", from.to_canonical());
            self.log.add(Level::Warn, Level::Audit, "frontend", "", text);
        }
    }

    /// Adds a line to the boot trace of a machine.
    pub(crate) fn note_machine(
        &self,
        view: &View,
        uuid: &str,
        from: Option<IpAddr>,
        kind: &'static str,
        text: String,
    ) {
        self.note_of(view, uuid, from, Note { kind, text, ..Note::default() });
    }

    /// As [`Core::note_machine`], with the whole note.
    pub(crate) fn note_of(&self, view: &View, uuid: &str, from: Option<IpAddr>, note: Note) {
        let machine = view.object::<Machine>(uuid);
        let mac = machine.as_ref().and_then(|machine| machine.hardware_addrs.first().cloned());
        // The address is for learning only when the request came from the machine itself.
        let own = machine
            .and_then(|machine| machine.address.0)
            .filter(|own| from.is_none_or(|from| from.to_canonical() == *own));
        self.trace.note(Note { machine: Some(uuid.to_owned()), mac, address: own, ..note });
    }

    /// After a file or ISO was uploaded.
    pub(crate) fn uploaded(&self, kind: &str, path: &str) {
        self.publish_blob(kind, "save", path);
    }

    /// After a file or ISO was deleted.
    pub(crate) fn removed(&self, kind: &str, path: &str) {
        self.publish_blob(kind, "delete", path);
    }

    fn publish_blob(&self, kind: &str, action: &str, path: &str) {
        self.bus.publish(Event {
            time: clock::now().to_string(),
            r#type: kind.to_owned(),
            action: action.to_owned(),
            key: path.to_owned(),
            ..Event::default()
        });
    }

    /// After an object was created through the API.
    pub(crate) fn created(&self, view: &View, kind: Kind, key: &str) {
        if let Some(machine) = machine(view, kind, key) {
            let text = format!("registered as {}, bootenv {}", machine.name, machine.boot_env);
            self.note_machine(view, key, None, "machine", text);
        }
    }

    /// After an object was changed through the API: what matters for a machine's way goes into its trace.
    pub(crate) fn changed(&self, before: &View, after: &View, kind: Kind, key: &str) {
        let (Some(old), Some(new)) = (machine(before, kind, key), machine(after, kind, key)) else { return };
        let fields = [
            ("workflow", &old.workflow, &new.workflow),
            ("stage", &old.stage, &new.stage),
            ("bootenv", &old.boot_env, &new.boot_env),
            ("address", &old.address.to_string(), &new.address.to_string()),
        ];
        for (word, old, new) in fields.into_iter().filter(|(_, old, new)| old != new) {
            let text = match (old.is_empty(), new.is_empty()) {
                (true, _) => format!("{word} {new}"),
                (false, true) => format!("{word} {old} -> none"),
                (false, false) => format!("{word} {old} -> {new}"),
            };
            self.note_machine(after, key, None, "machine", text);
        }
        if old.runnable != new.runnable {
            let text = if new.runnable { "runnable" } else { "not runnable" };
            self.note_machine(after, key, None, "machine", text.to_owned());
        }
    }

    /// After an object was deleted.
    pub(crate) fn deleted(self: &Arc<Self>, before: &View, kind: Kind, key: &str) {
        if let Some(machine) = machine(before, kind, key) {
            let now = self.state.view();
            // MACs are not unique: what lies under one that another machine has is that machine's history.
            let alone = |mac: &&String| now.find(Kind::Machine, "HardwareAddrs", mac).next().is_none();
            let macs = machine.hardware_addrs.iter().filter(alone).cloned().collect();
            let trace = self.trace.clone();
            let wanted = Wanted { machine: machine.uuid.to_string(), macs, ..Wanted::default() };
            let forget = move || {
                if let Err(error) = trace.forget(&wanted) {
                    tracing::warn!(%error, machine = wanted.machine, "the boot trace of a deleted machine stays");
                }
            };
            // Nobody waits for the files to be gone; the runtime finishes blocking work before it ends.
            drop(tokio::task::spawn_blocking(forget));
        }
        if kind == Kind::Job {
            let (core, key) = (self.clone(), key.to_owned());
            // Nobody waits for the file to be gone; the runtime finishes blocking work before it ends.
            drop(tokio::task::spawn_blocking(move || core.job_logs.delete(&key)));
        }
    }
}

fn machine(view: &View, kind: Kind, key: &str) -> Option<Arc<Machine>> {
    if kind == Kind::Machine { view.object(key) } else { None }
}
