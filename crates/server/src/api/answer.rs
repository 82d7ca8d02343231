//! Answers: the few shapes that every handler's result takes, with the headers that clients of this API insist on
//! (reference: api.md §1.1 and §1.4).

use axum::body::Body;
use gantry_api::Error;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;

/// What a handler gives back.
pub(crate) type Answer = Result<Response<Body>, Error>;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const BARE_JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// JSON text that is already written, a newline after it.
pub(crate) fn text(status: StatusCode, mut json: Vec<u8>) -> Response<Body> {
    json.push(b'\n');
    let mut answer = Response::new(Body::from(json));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// Any value as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let json = serde_json::to_vec(value).map_err(|error| Error::internal("", error))?;
    Ok(text(status, json))
}

/// 200 with a value.
pub(crate) fn ok(value: &impl Serialize) -> Answer {
    json(StatusCode::OK, value)
}

/// 204, with the content type that Go clients want even then.
pub(crate) fn nothing() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(CONTENT_TYPE, BARE_JSON);
    answer
}

/// 304 with the tag.
pub(crate) fn unchanged(etag: &str) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    tag(&mut answer, etag);
    answer
}

/// A refusal with its body.
pub(crate) fn refused(error: &Error) -> Response<Body> {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Plain strings and a number always serialize.
    text(status, serde_json::to_vec(error).unwrap_or_default())
}

/// 401: no credentials, or none that can be read. The scheme is not `Basic`, so browsers do not pop up a form.
pub(crate) fn unauthorized() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("dr-provision"));
    answer
}

/// Bytes with a content type of their own.
pub(crate) fn bytes(status: StatusCode, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, BYTES);
    answer
}

/// Adds `ETag`.
pub(crate) fn tag(answer: &mut Response<Body>, etag: &str) {
    header(answer, ETAG, etag);
}

/// Adds a header. A value that no header can have is left out; all of ours are ASCII.
pub(crate) fn header(answer: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
