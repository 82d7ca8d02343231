//! Where `boot` renders for the shell: files of boot environments, files and scripts of jobs, values of DHCP options.

mod lookups;
mod options;
mod route;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gantry_api::Error;
use gantry_boot::{File, JobAction, Server};
use gantry_model::{Job, Kind, Machine, View};
use serde_json::Value;

use crate::core::Core;
use crate::listen::Peer;
use crate::net::{Found, Wanted};
use crate::{clock, tokens};

pub(crate) use self::lookups::Lookups;
pub(crate) use self::options::Options;

/// Templates read lines of small files: the configuration of a loader, say.
const READABLE: u64 = 16 << 20;
/// A render that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// A name that is not resolved by then has no addresses.
const RESOLVING: Duration = Duration::from_secs(3);

/// The world as templates see it, for one render.
struct World {
    core: Arc<Core>,
    view: Arc<View>,
    since: Instant,
}

impl World {
    fn new(core: &Arc<Core>, view: &Arc<View>) -> Arc<Self> {
        Arc::new(Self { core: core.clone(), view: view.clone(), since: Instant::now() })
    }
}

impl gantry_template::Host for World {
    fn random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            chunk.copy_from_slice(&clock::random::<32>()[..chunk.len()]);
        }
    }

    fn now(&self) -> Duration {
        // A clock before 1970 is as good as none.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn resolve(&self, name: &str) -> Vec<String> {
        // A name that does not resolve has no addresses; templates expect that.
        let left = PATIENCE.saturating_sub(self.since.elapsed()).min(RESOLVING);
        self.core.lookups.addresses(name.to_owned(), left).unwrap_or_default()
    }

    fn file(&self, path: &str) -> Option<Arc<[u8]>> {
        // Only what is served may be read: a template decides over the path.
        let config = &self.core.config;
        let roots = [&config.replace_root, &config.file_root].into_iter();
        let mut served = roots.filter_map(|root| {
            let root = root.canonicalize().ok()?;
            let whole = root.join(path.trim_start_matches('/')).canonicalize().ok()?;
            let small = whole.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= READABLE);
            (whole.starts_with(&root) && small).then_some(whole)
        });
        std::fs::read(served.next()?).ok().map(Arc::from)
    }

    fn expired(&self) -> bool {
        self.since.elapsed() > PATIENCE
    }
}

impl gantry_boot::Host for World {
    fn machine_token(&self, machine: &Machine, seconds: i64) -> String {
        tokens::machine(&self.view, &machine.uuid.to_string(), seconds)
    }

    fn unknown_token(&self, seconds: i64) -> String {
        tokens::unknown(&self.view, seconds)
    }

    fn profile_token(&self, profile: &str, seconds: i64) -> String {
        tokens::profile(&self.view, profile, seconds)
    }

    fn open(&self, kind: Kind, key: &str, sealed: &Value) -> Option<Value> {
        self.core.secure.open_sealed(kind, key, sealed)
    }
}

/// This server as a client at `client` reaches it at `local`.
fn server(core: &Core, view: &View, local: IpAddr, client: Option<IpAddr>) -> Arc<Server> {
    let address = address(core, local);
    let info = core.info.at(core, view, address);
    Arc::new(Server { info, address, client: client.map(|address| address.to_canonical()) })
}

/// The address to advertise: the one that was called, unless the operator insists on another or it leads nowhere.
pub(crate) fn address(core: &Core, local: IpAddr) -> IpAddr {
    let local = local.to_canonical();
    match core.config.static_ip {
        Some(fixed) if core.config.force_static || local.is_unspecified() => fixed.into(),
        _ => local,
    }
}

/// A file that some boot environment renders for this client, if one does. Blocks while it renders.
pub(crate) fn file(core: &Arc<Core>, wanted: &Wanted) -> Found {
    let view = core.state.view();
    let server = server(core, &view, wanted.local, Some(wanted.client));
    let host: Arc<dyn gantry_boot::Host> = World::new(core, &view);
    match core.renderer.file(&view, &wanted.path, &server, &host) {
        Ok(File::Rendered(rendered)) => Found::Bytes(rendered.bytes.into()),
        Ok(File::Static(_)) => Found::Missing,
        Ok(File::Remote(url)) => {
            Found::Failed(format!("{url} is to be fetched from a repository, which is not there yet"))
        }
        Err(error) => {
            let text = error.messages().join("; ");
            core.log.add(
                core.threshold(&view, "debugRenderer"),
                crate::log::Level::Error,
                "renderer",
                "",
                format!("{}: {text}", wanted.path),
            );
            Found::Failed(text)
        }
    }
}

/// The files and scripts of a job (reference: api.md §11.7). Blocks while it renders.
///
/// # Errors
/// 404 and 422 as the reference says.
pub(crate) fn job_actions(
    core: &Arc<Core>,
    view: &Arc<View>,
    job: &str,
    os: &str,
    peer: Peer,
) -> Result<Vec<JobAction>, Error> {
    let missing = || Error::new(404, "ValidationError", format!("Job {job} does not exist"));
    let job = view.object::<Job>(job).ok_or_else(missing)?;
    let machine = view.object::<Machine>(&job.machine.to_string());
    let local = route::to_machine(machine.and_then(|machine| machine.address.0), peer.local.ip());
    let server = server(core, view, local, Some(peer.remote.ip()));
    let host: Arc<dyn gantry_boot::Host> = World::new(core, view);
    core.renderer.job_actions(view, &job, os, &server, &host).map_err(|error| {
        let r#type = if matches!(error, gantry_boot::Error::Render(_)) { "" } else { "ValidationError" };
        Error { messages: error.messages(), ..Error::new(422, r#type, "") }
    })
}
