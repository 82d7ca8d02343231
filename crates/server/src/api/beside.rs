//! What the port of the API has beside operations: its document, the way to the user interface, forgiven slashes, and files
//! (reference: api.md §1.1, network.md §3.3).

use axum::body::Body;
use gantry_api::operation::{BASE, Method};
use gantry_api::{openapi, route};
use http::header;
use http::request::Parts;
use http::{Request, Response, StatusCode};

use super::answer;
use crate::core::Core;
use crate::listen::{Handler as _, Peer};
use crate::net::files::Files;

/// The answer to a request that is no operation, if there is one.
pub(super) async fn find(
    api: &Core,
    files: Option<Files>,
    peer: Peer,
    method: Method,
    asked: &Parts,
) -> Option<Response<Body>> {
    let path = asked.uri.path();
    let trimmed = path.trim_end_matches('/');
    if path.ends_with('/') && route::find(method, trimmed).is_some() {
        let whole = asked.uri.path_and_query().map_or(path, |whole| whole.as_str());
        return Some(redirect(&whole.replacen(path, trimmed, 1)));
    }
    if method != Method::Get {
        return None;
    }
    match path {
        "/swagger.json" | "/api/v3/openapi.json" => {
            let document = answer::ok(&openapi::document(gantry_api::DRP_VERSION));
            Some(document.unwrap_or_else(|error| answer::refused(&error)))
        }
        "/" | "/ui" | "/ui/" if !api.config.ui_url.is_empty() => {
            let ui = api.config.ui_url.trim_end_matches('/');
            Some(redirect(&format!("{ui}/#/e/{}", server(asked, peer))))
        }
        "/" => None,
        _ => file(files?, peer, asked).await,
    }
}

/// This server as the caller named it: host and port.
fn server(asked: &Parts, peer: Peer) -> String {
    let named = asked.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| asked.uri.authority().map(http::uri::Authority::as_str));
    named.map_or_else(|| peer.local.to_string(), str::to_owned)
}

/// A file, as the port of files over HTTPS serves it: to anybody, rendered for the address that asks. Agents and scripts that
/// know only the address of the API fetch their files here (reference: network.md §2.3).
async fn file(files: Files, peer: Peer, asked: &Parts) -> Option<Response<Body>> {
    let path = asked.uri.path();
    if path == BASE || path.starts_with("/api/") {
        return None;
    }
    let mut request = Request::new(Body::empty());
    *request.method_mut() = asked.method.clone();
    *request.uri_mut() = asked.uri.clone();
    *request.headers_mut() = asked.headers.clone();
    let found = files.answer(peer, request).await;
    // What is not there, or cannot be, is refused in the words of the API.
    let refused = matches!(found.status(), StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
    (!refused).then_some(found)
}

fn redirect(to: &str) -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::MOVED_PERMANENTLY;
    answer::header(&mut reply, header::LOCATION, to);
    reply
}
