//! The one list of operations: what can be asked of the API, and which right each question needs.
//!
//! Everything that speaks about the API comes from [`OPERATIONS`]: the server's routing and permission check, the
//! OpenAPI document, the command line's verbs and the reference page. Adding an endpoint is one row here, its types
//! and one handler (the server matches on [`Op`], so a row without a handler does not compile).
//! Paths are below [`BASE`]; `{kind}` stands for the prefix of a kind, `{*x}` for the rest of the path.

use gantry_model::Kind;

/// Where the API lives, for every version of it (reference: api.md §1.1).
pub const BASE: &str = "/api/v3";

/// The HTTP methods that the API has. A row with `Get` also answers `HEAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are HTTP's own")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

macro_rules! ops {
    ($($name:ident)*) => {
        /// One operation, by name. The server has one handler per variant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is documented by its row in OPERATIONS")]
        pub enum Op { $($name),* }

        impl Op {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name, as OpenAPI's operation id and as a label of logs and metrics.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

ops! {
    Info Whoami UserToken UserPassword MachineToken MachineTrace
    PoolsActive PoolStatus PoolAdd PoolRemove PoolAllocate PoolRelease MachineRelease
    JobCreate JobPurge JobActions JobLogRead JobLogAppend
    BlobList BlobRead BlobWrite BlobForm BlobDelete
    PrefsRead PrefsWrite EventPost EventStream LogRead
    ContentList ContentRead ContentCreate ContentReplace ContentDelete
    ObjectsList IndexesAll IndexesOfKind IndexOne MetaRead MetaPatch
    ParamsRead ParamsReplace ParamsPatch ParamRead ParamWrite ParamDelete Pubkey
    ActionList ActionRead ActionRun
    List Create Read Replace Patch Delete
}

/// Which kinds `{kind}` may stand for in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Those that offer the verb of the row: list, create, …
    Offering(Verb),
    /// Those that carry parameters.
    WithParams,
    /// Those whose keys may hold slashes.
    Slashed(Verb),
    /// Those that plugins may offer actions for.
    WithActions,
    /// All.
    Any,
    /// `{kind}` does not occur in the path, or stands for these words.
    Words(&'static [&'static str]),
}

/// The generic verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verb {
    Read,
    Create,
    Update,
    Delete,
}

/// What happens to a caller who lacks the claim (reference: api.md §15.4, both exceptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 403, naming the claim.
    Forbidden,
    /// 404, as if the object did not exist.
    Hidden,
    /// 200 with an empty list.
    Empty,
}

/// The right that an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Any valid credentials.
    Login,
    /// The claim `scope action <key>`; `{kind}` in the scope is the kind's prefix, `{command}` in the action the
    /// path's command. The key is the native one (of a job: its machine's), or empty when the path has none.
    Claim {
        /// Scope, or `{kind}`.
        scope: &'static str,
        /// Action.
        action: &'static str,
        /// What a caller without it sees.
        refusal: Refusal,
    },
    /// What is wanted depends on what the request changes: one `update:<pointer>` per change. The handler asks.
    Changes,
}

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Nothing,
    /// One object of the kind.
    Object,
    /// A list of objects of the kind.
    Objects,
    /// A JSON Patch (RFC 6902).
    Patch,
    /// A map of names to JSON values.
    Map,
    /// Any JSON value; the text says which.
    Json(&'static str),
    /// One of the named types of this crate.
    Type(&'static str),
    /// Bytes as they are.
    Bytes,
    /// A form with bytes in its field `file`.
    Form,
}

/// One row of the list.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Which operation.
    pub op: Op,
    /// HTTP method.
    pub method: Method,
    /// Path below [`BASE`].
    pub path: &'static str,
    /// What `{kind}` stands for.
    pub kinds: Kinds,
    /// The right it needs.
    pub need: Need,
    /// Request body.
    pub request: Body,
    /// Body of the answer that means success.
    pub answer: Body,
    /// The manual: help, OpenAPI and reference page come from it.
    pub doc: &'static str,
}

const NONE: Kinds = Kinds::Words(&[]);
const BLOBS: Kinds = Kinds::Words(&["files", "isos"]);

