//! Files over HTTP and HTTPS: GET and HEAD of the one file tree, with byte ranges.
//!
//! Firmware is particular (boot lab §2): Content-Length is obligatory, `//` in a path is no error, and a 404 carries a short
//! body and closes the connection, for shim waits for ever on an empty one over keep-alive.

mod body;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use gantry_netboot::path;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Body as _;
use jiff::Timestamp;

use self::body::{Counted, FileBody};
use super::{FileSource, Found, Protocol, Reports, Served, Wanted};
use crate::api::range::{Range, parse};
use crate::incident::Incident;
use crate::listen::{Handler, Peer};

/// Files being sent at once.
const BUSY: usize = 4_096;

/// The service: a handler for [`crate::listen::serve`], one per port.
#[derive(Clone)]
pub struct Files {
    source: Arc<dyn FileSource>,
    reports: Reports,
    protocol: Protocol,
    sending: Arc<AtomicUsize>,
}

impl Files {
    /// A handler for a plain ([`Protocol::Http`]) or secure ([`Protocol::Https`]) port.
    pub fn new(source: Arc<dyn FileSource>, reports: Reports, protocol: Protocol) -> Self {
        Self { source, reports, protocol, sending: Arc::default() }
    }
}

impl Handler for Files {
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn answer(self, peer: Peer, request: Request<Body>) -> Response<Body> {
        let ticket = Ticket::new(&self, peer, request.uri().path());
        if request.method() == Method::OPTIONS {
            return preflight();
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return ticket.refuse(StatusCode::METHOD_NOT_ALLOWED, "files can be read only\n");
        }
        let path = match clean(request.uri().path()) {
            Ok(path) => path,
            Err(why) => return ticket.refuse(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        };
        if self.sending.load(Ordering::Relaxed) >= BUSY {
            let mut answer =
                ticket.refuse(StatusCode::SERVICE_UNAVAILABLE, "too many files are being sent\n");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            return answer;
        }
        let wanted = Wanted { path, ..ticket.wanted.clone() };
        let found = self.source.open(&wanted).await;
        let ticket = ticket.with(wanted);
        let mut answer = present(ticket, request.headers(), found);
        if request.method() == Method::HEAD {
            // The length stays, the bytes do not; whoever counts sees none sent.
            let (parts, body) = answer.into_parts();
            let length = body.size_hint().exact();
            answer = Response::from_parts(parts, Body::empty());
            if let Some(length) = length {
                answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            }
        }
        answer
    }

    fn broken(&self, incident: &Incident) -> Response<Body> {
        let mut answer = Response::new(Body::from(format!("the server failed: {incident}\n")));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        insert(&mut answer, header::CONNECTION, "close");
        answer
    }
}

fn clean(path: &str) -> Result<String, String> {
    let bytes = percent_decode(path).ok_or("the path holds a wrong % escape")?;
    let text = String::from_utf8(bytes).map_err(|_| "the path is not UTF-8")?;
    path::clean(&text).map_err(|refused| refused.to_string())
}

fn percent_decode(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |b: u8| (b as char).to_digit(16);
                (digit(rest.next()?)? * 16 + digit(rest.next()?)?) as u8
            }
            byte => byte,
        });
    }
    Some(bytes)
}

fn present(ticket: Ticket, headers: &HeaderMap, found: Found) -> Response<Body> {
    match found {
        Found::Bytes(bytes) => ranged(ticket, headers, bytes.len() as u64, None, |from, len, ticket| {
            Body::new(Counted { body: Body::from(bytes.slice(from as usize..(from + len) as usize)), ticket })
        }),
        Found::File { file, size, modified } => {
            ranged(ticket, headers, size, modified, |from, len, ticket| {
                Body::new(FileBody::new(file, from, len, ticket))
            })
        }
        Found::Stream { size, body } => {
            let mut answer = Response::new(Body::empty());
            describe(&mut answer, &ticket.wanted.path, None);
            if let Some(size) = size {
                answer.headers_mut().insert(header::CONTENT_LENGTH, size.into());
            }
            *answer.body_mut() = Body::new(Counted { body, ticket: ticket.status(StatusCode::OK) });
            answer
        }
        Found::Folder(names) => folder(ticket, &names),
        Found::Missing => ticket.refuse(StatusCode::NOT_FOUND, "404 page not found\n"),
        Found::Failed(why) => {
            tracing::error!(path = ticket.wanted.path, client = %ticket.wanted.client, error = why, "file cannot be rendered");
            let mut ticket = ticket;
            ticket.error = Some(why);
            ticket.refuse(StatusCode::INTERNAL_SERVER_ERROR, "this file cannot be rendered\n")
        }
    }
}

