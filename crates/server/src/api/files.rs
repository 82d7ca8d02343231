//! Files and ISOs: list, download, upload, delete (reference: api.md §14, network.md §2.14).
//!
//! They are blobs below the file root, so what is uploaded here is what TFTP and HTTP serve. A name is checked once, by
//! `store::blobs::Name`, which refuses everything that could leave the folder.

use std::collections::BTreeSet;

use axum::body::Body;
use gantry_api::Error;
use gantry_api::types::BlobInfo;
use gantry_store::blobs::{Blob, Error as BlobError, Name};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderName, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use http::{Response, StatusCode};

use super::answer::{self, Answer};
use super::range::{self, Range};
use super::{Ask, body};

/// The largest upload: bigger than any image that is deployed, smaller than a disk that it could fill unnoticed.
const LIMIT: u64 = 256 << 30;
/// Bytes per write.
const BLOCK: usize = 1 << 20;

const SHA256: HeaderName = HeaderName::from_static("x-drp-sha256sum");

/// `GET /files?path=dir`
pub(super) async fn list(ask: Ask) -> Answer {
    let folder = ask.query.get("path").unwrap_or_default().trim_matches('/').to_owned();
    let prefix = if folder.is_empty() {
        format!("{}/", ask.route.kind)
    } else {
        format!("{}/{folder}/", ask.route.kind)
    };
    let refused =
        |why: &str| Error::new(404, "GET", "list: error listing files").and(why).about(&ask.route.kind, "");
    if folder.split('/').any(|part| part == "..") {
        return Err(refused("the path must stay inside"));
    }
    let blobs = ask.api.files.clone();
    let wanted = prefix.clone();
    let found =
        super::blocking(move || blobs.list(&wanted)).await?.map_err(|_| refused("no such directory"))?;
    if found.is_empty() && !folder.is_empty() {
        return Err(refused("no such directory"));
    }
    let deep = ask.query.flag("all");
    let names: BTreeSet<String> = found
        .iter()
        .filter_map(|blob| blob.name.as_str().strip_prefix(&prefix))
        .map(|rest| match rest.split_once('/') {
            Some((folder, _)) if !deep => format!("{folder}/"),
            _ => rest.to_owned(),
        })
        .collect();
    answer::ok(&names)
}

/// `GET` and `HEAD /files/<path>`
pub(super) async fn read(ask: Ask) -> Answer {
    let missing = || {
        Error::new(404, "GET", "Not a regular file").about(&ask.route.kind, format!("/{}", ask.route.rest))
    };
    let name = name(&ask).ok_or_else(missing)?;
    let blobs = ask.api.files.clone();
    let digests = ask.api.digests.clone();
    let path = name.clone();
    // The digest of a large file is read once and remembered by size and time of change.
    let opened = super::blocking(move || {
        let blob = blobs.read(&path).ok()?;
        let digest = digests.of(path.as_str(), &blob).ok()?;
        Some((blob, digest))
    });
    let (blob, digest) = opened.await?.ok_or_else(missing)?;
    let etag = format!("\"SHA256:{digest}\"");
    let known = ask.headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    if known {
        return Ok(answer::unchanged(&etag));
    }
    let mut reply = bytes(&ask, blob);
    answer::tag(&mut reply, &etag);
    answer::header(&mut reply, SHA256, &digest);
    Ok(reply)
}