const fn need(scope: &'static str, action: &'static str) -> Need {
    Need::Claim { scope, action, refusal: Refusal::Forbidden }
}

const fn hidden(scope: &'static str, action: &'static str) -> Need {
    Need::Claim { scope, action, refusal: Refusal::Hidden }
}

const LIST_NEED: Need = Need::Claim { scope: "{kind}", action: "list", refusal: Refusal::Empty };

#[expect(clippy::too_many_arguments, reason = "one argument per column of the table below")]
const fn row(
    op: Op,
    method: Method,
    path: &'static str,
    kinds: Kinds,
    need: Need,
    request: Body,
    answer: Body,
    doc: &'static str,
) -> Operation {
    Operation { op, method, path, kinds, need, request, answer, doc }
}

use Body::{Bytes, Json, Map, Nothing, Object, Objects, Type};
use Kinds::{Any, Offering, Slashed, WithActions, WithParams};
use Method::{Delete, Get, Patch, Post, Put};

/// The body of moves of machines between pools, and its answer.
const WISH: &str = "map: `pool/machine-list`, or `pool/count` or `pool/all-machines` with `pool/filter`; `pool/minimum`, `pool/wait-timeout`, `pool/workflow`, `pool/add-profiles`, `pool/remove-profiles`, `pool/add-parameters`, `pool/remove-parameters`";
const MEMBERS: &str = "array of the machines that move: Name, Uuid, Allocated, Status";

