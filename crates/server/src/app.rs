//! One server from start to stop: open the store, bind the sockets, serve, drain.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_model::builtin::FIRST_USER;
use gantry_state::{Setup, State};
use gantry_store::blobs::Blobs;
use gantry_store::{Embedded, Memory, Options, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::joblog::JobLogs;
use crate::api::secure::Keys;
use crate::api::{Api, interfaces};
use crate::auth::Passwords;
use crate::bus::Bus;
use crate::config::{Config, Ports};
use crate::core::{Core, Facts};
use crate::files::{Announce, Tree};
use crate::listen::{self, Handler};
use crate::log::{Level, Log};
use crate::metrics::{Metrics, Page};
use crate::net::files::Files;
use crate::net::{FileSource, Protocol, Reports};
use crate::trace::Trace;
use crate::{builtin, clock, rules, seal, services, tls};

/// The store's file below `--data-root`.
pub(crate) const STORE: &str = "gantry.db";
/// How often the list of files is compared with what is there.
const CATALOGUE_LOOK: Duration = Duration::from_secs(30);
/// How often the boot trace goes to disk; a crash loses no more than that.
const TRACE_FLUSH: Duration = Duration::from_secs(1);
/// How often boot traces that are too old, or too many, are removed.
const TRACE_TIDY: Duration = Duration::from_secs(3600);

/// Said at every start until it is mended.
fn first_password_stands() -> String {
    format!(
        "the user {FIRST_USER} still has the password that everybody knows; \
         give it another: gantry users password {FIRST_USER} NEW"
    )
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder cannot be made or used.
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files beside the objects cannot be used.
    #[error(transparent)]
    Blobs(#[from] gantry_store::blobs::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] gantry_store::Error),
    /// The objects cannot be read.
    #[error(transparent)]
    State(#[from] gantry_state::Error),
    /// A content pack cannot be used.
    #[error(transparent)]
    Content(#[from] gantry_pack::Error),
    /// The first objects of a fresh store were refused: a flag that sets a preference is wrong.
    #[error("a preference given at start is refused: {0}")]
    First(String),
    /// No certificate to serve with.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// A port is taken or may not be used.
    #[error("cannot listen on {service} {address}: {source}")]
    Listen {
        /// Which service.
        service: &'static str,
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// What the parent handed over is no listening socket.
    #[error("an inherited listener cannot be used: {0}")]
    Inherited(io::Error),
    /// A lower service could not be set up.
    #[error("{service} cannot be served: {reason}")]
    Service {
        /// Which service.
        service: &'static str,
        /// Why.
        reason: String,
    },
}

/// A server that is serving.
#[derive(Debug)]
pub struct App {
    core: Arc<Core>,
    tasks: TaskTracker,
}

/// The TCP listeners of a server, before anything is served on them.
struct Listeners {
    api: Vec<TcpListener>,
    files: Vec<TcpListener>,
    secure_files: Vec<TcpListener>,
    metrics: Vec<TcpListener>,
}

impl App {
    /// Opens everything and begins to serve. `inherited` are listeners that the parent process bound, by service name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(config: Config, inherited: Vec<(String, StdListener)>) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        let names = interfaces::names();
        let tls = tls::server_config(&config.tls, config.curve, names.clone())?;
        let files_tls = match &config.static_tls {
            Some(pair) => tls::server_config(pair, config.curve, names)?,
            None => tls.clone(),
        };
        let (listeners, mut ports) = bind(&config, inherited).await?;
        let udp = services::bind(&config, &mut ports)?;
        let core = open(config, ports, stop.clone()).await?;
        let tasks = TaskTracker::new();
        let app = Self { core, tasks };
        let reports = app.reports();
        let tree: Arc<dyn FileSource> = Arc::new(Tree::new(app.core.clone()));
        app.serve_tcp(listeners, &tls, &files_tls, &tree, &reports);
        services::start(&app.core, &app.tasks, udp, &tree, &reports)?;
        app.core.refresh_catalogue().await;
        app.keep_catalogue();
        app.tasks.spawn(seal::keep(app.core.clone()));
        app.keep_trace();
        app.warn_of_first_password();
        app.tasks.close();
        Ok(app)
    }

    /// What the server's parts share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The ports that are really bound.
    pub fn ports(&self) -> Ports {
        self.core.facts.ports
    }

    /// Resolves when the server cannot go on by itself: its store failed.
    pub async fn failed(&self) -> gantry_state::Error {
        self.core.state.ended().await
    }

    /// Stops listening, lets requests under way finish, writes what is not yet written.
    pub async fn stop(self) {
        self.core.stop.cancel();
        self.tasks.wait().await;
        let core = self.core;
        // Nothing is left to do when the blocking thread cannot be had.
        let _ = tokio::task::spawn_blocking(move || {
            flush_trace(&core.trace);
            core.job_logs.sync();
            // The last handle on the state finishes its writes here, on a thread that may block.
            drop(core);
        })
        .await;
    }

    fn reports(&self) -> Reports {
        let core = &self.core;
        let served = Arc::new(Announce(core.clone()));
        Reports { trace: core.trace.clone(), served, counters: core.metrics.boot_services.clone() }
    }

    fn serve_tcp(
        &self,
        listeners: Listeners,
        tls: &Arc<rustls::ServerConfig>,
        files_tls: &Arc<rustls::ServerConfig>,
        tree: &Arc<dyn FileSource>,
        reports: &Reports,
    ) {
        let files = |protocol| Files::new(tree.clone(), reports.clone(), protocol);
        let secure = files(Protocol::Https);
        let shared = self.core.config.services.files.then(|| secure.clone());
        self.serve(listeners.api, Some(tls), &Api { core: self.core.clone(), files: shared });
        self.serve(listeners.files, None, &files(Protocol::Http));
        self.serve(listeners.secure_files, Some(files_tls), &secure);
        self.serve(listeners.metrics, None, &Page(self.core.metrics.clone()));
    }

    fn serve(
        &self,
        listeners: Vec<TcpListener>,
        tls: Option<&Arc<rustls::ServerConfig>>,
        handler: &impl Handler,
    ) {
        for listener in listeners {
            self.tasks.spawn(listen::serve(listener, tls.cloned(), handler.clone(), self.core.stop.clone()));
        }
    }

    /// Files may be put below the root by hand, or be unpacked there by a tool.
    fn keep_catalogue(&self) {
        let core = self.core.clone();
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(CATALOGUE_LOOK);
            loop {
                tokio::select! {
                    _ = tick.tick() => core.refresh_catalogue().await,
                    () = core.stop.cancelled() => return,
                }
            }
        });
    }

    /// Beside the start, not in its way: the check takes as long as a login.
    fn warn_of_first_password(&self) {
        let core = self.core.clone();
        self.tasks.spawn_blocking(move || {
            if builtin::has_first_password(&core.state.view()) {
                let text = first_password_stands();
                tracing::warn!("{text}");
                core.log.add(Level::Warn, Level::Warn, "frontend", "", text);
            }
        });
    }

    fn keep_trace(&self) {
        let (trace, stop) = (self.core.trace.clone(), self.core.stop.clone());
        self.tasks.spawn(async move {
            let (mut flush, mut tidy) =
                (tokio::time::interval(TRACE_FLUSH), tokio::time::interval(TRACE_TIDY));
            loop {
                let work = tokio::select! {
                    _ = flush.tick() => flush_trace,
                    _ = tidy.tick() => tidy_trace,
                    () = stop.cancelled() => return,
                };
                let trace = trace.clone();
                // They report themselves what fails.
                let _ = tokio::task::spawn_blocking(move || work(&trace)).await;
            }
        });
    }
}

fn flush_trace(trace: &Trace) {
    if let Err(error) = trace.flush() {
        tracing::error!(%error, "the boot trace could not be written");
    }
}

fn tidy_trace(trace: &Trace) {
    if let Err(error) = trace.tidy() {
        tracing::error!(%error, "old boot traces could not be removed");
    }
}

/// Binds what was not inherited, and says which ports it became.
async fn bind(config: &Config, inherited: Vec<(String, StdListener)>) -> Result<(Listeners, Ports), Error> {
    let mut all =
        Listeners { api: Vec::new(), files: Vec::new(), secure_files: Vec::new(), metrics: Vec::new() };
    for (name, listener) in inherited {
        let listener = TcpListener::from_std(listener).map_err(Error::Inherited)?;
        match name.as_str() {
            "files" => all.files.push(listener),
            "secure-files" => all.secure_files.push(listener),
            "metrics" => all.metrics.push(listener),
            _ => all.api.push(listener),
        }
    }
    let mut ports = config.ports;
    let wanted = [
        ("API", &mut all.api, &mut ports.api, true),
        ("files", &mut all.files, &mut ports.files, config.services.files),
        ("secure files", &mut all.secure_files, &mut ports.secure_files, config.services.files),
        ("metrics", &mut all.metrics, &mut ports.metrics, true),
    ];
    for (service, listeners, port, on) in wanted {
        if !on {
            continue;
        }
        let failed = |source| Error::Listen { service, address: format!("{}:{port}", config.listen), source };
        let listener = listen::bind(config.listen, *port).await.map_err(failed)?;
        *port = listener.local_addr().map_err(Error::Inherited)?.port();
        listeners.push(listener);
    }
    Ok((all, ports))
}

/// Opens store, files and state, and gives a fresh store its first objects.
async fn open(config: Config, ports: Ports, stop: CancellationToken) -> Result<Arc<Core>, Error> {
    let core = tokio::task::spawn_blocking(move || open_blocking(config, ports, stop)).await;
    let core = core.map_err(|_| Error::State(gantry_state::Error::Panicked))??;
    for aside in core.state.set_aside().iter() {
        tracing::error!(kind = %aside.kind, key = aside.key, why = aside.why, "set aside: it cannot be read; replace or remove it");
        core.log.add(
            Level::Error,
            Level::Error,
            "state",
            "",
            format!("set aside, it cannot be read: {}", aside.why),
        );
    }
    if builtin::is_fresh(&core.state.view()) {
        let hash = tokio::task::spawn_blocking(builtin::first_hash).await.ok().flatten();
        let hash = hash.ok_or_else(|| Error::First("no password hash could be made".into()))?;
        let given = core.config.preferences.clone();
        let first = core.write("server", "start", move |tx| builtin::first_objects(tx, &given, &hash));
        first.await.map_err(|error| Error::First(error.to_string()))?;
    }
    Ok(core)
}

fn open_blocking(config: Config, ports: Ports, stop: CancellationToken) -> Result<Arc<Core>, Error> {
    let memory = config.data_root.is_none();
    let renderer = Arc::new(gantry_boot::Renderer::new());
    make(&config.base_root)?;
    let key_file = (!memory).then(|| config.base_root.join("secure.key"));
    let keys = Keys::open_file(key_file.as_deref());
    let keys = keys.map_err(|source| Error::Folder { path: config.base_root.clone(), source })?;
    let state = open_state(&config, rules::all(&renderer, &keys))?;
    for folder in [&config.file_root, &config.replace_root, &config.log_root] {
        make(folder)?;
    }
    let local_id = interfaces::local_id();
    let or = |given: &str, other: &str| if given.is_empty() { other.to_owned() } else { given.to_owned() };
    let id = or(&config.id, &local_id);
    let facts = Facts { ha_id: or(&config.ha_id, &id), id, local_id, ports };
    let bus = Bus::default();
    Ok(Arc::new(Core {
        state,
        facts,
        renderer,
        lookups: crate::render::Lookups::default(),
        memo: gantry_boot::memo::Memo::default(),
        passwords: Passwords::default(),
        secure: keys,
        files: Arc::new(Blobs::open(&config.file_root)?),
        job_logs: JobLogs::new(Blobs::open(&config.log_root)?),
        info: crate::api::info::Infos::default(),
        digests: crate::digests::Digests::open(
            config.file_root.join(crate::files::PRIVATE).join("sums"),
            stop.clone(),
        ),
        catalogue: crate::catalogue::Keeper::default(),
        trace: Arc::new(Trace::new((!memory).then(|| config.trace_root.clone()))),
        log: Log::new(bus.clone()),
        bus,
        metrics: Metrics::default(),
        stop,
        config,
    }))
}

/// The state over the store that `config` names, with the packs that it builds on.
pub(crate) fn open_state(config: &Config, rules: Arc<dyn gantry_model::Rules>) -> Result<State, Error> {
    let store: Arc<dyn Store> = match &config.data_root {
        None => Arc::new(Memory::default()),
        Some(folder) => {
            make(folder)?;
            Arc::new(Embedded::open(&folder.join(STORE), Options::default())?)
        }
    };
    let mut layers = vec![Arc::new(gantry_model::builtin::layer())];
    layers.extend(gantry_pack::builtin::layers()?);
    for folder in &config.content {
        let given = gantry_pack::Pack::read_all(folder)?;
        let given: Vec<_> = given.iter().map(gantry_pack::Pack::layer).collect::<Result<_, _>>()?;
        // A pack of the same name on disk stands in for ours.
        layers.retain(|layer| !given.iter().any(|other| other.name() == layer.name()));
        layers.extend(given);
    }
    Ok(State::open(store, Setup { clock: Box::new(clock::dice), rules, layers })?)
}

fn make(folder: &PathBuf) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.clone(), source })
}

/// The address that a client on this machine calls a bound port by.
pub fn loopback(port: u16) -> SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, port).into()
}
