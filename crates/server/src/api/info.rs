//! `/info`, `/objects` and plugin actions (reference: api.md §19, §9).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_api::Error;
use gantry_api::operation::WITH_ACTIONS;
use gantry_model::kinds::info::Stat;
use gantry_model::needs::FEATURES;
use gantry_model::{Info, Kind, View};
use gantry_state::SetAside;
use serde_json::{Map, Value, json};

use super::Ask;
use super::answer::{self, Answer};
use crate::core::Core;

/// Actions that every kind has, then those of single scopes (reference: api.md §15.4).
const ACTIONS: &[&str] = &["action", "actions", "create", "delete", "get", "list", "update"];
const SCOPES: &[(&str, &[&str])] = &[
    ("contents", &["create", "delete", "get", "list", "update"]),
    ("events", &["post"]),
    ("files", &["delete", "get", "list", "post"]),
    ("info", &["get"]),
    ("interfaces", &["get", "list"]),
    ("isos", &["delete", "get", "list", "post"]),
    ("jobs", &["log"]),
    ("logs", &["get"]),
    ("machines", &["getSecure", "releaseToPool", "token", "updateSecure", "updateTaskList", "whoami"]),
    ("objects", &["list"]),
    ("plugins", &["getSecure", "updateSecure"]),
    ("preferences", &["list", "post"]),
    ("profiles", &["getSecure", "updateSecure"]),
    ("stages", &["getSecure", "updateSecure"]),
    ("system", &["action", "actions", "active", "passive", "replicate", "upgrade"]),
    ("users", &["password", "token"]),
];

/// `GET /info`
pub(super) fn info(ask: &Ask) -> Answer {
    answer::ok(&*describe(ask))
}

/// What this server says about itself to this caller.
pub(super) fn describe(ask: &Ask) -> Arc<Info> {
    ask.api.info.at(&ask.api, &ask.view, crate::render::address(&ask.api, ask.peer.local.ip()))
}

/// What was said to those who reach the server at an address: every rendered file needs it, and it hardly changes.
///
/// The contract: an answer is a function of the address, of what is [`Told`], and of [`Core`]'s facts and configuration, which are
/// fixed at start. `of` is given nothing else, so that what is remembered cannot be out of date.
#[derive(Debug, Default)]
pub struct Infos(Mutex<HashMap<IpAddr, (Told, Arc<Info>)>>);

/// All that changes while a server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    /// How many objects there are of the kinds that are counted.
    counts: [usize; COUNTED.len()],
    /// Preference `manager`.
    manager: bool,
    /// What could not be read at the start, at most [`UNREADABLE`] of it and then how much more.
    errors: Vec<String>,
}

/// Kinds whose number is told.
const COUNTED: [Kind; 3] = [Kind::Machine, Kind::Subnet, Kind::Context];
/// Addresses that are remembered; a server has few.
const ADDRESSES: usize = 64;
/// Objects that cannot be read and are named.
const UNREADABLE: usize = 20;

impl Infos {
    /// What this server says about itself to somebody who reaches it at `address`.
    pub(crate) fn at(&self, core: &Core, view: &View, address: IpAddr) -> Arc<Info> {
        let told = Told {
            counts: COUNTED.map(|kind| view.count(kind)),
            manager: view.preference("manager") == "true",
            errors: unreadable(&core.state.set_aside()),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, info)) = known.get(&address).filter(|(seen, _)| *seen == told) {
            return info.clone();
        }
        // A server has few addresses; whoever makes up many makes it forget, not grow.
        if known.len() >= ADDRESSES {
            known.clear();
        }
        let info = Arc::new(of(core, told.clone(), address));
        known.insert(address, (told, info.clone()));
        info
    }
}

/// Names only: machines read this, too, and why an object cannot be read may quote its values. The log says it.
fn unreadable(aside: &[SetAside]) -> Vec<String> {
    let named = aside.iter().take(UNREADABLE);
    let named = named.map(|it| format!("{}/{} cannot be read, the log says why", it.kind, it.key));
    let more = aside.len().checked_sub(UNREADABLE).filter(|more| *more > 0);
    named.chain(more.map(|more| format!("and {more} more that cannot be read"))).collect()
}

fn of(core: &Core, told: Told, address: IpAddr) -> Info {
    let (facts, config) = (&core.facts, &core.config);
    let (ports, services) = (facts.ports, config.services);
    Info {
        arch: arch().into(),
        os: "linux".into(),
        version: gantry_api::DRP_VERSION.into(),
        gantry_version: env!("CARGO_PKG_VERSION").into(),
        id: facts.id.clone(),
        local_id: facts.local_id.clone(),
        ha_id: facts.ha_id.clone(),
        ha_active_id: facts.ha_id.clone(),
        ha_enabled: false,
        ha_is_active: true,
        ha_virtual_address: String::new(),
        ha_status: "Up".into(),
        ha_passive_state: Vec::new(),
        api_port: ports.api.into(),
        file_port: ports.files.into(),
        secure_file_port: ports.secure_files.into(),
        tftp_port: ports.tftp.into(),
        dhcp_port: ports.dhcp.into(),
        binl_port: ports.binl.into(),
        tftp_enabled: services.tftp,
        dhcp_enabled: services.dhcp,
        binl_enabled: services.binl,
        prov_enabled: services.files,
        secure_prov_enabled: services.files,
        address: address.into(),
        server_hostname: String::new(),
        manager: told.manager,
        stats: COUNTED.iter().zip(told.counts).map(|(kind, count)| stat(*kind, count)).collect(),
        features: FEATURES.iter().map(|word| (*word).to_owned()).collect(),
        scopes: scopes().into_iter().collect(),
        license: license(&facts.id),
        cluster_state: cluster(&facts.ha_id),
        errors: told.errors,
    }
}