/// Every operation. The first row that fits a request wins, so rows with fixed words come before generic ones.
#[rustfmt::skip]
pub static OPERATIONS: &[Operation] = &[
    row(Op::Info, Get, "/info", NONE, hidden("info", "get"), Nothing, Type("Info"),
        "What this server is: version, ports, features, scopes and counts."),
    row(Op::Whoami, Post, "/whoami", NONE, need("machines", "whoami"), Type("Whoami"), Type("Whoami"),
        "Find the machine that fits a fingerprint, MAC addresses and a remembered UUID; a hit carries a token for it."),
    row(Op::UserToken, Get, "/users/{key}/token", NONE, need("users", "token"), Nothing, Type("TokenAnswer"),
        "Make a token for a user. `ttl` (seconds or a duration), `roles`, or one claim by `scope`, `action`, `specific`."),
    row(Op::UserPassword, Put, "/users/{key}/password", NONE, need("users", "password"), Type("NewPassword"), Object,
        "Set a user's password. Every token of the user ends."),
    row(Op::MachineToken, Get, "/machines/{key}/token", NONE, need("machines", "token"), Nothing, Type("TokenAnswer"),
        "Make a token that acts as the machine. `ttl` in seconds or as a duration."),
    row(Op::MachineTrace, Get, "/machines/{key}/trace", NONE, hidden("machines", "get"), Nothing, Json("array of trace entries"),
        "The boot trace: every DHCP message, file, check-in, job and reboot of the machine in order. The key may also be the MAC or the address of a machine that has not registered. `boot=all`, or the number of boots to go back; `since` (sequence number) continues; `wait` (duration) waits for something newer."),

    row(Op::MachineRelease, Post, "/machines/{key}/releaseToPool", NONE, need("machines", "releaseToPool"), Json("what is wanted besides, as for releaseMachines"), Json(MEMBERS),
        "Release a machine to its pool: as `releaseMachines` for this one."),
    row(Op::PoolsActive, Get, "/pools-active", NONE, need("pools", "list"), Nothing, Json("array of names"),
        "The pools that machines are in, with or without an object."),
    row(Op::PoolStatus, Get, "/pools/{key}/status", NONE, hidden("pools", "get"), Nothing, Json("map of PoolStatus to machines"),
        "The machines of a pool by their PoolStatus."),
    row(Op::PoolAdd, Post, "/pools/{key}/addMachines", NONE, need("pools", "update"), Json(WISH), Json(MEMBERS),
        "Move free machines into the pool, from the pool `source-pool`, else from its parent."),
    row(Op::PoolRemove, Post, "/pools/{key}/removeMachines", NONE, need("pools", "update"), Json(WISH), Json(MEMBERS),
        "Move free machines out of the pool, into its parent."),
    row(Op::PoolAllocate, Post, "/pools/{key}/allocateMachines", NONE, need("pools", "update"), Json(WISH), Json(MEMBERS),
        "Allocate free machines of the pool: they are InUse when their workflow is complete."),
    row(Op::PoolRelease, Post, "/pools/{key}/releaseMachines", NONE, need("pools", "update"), Json(WISH), Json(MEMBERS),
        "Release allocated machines of the pool: they are Free when their workflow is complete."),

    row(Op::JobCreate, Post, "/jobs", NONE, Need::Changes, Object, Object,
        "Ask for the next job of a machine. 201: a new job; 202: one to continue; 204: nothing to do now."),
    row(Op::JobPurge, Delete, "/jobs", NONE, need("jobs", "delete"), Nothing, Json("array of the UUIDs of the jobs"),
        "Remove old jobs with their logs, by the preferences `jobsToKeep`, `failedJobsPurgedAfter` and `completeJobsPurgedAfter`. The newest job of a machine and live ones stay."),
    row(Op::JobActions, Get, "/jobs/{key}/actions", NONE, need("jobs", "actions"), Nothing, Json("array of job actions"),
        "The files and scripts of a job, rendered now. `os` keeps those for one operating system."),
    row(Op::JobLogRead, Get, "/jobs/{key}/log", NONE, need("jobs", "log"), Nothing, Bytes,
        "The log of a job. Honours Range."),
    row(Op::JobLogAppend, Put, "/jobs/{key}/log", NONE, need("jobs", "log"), Bytes, Nothing,
        "Append to the log of a job. With `X-Gantry-Log-Offset` (where the sender believes the log ends) a repeated append is harmless."),
    row(Op::ActionList, Get, "/jobs/{key}/plugin_actions", NONE, need("jobs", "actions"), Nothing, Json("array of actions"),
        "Actions that plugins offer for a job."),
    row(Op::ActionRead, Get, "/jobs/{key}/plugin_actions/{command}", NONE, need("jobs", "actions"), Nothing, Json("action"),
        "One action that a plugin offers for a job."),
    row(Op::ActionRun, Post, "/jobs/{key}/plugin_actions/{command}", NONE, need("jobs", "action:{command}"), Map, Json("the plugin's answer"),
        "Run an action on a job."),

    row(Op::ActionList, Get, "/system/actions", NONE, need("system", "actions"), Nothing, Json("array of actions"),
        "Actions that plugins offer for the server as a whole."),
    row(Op::ActionRead, Get, "/system/actions/{command}", NONE, need("system", "actions"), Nothing, Json("action"),
        "One action that a plugin offers for the server as a whole."),
    row(Op::ActionRun, Post, "/system/actions/{command}", NONE, need("system", "action:{command}"), Map, Json("the plugin's answer"),
        "Run an action on the server as a whole."),

    row(Op::BlobList, Get, "/{kind}", BLOBS, need("{kind}", "list"), Nothing, Json("array of names"),
        "Names in the directory `path`, directories with a slash at the end; `all=true` lists everything below it."),
    row(Op::BlobRead, Get, "/{kind}/{*path}", BLOBS, hidden("{kind}", "get"), Nothing, Bytes,
        "Download. Honours Range, If-None-Match and tells the SHA-256 of the whole."),
    row(Op::BlobWrite, Post, "/{kind}/{*path}", BLOBS, need("{kind}", "post"), Bytes, Type("BlobInfo"),
        "Upload, as bytes or as field `file` of a form; appears under its name when complete. `explode=true` unpacks an archive where it lies."),
    row(Op::BlobForm, Post, "/{kind}", BLOBS, need("{kind}", "post"), Body::Form, Type("BlobInfo"),
        "Upload of a form to `/files/` or `/isos/`, with the slash: the file has the name that its field `file` says."),
    row(Op::BlobDelete, Delete, "/{kind}/{*path}", BLOBS, need("{kind}", "delete"), Nothing, Nothing,
        "Delete a file or an empty directory."),

    row(Op::PrefsRead, Get, "/prefs", NONE, need("preferences", "list"), Nothing, Map,
        "All preferences with the values in effect."),
    row(Op::PrefsWrite, Post, "/prefs", NONE, need("preferences", "post"), Map, Map,
        "Change preferences: all of the given ones or none."),
    row(Op::EventPost, Post, "/events", NONE, need("events", "post"), Type("Event"), Nothing,
        "Publish an event to everybody who listens."),
    row(Op::EventStream, Get, "/ws", NONE, Need::Login, Nothing, Json("websocket"),
        "Websocket of events. Send `register type.action.key`, or give it in the URL, once or several times; `from` (a revision) resumes after a gap, and brings what was missed once something is registered. A reader who answers no ping for 90 s is let go."),
    row(Op::EventStream, Get, "/ws/{*proxy}", NONE, Need::Login, Nothing, Json("websocket"),
        "The same through a proxying endpoint."),
    row(Op::LogRead, Get, "/logs", NONE, need("logs", "get"), Nothing, Json("array of log lines"),
        "The newest log lines, oldest first."),

    row(Op::ContentList, Get, "/contents", NONE, need("contents", "list"), Nothing, Json("array of content summaries"),
        "Content packs and layers, with counts."),
    row(Op::ContentCreate, Post, "/contents", NONE, need("contents", "create"), Json("content pack"), Json("content summary"),
        "Load a content pack."),
    row(Op::ContentRead, Get, "/contents/{key}", NONE, hidden("contents", "get"), Nothing, Json("content pack"),
        "One content pack, whole."),
    row(Op::ContentReplace, Put, "/contents/{key}", NONE, need("contents", "update"), Json("content pack"), Json("content summary"),
        "Replace a content pack, at once and altogether."),
    row(Op::ContentDelete, Delete, "/contents/{key}", NONE, need("contents", "delete"), Nothing, Nothing,
        "Remove a content pack."),

    row(Op::ObjectsList, Get, "/objects", NONE, need("objects", "list"), Nothing, Json("array of prefixes"),
        "The kinds of objects."),
    row(Op::IndexesAll, Get, "/indexes", NONE, Need::Login, Nothing, Json("indexes by kind"),
        "What lists can be filtered and sorted by, for all kinds."),
    row(Op::IndexesOfKind, Get, "/indexes/{kind}", Any, Need::Login, Nothing, Json("indexes"),
        "What lists of one kind can be filtered and sorted by."),
    row(Op::IndexOne, Get, "/indexes/{kind}/{*index}", Any, Need::Login, Nothing, Json("index"),
        "One index of a kind."),
    row(Op::MetaRead, Get, "/meta/{kind}/{*key}", Any, hidden("{kind}", "get"), Nothing, Map,
        "The Meta map of an object."),
    row(Op::MetaPatch, Patch, "/meta/{kind}/{*key}", Any, Need::Changes, Body::Patch, Map,
        "Change the Meta map of an object."),

    row(Op::ParamsRead, Get, "/{kind}/{key}/params", WithParams, hidden("{kind}", "get"), Nothing, Map,
        "Parameters of an object; `aggregate=true` adds what it inherits, `decode=true` opens secure ones, `params` picks some."),
    row(Op::ParamsReplace, Post, "/{kind}/{key}/params", WithParams, Need::Changes, Map, Map,
        "Replace all parameters of an object."),
    row(Op::ParamsPatch, Patch, "/{kind}/{key}/params", WithParams, Need::Changes, Body::Patch, Map,
        "Change the map of parameters of an object."),
    row(Op::ParamRead, Get, "/{kind}/{key}/params/{*name}", WithParams, hidden("{kind}", "get"), Nothing, Json("value or null"),
        "One parameter; `aggregate=true` looks where it is inherited from and at its default."),
    row(Op::ParamWrite, Post, "/{kind}/{key}/params/{*name}", WithParams, Need::Changes, Json("value"), Json("value"),
        "Set one parameter."),
    row(Op::ParamDelete, Delete, "/{kind}/{key}/params/{*name}", WithParams, Need::Changes, Nothing, Json("old value"),
        "Remove one parameter."),
    row(Op::Pubkey, Get, "/{kind}/{key}/pubkey", WithParams, need("{kind}", "updateSecure"), Nothing, Json("base64 of 32 bytes"),
        "The public key that secure parameters of this object are sealed for."),
    row(Op::ActionList, Get, "/{kind}/{key}/actions", WithActions, need("{kind}", "actions"), Nothing, Json("array of actions"),
        "Actions that plugins offer for the object."),
    row(Op::ActionRead, Get, "/{kind}/{key}/actions/{command}", WithActions, need("{kind}", "actions"), Nothing, Json("action"),
        "One action."),
    row(Op::ActionRun, Post, "/{kind}/{key}/actions/{command}", WithActions, need("{kind}", "action:{command}"), Map, Json("the plugin's answer"),
        "Run an action on the object."),

    row(Op::List, Get, "/{kind}", Offering(Verb::Read), LIST_NEED, Nothing, Objects,
        "List objects. Filter by index, by parameter or by `Meta.<key>`; `sort`, `reverse`, `limit`, `offset`, `slim`, `params`."),
    row(Op::Create, Post, "/{kind}", Offering(Verb::Create), need("{kind}", "create"), Object, Object,
        "Create an object."),
    row(Op::Read, Get, "/{kind}/{key}", Offering(Verb::Read), hidden("{kind}", "get"), Nothing, Object,
        "One object, by key or `Index:value`. With `If-None-Match` and `Prefer: wait=<duration>` the answer waits for a change."),
    row(Op::Replace, Put, "/{kind}/{key}", Offering(Verb::Update), Need::Changes, Object, Object,
        "Replace an object."),
    row(Op::Patch, Patch, "/{kind}/{key}", Offering(Verb::Update), Need::Changes, Body::Patch, Object,
        "Change an object. A failed `test` operation refuses the whole patch with 409."),
    row(Op::Delete, Delete, "/{kind}/{key}", Offering(Verb::Delete), need("{kind}", "delete"), Nothing, Object,
        "Delete an object; the answer is the object as it was."),
    row(Op::Read, Get, "/{kind}/{*key}", Slashed(Verb::Read), hidden("{kind}", "get"), Nothing, Object,
        "One object whose key holds slashes."),
    row(Op::Replace, Put, "/{kind}/{*key}", Slashed(Verb::Update), Need::Changes, Object, Object,
        "Replace an object whose key holds slashes."),
    row(Op::Patch, Patch, "/{kind}/{*key}", Slashed(Verb::Update), Need::Changes, Body::Patch, Object,
        "Change an object whose key holds slashes."),
    row(Op::Delete, Delete, "/{kind}/{*key}", Slashed(Verb::Delete), need("{kind}", "delete"), Nothing, Object,
        "Delete an object whose key holds slashes."),
];

