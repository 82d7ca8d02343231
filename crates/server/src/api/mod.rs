//! The API: from an HTTP request to the operation's handler.
//!
//! The list of operations is `gantry_api::operation::OPERATIONS`; [`handle`] has one arm per operation. The way of a request:
//! route, credentials, claim, handler. Handlers get an [`Ask`] and give an [`answer::Answer`]; they never write error texts
//! that another handler needs, too (those are constructors of `gantry_api::Error`). A path that is no operation may be a file: the
//! port also serves what the port of files over HTTPS does.

mod answer;
mod beside;
mod body;
mod contents;
mod edit;
mod events;
mod files;
mod form;
mod indexes;
pub mod info;
pub(crate) mod interfaces;
pub mod joblog;
mod jobs;
mod logged;
mod machines;
mod objects;
mod params;
mod pools;
mod prefs;
mod purge;
pub(crate) mod range;
pub mod secure;
mod stream;
mod users;
mod whoami;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use gantry_api::Error;
use gantry_api::claim::{self, Wanted};
use gantry_api::operation::{BASE, Method, Need, Op, Refusal};
use gantry_api::query::Query;
use gantry_api::route::{self, Route};
use gantry_model::{Job, Kind, View};
use gantry_workflow::pool::Move;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};

use self::answer::Answer;
use self::logged::Logged;
use crate::api::body::Upload;
use crate::auth::{self, Caller};
use crate::core::Core;
use crate::incident::{self, Incident};
use crate::listen::{Handler, Peer};
use crate::log::Level;
use crate::net::files::Files;

/// Longer paths and queries are refused before anything looks at them.
const LONGEST_URI: usize = 16 * 1024;

/// The API as a listener's handler.
#[derive(Clone)]
pub struct Api {
    /// What all handlers share.
    pub core: Arc<Core>,
    /// The file tree, for paths that are none of the API's: what answers on the port of files over HTTPS. None when that is closed.
    pub files: Option<Files>,
}

/// A request whose operation and caller are known.
pub(crate) struct Ask {
    api: Arc<Core>,
    /// All objects as they were when the request came.
    view: Arc<View>,
    caller: Caller,
    route: Route,
    query: Query,
    headers: HeaderMap,
    /// `HEAD` was asked: headers only.
    head: bool,
    /// HTTP method of the operation, or HEAD.
    method: &'static str,
    /// Path and query as sent.
    path: String,
    body: Upload,
    peer: Peer,
    /// For websockets: what hyper needs to take the connection over.
    upgrade: http::Extensions,
}

impl Handler for Api {
    async fn answer(self, peer: Peer, request: Request<Body>) -> Response<Body> {
        let origin = request.headers().contains_key(header::ORIGIN);
        let head = request.method() == http::Method::HEAD;
        let (op, mut reply) = Box::pin(reply(self.core.clone(), self.files, peer, request)).await;
        self.core.metrics.request(op, reply.status());
        if origin {
            allow_origin(reply.headers_mut());
        }
        if head {
            *reply.body_mut() = Body::empty();
        }
        reply
    }

    fn broken(&self, incident: &Incident) -> Response<Body> {
        self.core.metrics.incidents.inc();
        self.core.metrics.request(None, StatusCode::INTERNAL_SERVER_ERROR);
        answer::refused(&Error::internal("", incident))
    }
}

async fn reply(
    api: Arc<Core>,
    files: Option<Files>,
    peer: Peer,
    request: Request<Body>,
) -> (Option<Op>, Response<Body>) {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let whole = parts.uri.path_and_query().map_or(path, |whole| whole.as_str()).to_owned();
    if whole.len() > LONGEST_URI {
        return (None, answer::refused(&Error::new(414, parts.method.as_str(), "the path is too long")));
    }
    if parts.method == http::Method::OPTIONS && parts.headers.contains_key(header::ORIGIN) {
        return (None, preflight());
    }
    let Some((method, head)) = method(&parts.method) else {
        return (None, answer::refused(&Error::no_route(parts.method.as_str(), &whole)));
    };
    let Some(route) = route::find(method, path).filter(|_| !trailing_slash(path)) else {
        let found = beside::find(&api, files, peer, method, &parts).await;
        let missing = || answer::refused(&Error::no_route(parts.method.as_str(), &whole));
        return (None, found.unwrap_or_else(missing));
    };
    let op = route.operation.op;
    let view = api.state.view();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let caller = match auth::identify(&parts.headers, &query, peer.remote.ip(), &view, &api.passwords).await {
        Ok(caller) => caller,
        Err(refused) => {
            return (Some(op), refuse_login(&api, &refused, peer));
        }
    };
    api.audit(&caller, peer.remote.ip());
    let word = if head { "HEAD" } else { method.as_str() };
    let mut upgrade = parts.extensions;
    upgrade.remove::<Peer>();
    let ask = Ask {
        view,
        caller,
        route,
        query,
        headers: parts.headers,
        head,
        method: word,
        path: whole,
        body: Upload::new(body, method.as_str(), body::PATIENCE),
        peer,
        upgrade,
        api,
    };
    let (api, logged) = (ask.api.clone(), Logged::begin(&ask));
    let reply = match permit(&ask) {
        Ok(()) => handle(op, ask).await,
        Err(Denied::Empty) => answer::ok(&Vec::<u8>::new()).map(objects::no_counts),
        Err(Denied::Refused(error)) => Err(error),
    };
    let reply = reply.unwrap_or_else(|error| answer::refused(&error));
    if let Some(logged) = logged {
        logged.end(&api, reply.status());
    }
    (Some(op), reply)
}