fn stat(kind: Kind, count: usize) -> Stat {
    Stat { name: format!("{}.count", kind.prefix()), count: i64::try_from(count).unwrap_or(i64::MAX) }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn scopes() -> Map<String, Value> {
    let mut scopes = Map::new();
    let of_kind =
        Kind::ALL.iter().filter(|kind| WITH_ACTIONS.contains(&kind.prefix()) || kind.spec().verbs.create);
    for kind in of_kind {
        scopes.insert(kind.prefix().into(), words(ACTIONS));
    }
    for (scope, actions) in SCOPES {
        let entry = scopes.entry(*scope).or_insert_with(|| json!({}));
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), words(actions)) {
            entry.extend(more);
        }
    }
    scopes
}

fn words(words: &[&str]) -> Value {
    words.iter().map(|word| ((*word).to_owned(), json!({}))).collect::<Map<_, _>>().into()
}

/// Nothing is licensed: every feature is there, for ever.
fn license(id: &str) -> Map<String, Value> {
    let names = [
        "upto-nodes",
        "ad-auth",
        "billing",
        "callback",
        "manager",
        "pool",
        "rack",
        "rbac",
        "secure-params",
        "ux-views",
    ];
    let licenses: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "Name": name, "Active": true, "Expired": false, "ShortLicense": "Open", "LongLicense": "",
                "PurchaseDate": "0001-01-01T00:00:00Z", "StartDate": "0001-01-01T00:00:00Z",
                "SoftExpireDate": "9999-01-01T00:00:00Z", "HardExpireDate": "9999-01-01T00:00:00Z",
                "Version": "", "Data": null,
            })
        })
        .collect();
    let license = json!({
        "Contact": "", "ContactEmail": "", "ContactId": "", "Owner": "", "OwnerEmail": "", "OwnerId": "",
        "Grantor": "Gantry", "GrantorEmail": "", "Version": "", "GenerationVersion": "",
        "Endpoints": [id], "MaxDrpVersion": "", "Licenses": licenses,
    });
    license.as_object().cloned().unwrap_or_default()
}

/// The cluster of a server that stands alone (reference: api.md §20).
fn cluster(id: &str) -> Map<String, Value> {
    let alone = json!({
        "LoadBalanced": false, "Enabled": false, "ConsensusEnabled": false, "ConsensusJoin": "", "VirtAddr": "",
        "ServerHostname": "", "ActiveUri": "", "Token": "", "HaID": id, "Valid": true, "Roots": [], "Nodes": [],
    });
    alone.as_object().cloned().unwrap_or_default()
}

/// `GET /objects`
pub(super) fn objects() -> Answer {
    let kinds = Kind::ALL
        .iter()
        .filter(|kind| kind.spec().verbs.create || matches!(kind, Kind::Lease | Kind::Preference));
    // `kk` has no objects and no meaning; DRP lists it, and what is written for DRP compares the list (reference: api.md §26).
    let mut names: Vec<&str> = kinds.map(|kind| kind.prefix()).chain(["kk"]).collect();
    names.sort_unstable();
    answer::ok(&names)
}

/// `GET …/actions`: no plugin runs, so none offers anything.
pub(super) fn actions(ask: &Ask) -> Answer {
    exists(ask)?;
    answer::ok(&Vec::<Value>::new())
}

/// `GET …/actions/<command>`
pub(super) fn action(ask: &Ask) -> Answer {
    exists(ask)?;
    let (model, key) =
        if of_system(ask) { ("profiles", "global") } else { (&*ask.route.kind, &*ask.route.key) };
    Err(Error::new(404, ask.method, format!("{}: Not Found", ask.route.rest)).about(model, key))
}

/// `POST …/actions/<command>`
pub(super) fn run_action(ask: &Ask) -> Answer {
    exists(ask)?;
    let text = format!("Action {} on {}: Not Found", ask.route.rest, ask.route.kind);
    let key = if of_system(ask) { "global" } else { &ask.route.key };
    Err(Error::new(400, "INVOKE", text).about(&ask.route.kind, key))
}

/// The server as a whole, whose actions belong to no object (reference: api.md §9).
fn of_system(ask: &Ask) -> bool {
    ask.route.kind == "system"
}

fn exists(ask: &Ask) -> Result<(), Error> {
    if of_system(ask) || ask.view.lookup(ask.kind()?, &ask.route.key).is_some() {
        return Ok(());
    }
    Err(Error::not_found(ask.method, &ask.route.kind, &ask.route.key))
}