/// Kinds that plugins may offer actions for (reference: network.md §3.4; jobs have `plugin_actions` instead).
pub const WITH_ACTIONS: &[&str] = &[
    "bootenvs",
    "endpoints",
    "leases",
    "machines",
    "plugins",
    "pools",
    "profiles",
    "reservations",
    "roles",
    "stages",
    "subnets",
    "tasks",
    "templates",
    "tenants",
    "users",
    "version_sets",
    "workflows",
];

impl Kinds {
    /// Whether `word` may stand for `{kind}`.
    pub fn include(self, word: &str) -> bool {
        if let Self::Words(words) = self {
            return words.contains(&word);
        }
        Kind::from_prefix(word).is_some_and(|kind| self.include_kind(kind))
    }

    fn include_kind(self, kind: Kind) -> bool {
        match self {
            Self::Offering(verb) => offers(kind, verb),
            Self::Slashed(verb) => kind == Kind::Param && offers(kind, verb),
            Self::WithParams => kind.spec().params,
            Self::WithActions => WITH_ACTIONS.contains(&kind.prefix()),
            Self::Any => true,
            Self::Words(words) => words.contains(&kind.prefix()),
        }
    }
}

fn offers(kind: Kind, verb: Verb) -> bool {
    let verbs = kind.spec().verbs;
    match verb {
        Verb::Read => verbs.read,
        Verb::Create => verbs.create,
        Verb::Update => verbs.update,
        Verb::Delete => verbs.delete,
    }
}