/// One handler per operation.
async fn handle(op: Op, ask: Ask) -> Answer {
    match op {
        Op::Info => info::info(&ask),
        Op::Whoami => whoami::whoami(ask).await,
        Op::UserToken => users::token(&ask),
        Op::UserPassword => users::password(ask).await,
        Op::MachineToken => machines::token(&ask),
        Op::MachineTrace => machines::trace(ask).await,
        Op::MachineRelease => pools::release(ask).await,
        Op::PoolsActive => pools::active(ask).await,
        Op::PoolStatus => pools::status(&ask),
        Op::PoolAdd => pools::moved(ask, Move::Add).await,
        Op::PoolRemove => pools::moved(ask, Move::Remove).await,
        Op::PoolAllocate => pools::moved(ask, Move::Allocate).await,
        Op::PoolRelease => pools::moved(ask, Move::Release).await,
        Op::JobCreate => jobs::create(ask).await,
        Op::JobPurge => purge::purge(ask).await,
        Op::JobActions => jobs::actions(ask).await,
        Op::JobLogRead => joblog::read(ask).await,
        Op::JobLogAppend => joblog::append(ask).await,
        Op::BlobList => files::list(ask).await,
        Op::BlobRead => files::read(ask).await,
        Op::BlobWrite | Op::BlobForm => files::write(ask).await,
        Op::BlobDelete => files::delete(ask).await,
        Op::PrefsRead => prefs::read(&ask),
        Op::PrefsWrite => prefs::write(ask).await,
        Op::EventPost => events::post(ask).await,
        Op::EventStream => events::stream(ask).await,
        Op::LogRead => answer::ok(&ask.api.log.lines()),
        Op::ContentList => contents::list(&ask),
        Op::ContentRead => contents::read(&ask),
        Op::ContentCreate => contents::create(ask).await,
        Op::ContentReplace => contents::replace(ask).await,
        Op::ContentDelete => contents::delete(ask).await,
        Op::ObjectsList => info::objects(),
        Op::IndexesAll => indexes::all(),
        Op::IndexesOfKind => indexes::of_kind(&ask),
        Op::IndexOne => indexes::one(&ask),
        Op::MetaRead => params::meta_read(&ask),
        Op::MetaPatch => params::meta_patch(ask).await,
        Op::ParamsRead => params::read_all(&ask),
        Op::ParamsReplace => params::replace_all(ask).await,
        Op::ParamsPatch => params::patch(ask).await,
        Op::ParamRead => params::read(&ask),
        Op::ParamWrite => params::write(ask).await,
        Op::ParamDelete => params::delete(ask).await,
        Op::Pubkey => params::pubkey(ask).await,
        Op::ActionList => info::actions(&ask),
        Op::ActionRead => info::action(&ask),
        Op::ActionRun => info::run_action(&ask),
        Op::List => objects::list(&ask),
        Op::Create => objects::create(ask).await,
        Op::Read => objects::read(ask).await,
        Op::Replace => objects::replace(ask).await,
        Op::Patch => objects::patch(ask).await,
        Op::Delete => objects::delete(ask).await,
    }
}

/// Runs something that blocks on a thread made for it. A panic there is an incident like any other. The 503 is for work that the
/// runtime gave up because it ended, which it does after the connections are drained.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let joined = tokio::task::spawn_blocking(work).await;
    incident::done(joined).ok_or_else(|| Error::unavailable("", "the server is stopping"))
}

/// What the lack of a claim leads to.
enum Denied {
    Empty,
    Refused(Error),
}

fn permit(ask: &Ask) -> Result<(), Denied> {
    let Need::Claim { refusal, .. } = ask.route.operation.need else { return Ok(()) };
    let Some(wanted) = ask.wanted() else { return Ok(()) };
    let may = match ask.route.operation.op {
        // Which object, its body says; the handler asks again when it has read that.
        Op::Create => claim::allows_some(&ask.caller.claims, &wanted.scope, &wanted.action),
        _ => ask.caller.may(&wanted),
    };
    if may {
        return Ok(());
    }
    Err(match refusal {
        Refusal::Empty => Denied::Empty,
        Refusal::Hidden => Denied::Refused(Error::not_found(ask.method, &ask.route.kind, ask.subject())),
        Refusal::Forbidden => {
            // The caller's own words go into the answer, the native key into the decision.
            let named = Wanted { specific: ask.subject().to_owned(), ..wanted };
            Denied::Refused(Error::forbidden(&ask.path, &named))
        }
    })
}