/// The bytes of a blob, or the range of them that was asked for, with everything that `HEAD` tells.
pub(super) fn bytes(ask: &Ask, blob: Blob) -> Response<Body> {
    let size = blob.size();
    let modified = http_date(blob.modified());
    let asked = ask.headers.get(RANGE).and_then(|value| value.to_str().ok());
    let (status, from, length) = match range::parse(asked, size) {
        Range::Whole => (StatusCode::OK, 0, size),
        Range::Part { from, length } => (StatusCode::PARTIAL_CONTENT, from, length),
        Range::Beyond => {
            let mut reply = answer::bytes(StatusCode::RANGE_NOT_SATISFIABLE, Body::empty());
            answer::header(&mut reply, CONTENT_RANGE, &format!("bytes */{size}"));
            return reply;
        }
    };
    let body = if ask.head { Body::empty() } else { super::stream::blob(blob, from, length) };
    let mut reply = answer::bytes(status, body);
    answer::header(&mut reply, CONTENT_LENGTH, &length.to_string());
    answer::header(&mut reply, ACCEPT_RANGES, "bytes");
    answer::header(&mut reply, LAST_MODIFIED, &modified);
    if status == StatusCode::PARTIAL_CONTENT {
        answer::header(&mut reply, CONTENT_RANGE, &format!("bytes {from}-{}/{size}", from + length - 1));
    }
    reply
}

/// `POST /files/<path>`
pub(super) async fn write(ask: Ask) -> Answer {
    let about = |error: Error| error.about(&ask.route.kind, format!("/{}", ask.route.rest));
    if ask.path.split('?').next().is_some_and(|path| path.ends_with('/')) {
        return Err(about(Error::new(403, "POST", "Cannot upload a directory")));
    }
    let kind = body::content_type(&ask.headers);
    if !kind.starts_with("application/octet-stream") {
        return Err(Error::malformed(
            "POST",
            format!("Want content-type application/octet-stream, not {kind}"),
        ));
    }
    if ask.query.flag("explode") {
        return Err(about(Error::new(
            501,
            "POST",
            "explode is not there yet: unpack the archive and upload its files",
        )));
    }
    let name = name(&ask)
        .ok_or_else(|| about(Error::new(400, "POST", "the path must stay inside, without . and ..")))?;
    let Ask { api, route, body: mut upload, .. } = ask;
    let refuse = |error: &BlobError| refused(error, &route.kind, &route.rest);
    // Writes go to the page cache; block_in_place lets other requests go on when the disk makes them wait.
    let mut part =
        tokio::task::block_in_place(|| api.files.put(&name, LIMIT)).map_err(|error| refuse(&error))?;
    while let Some(block) = upload.block(BLOCK).await? {
        api.metrics.uploaded.inc_by(block.len() as u64);
        tokio::task::block_in_place(|| part.write(&block)).map_err(|error| refuse(&error))?;
    }
    let stored = tokio::task::block_in_place(|| part.finish()).map_err(|error| refuse(&error))?;
    let path = if route.kind == "files" { format!("/{}", route.rest) } else { route.rest.clone() };
    api.uploaded(&route.kind, &route.rest);
    api.refresh_catalogue().await;
    answer::json(StatusCode::CREATED, &BlobInfo { path, size: stored.size })
}

/// `DELETE /files/<path>`
pub(super) async fn delete(ask: Ask) -> Answer {
    let missing = || {
        Error::new(404, "DELETE", "Unable to delete").about(&ask.route.kind, format!("/{}", ask.route.rest))
    };
    let name = name(&ask).ok_or_else(missing)?;
    let blobs = ask.api.files.clone();
    super::blocking(move || blobs.delete(&name)).await?.map_err(|_| missing())?;
    ask.api.removed(&ask.route.kind, &ask.route.rest);
    ask.api.refresh_catalogue().await;
    Ok(answer::nothing())
}

fn name(ask: &Ask) -> Option<Name> {
    Name::new(&format!("{}/{}", ask.route.kind, ask.route.rest)).ok()
}

fn refused(error: &BlobError, kind: &str, path: &str) -> Error {
    let about = |error: Error| error.about(kind, format!("/{path}"));
    match error {
        BlobError::TooLarge { limit, .. } => about(Error::too_large("POST", *limit)),
        BlobError::Name { .. } => about(Error::new(400, "POST", error.to_string())),
        _ => {
            tracing::warn!(%error, path, "upload failed");
            let last = path.rsplit('/').next().unwrap_or(path);
            about(Error::new(409, "POST", format!("Failed to ensure final directory for {last} exists")))
        }
    }
}

fn http_date(time: std::time::SystemTime) -> String {
    let stamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