/// The whole or the part that is asked for.
fn ranged(
    ticket: Ticket,
    headers: &HeaderMap,
    size: u64,
    modified: Option<SystemTime>,
    body: impl FnOnce(u64, u64, Ticket) -> Body,
) -> Response<Body> {
    let stamp = modified.and_then(http_date);
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    if stamp.is_some() && text(header::IF_MODIFIED_SINCE) == stamp.as_deref() {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        drop(ticket.status(StatusCode::NOT_MODIFIED));
        return answer;
    }
    let fresh = text(header::IF_RANGE).is_none_or(|since| Some(since) == stamp.as_deref());
    let range = if fresh { parse(text(header::RANGE), size) } else { Range::Whole };
    let (status, from, length) = match range {
        Range::Whole => (StatusCode::OK, 0, size),
        Range::Part { from, length } => (StatusCode::PARTIAL_CONTENT, from, length),
        Range::Beyond => {
            let mut answer = ticket.refuse(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter\n");
            insert(&mut answer, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return answer;
        }
    };
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    describe(&mut answer, &ticket.wanted.path, stamp.as_deref());
    answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    answer.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        insert(&mut answer, header::CONTENT_RANGE, &format!("bytes {from}-{}/{size}", from + length - 1));
    }
    *answer.body_mut() = body(from, length, ticket.status(status));
    answer
}

fn describe(answer: &mut Response<Body>, path: &str, modified: Option<&str>) {
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Some(modified) = modified {
        insert(answer, header::LAST_MODIFIED, modified);
    }
}

/// UEFI HTTP boot goes by the type when there is one (UEFI 2.10 §24.7.2).
fn content_type(path: &str) -> &'static str {
    match path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end) {
        Some("efi") => "application/efi",
        Some("iso") => "application/vnd.efi-iso",
        Some("img") => "application/octet-stream",
        Some("ipxe" | "cfg" | "conf" | "txt" | "sh" | "ks" | "py" | "lst") => "text/plain; charset=utf-8",
        Some("yml" | "yaml") => "application/yaml",
        Some("json") => "application/json",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn folder(ticket: Ticket, names: &[String]) -> Response<Body> {
    let mut page = String::from("<pre>\n");
    for name in names {
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let link: String = name.bytes().map(escape).collect();
        page += &format!("<a href=\"{link}\">{escaped}</a>\n");
    }
    page += "</pre>\n";
    let mut answer = Response::new(Body::empty());
    describe(&mut answer, "index.html", None);
    let ticket = ticket.status(StatusCode::OK);
    *answer.body_mut() = Body::new(Counted { body: Body::from(page), ticket });
    answer
}

fn escape(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    }
}

fn preflight() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    insert(&mut answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    insert(&mut answer, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
    answer
}

fn insert(answer: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn http_date(time: SystemTime) -> Option<String> {
    let stamp = Timestamp::try_from(time).ok()?;
    Some(stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A request under way; reported when it is dropped, which is when the last byte has left or the client went away.
struct Ticket {
    wanted: Wanted,
    reports: Reports,
    status: StatusCode,
    sent: u64,
    start: SystemTime,
    since: Instant,
    error: Option<String>,
    sending: Arc<AtomicUsize>,
}

impl Ticket {
    fn new(files: &Files, peer: Peer, path: &str) -> Self {
        files.sending.fetch_add(1, Ordering::Relaxed);
        let canonical = |address: IpAddr| address.to_canonical();
        let mut path = path.to_owned();
        path.truncate(path.floor_char_boundary(path::MAX));
        Self {
            wanted: Wanted {
                path,
                client: canonical(peer.remote.ip()),
                local: canonical(peer.local.ip()),
                protocol: files.protocol,
            },
            reports: files.reports.clone(),
            status: StatusCode::OK,
            sent: 0,
            start: SystemTime::now(),
            since: Instant::now(),
            error: None,
            sending: files.sending.clone(),
        }
    }

    fn with(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A short text and the end of the connection.
    fn refuse(self, status: StatusCode, text: &str) -> Response<Body> {
        let body = Counted { body: Body::from(text.to_owned()), ticket: self.status(status) };
        let mut answer = Response::new(Body::new(body));
        *answer.status_mut() = status;
        insert(&mut answer, header::CONTENT_TYPE, "text/plain; charset=utf-8");
        insert(&mut answer, header::CONNECTION, "close");
        insert(&mut answer, header::CONTENT_LENGTH, &text.len().to_string());
        insert(&mut answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            insert(&mut answer, header::ALLOW, "GET, HEAD");
        }
        answer
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.sending.fetch_sub(1, Ordering::Relaxed);
        if std::thread::panicking() {
            self.status = StatusCode::INTERNAL_SERVER_ERROR;
            self.error = Some("the server failed".into());
        }
        let served = Served {
            wanted: self.wanted.clone(),
            status: self.status.as_str().to_owned(),
            bytes: self.sent,
            start: self.start,
            duration: self.since.elapsed(),
            retries: 0,
            error: self.error.take(),
        };
        self.reports.file(&served);
    }
}