impl Ask {
    /// The claim of the operation's row, filled in.
    fn wanted(&self) -> Option<Wanted> {
        let Need::Claim { scope, action, .. } = self.route.operation.need else { return None };
        let scope = scope.replace("{kind}", &self.route.kind);
        let action = action.replace("{command}", &self.route.rest);
        Some(Wanted::new(scope, action, self.specific()))
    }

    /// What the row's claim is about, as the caller wrote it.
    fn subject(&self) -> &str {
        if self.route.key.is_empty() { &self.route.rest } else { &self.route.key }
    }

    /// The native key that claims are compared with; a job answers to its machine's claims.
    fn specific(&self) -> String {
        let Some(kind) = Kind::from_prefix(&self.route.kind).filter(|_| !self.route.key.is_empty()) else {
            return self.route.rest.clone();
        };
        auth_key(&self.view, kind, &self.route.key)
    }

    /// Whether the caller may do `action` to this request's object; the refusal otherwise.
    fn require(&self, action: &str) -> Result<(), Error> {
        let wanted = Wanted::new(&*self.route.kind, action, self.specific());
        if self.caller.may(&wanted) {
            return Ok(());
        }
        Err(Error::forbidden(&self.path, &Wanted { specific: self.subject().to_owned(), ..wanted }))
    }

    /// The kind that the path names. Rows with a fixed word name it, too.
    fn kind(&self) -> Result<Kind, Error> {
        Kind::from_prefix(&self.route.kind).ok_or_else(|| Error::no_route(self.method, &self.path))
    }

    /// The address that called.
    fn remote(&self) -> IpAddr {
        self.peer.remote.ip()
    }
}

/// Resolves `Index:value`, and a job to its machine. What cannot be resolved stays as written.
fn auth_key(view: &View, kind: Kind, key: &str) -> String {
    let Some(found) = view.lookup(kind, key) else { return key.to_owned() };
    match kind {
        Kind::Job => {
            view.object::<Job>(found.as_str()).map_or_else(String::new, |job| job.machine.to_string())
        }
        _ => found.as_str().to_owned(),
    }
}

fn method(method: &http::Method) -> Option<(Method, bool)> {
    Some(match *method {
        http::Method::GET => (Method::Get, false),
        http::Method::HEAD => (Method::Get, true),
        http::Method::POST => (Method::Post, false),
        http::Method::PUT => (Method::Put, false),
        http::Method::PATCH => (Method::Patch, false),
        http::Method::DELETE => (Method::Delete, false),
        _ => return None,
    })
}

/// A slash too many, except where the slash says something: an upload to a directory is refused with a text of its own.
fn trailing_slash(path: &str) -> bool {
    let blob = ["/files/", "/isos/"].iter().any(|part| path.starts_with(&format!("{BASE}{part}")));
    path.ends_with('/') && !blob
}

/// Counts, logs and answers. A request without credentials is how every browser begins, so it is counted alone.
fn refuse_login(api: &Core, refused: &auth::Refused, peer: Peer) -> Response<Body> {
    api.metrics.refused_login(refused.why.label());
    let Some(body) = &refused.body else { return answer::unauthorized() };
    let (who, from, why) = (refused.shown(), peer.remote.ip().to_canonical(), refused.why.text());
    tracing::warn!(%who, %from, why, "login refused");
    let text = format!("Refused login of {who} from {from}: {why}");
    api.log.add(Level::Warn, Level::Warn, "frontend", "", text);
    let mut reply = answer::refused(body);
    if body.model == "system" {
        let scheme = HeaderValue::from_static("dr-provision");
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    if let auth::Why::TooManyGuesses(wait) = refused.why {
        answer::header(&mut reply, header::RETRY_AFTER, &(wait.as_secs() + 1).to_string());
    }
    reply
}

fn preflight() -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let set = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS, PATCH, HEAD"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Accept, Origin, If-None-Match, Prefer, Range, X-Log-Request, X-Log-Token",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for (name, value) in set {
        answer::header(&mut reply, name, value);
    }
    allow_origin(reply.headers_mut());
    reply
}

fn allow_origin(headers: &mut HeaderMap) {
    let set = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Content-Type, Content-Length, ETag, X-DRP-LIST-COUNT, X-DRP-LIST-TOTAL-COUNT, X-DRP-LIST-FILTER-COUNT, X-DRP-SHA256SUM",
        ),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
