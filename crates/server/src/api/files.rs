//! Files and ISOs: list, download, upload, delete (reference: api.md §14, network.md §2.14).
//!
//! They are blobs below the file root, so what is uploaded here is what TFTP and HTTP serve. A name is checked once, by
//! `store::blobs::Name`, which refuses everything that could leave the folder.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Body;
use gantry_api::Error;
use gantry_api::claim::Wanted;
use gantry_api::types::BlobInfo;
use gantry_store::blobs::{Blob, Blobs, Error as BlobError, Name, Stored};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderName, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;

use super::answer::{self, Answer};
use super::body::Upload;
use super::form::File;
use super::range::{self, Range};
use super::{Ask, body, form};
use crate::core::Core;
use crate::digests::LARGE;
use crate::net::{Protocol, Served, Wanted as Wish};

/// The largest upload: bigger than any image that is deployed, smaller than a disk that it could fill unnoticed.
const LIMIT: u64 = 256 << 30;
/// Bytes per write.
const BLOCK: usize = 1 << 20;

const SHA256: HeaderName = HeaderName::from_static("x-drp-sha256sum");

/// `GET /files?path=dir`
pub(super) async fn list(ask: Ask) -> Answer {
    let folder = ask.query.get("path").unwrap_or_default().trim_matches('/').to_owned();
    let refused =
        |why: &str| Error::new(404, "GET", "list: error listing files").and(why).about(&ask.route.kind, "");
    let top = folder.is_empty();
    let path = if top { ask.route.kind.clone() } else { format!("{}/{folder}", ask.route.kind) };
    let path = Name::new(&path).map_err(|_| refused("the path must stay inside"))?;
    let (blobs, deep) = (ask.api.files.clone(), ask.query.flag("all"));
    let names = super::blocking(move || names(&blobs, &path, deep)).await?;
    match names {
        // The folder comes with the first upload.
        Err(BlobError::NotFound { .. }) if top => answer::ok(&Vec::<String>::new()),
        names => answer::ok(&names.map_err(|_| refused("no such directory"))?),
    }
}

/// What is in a folder; with `deep` the files in all that is below it.
fn names(blobs: &Blobs, folder: &Name, deep: bool) -> Result<Vec<String>, BlobError> {
    let names = blobs.entries(folder)?;
    if !deep {
        return Ok(names);
    }
    let prefix = format!("{}/", folder.as_str());
    let below = blobs.list(&prefix)?;
    let below = below.iter().filter_map(|blob| blob.name.as_str().strip_prefix(&prefix));
    Ok(below.map(str::to_owned).collect())
}

/// `GET` and `HEAD /files/<path>`
pub(super) async fn read(ask: Ask) -> Answer {
    let missing = || {
        Error::new(404, "GET", "Not a regular file").about(&ask.route.kind, format!("/{}", ask.route.rest))
    };
    let name = name(&ask).ok_or_else(missing)?;
    let (blobs, path) = (ask.api.files.clone(), name.clone());
    let blob = super::blocking(move || blobs.read(&path)).await?.map_err(|_| missing())?;
    let blob = Arc::new(blob);
    let digest = digest(&ask, &name, &blob).await.map_err(|_| missing())?;
    let etag = digest.as_ref().map(|digest| format!("\"SHA256:{digest}\""));
    let known = ask.headers.get(IF_NONE_MATCH);
    if let Some(etag) = &etag
        && known.is_some_and(|value| value.as_bytes() == etag.as_bytes())
    {
        return Ok(answer::unchanged(etag));
    }
    let mut reply = bytes(&ask, blob);
    if let (Some(etag), Some(digest)) = (&etag, &digest) {
        answer::tag(&mut reply, etag);
        answer::header(&mut reply, SHA256, digest);
    }
    Ok(traced(&ask, reply))
}

/// What a machine fetches is part of its boot trace, with the bytes that it took.
fn traced(ask: &Ask, reply: Response<Body>) -> Response<Body> {
    let Some(machine) = ask.caller.machine().filter(|_| !ask.head) else { return reply };
    let mut fetch = Fetch {
        api: ask.api.clone(),
        machine: machine.to_owned(),
        wanted: Wish {
            path: format!("api/v3/{}/{}", ask.route.kind, ask.route.rest),
            client: ask.remote(),
            local: ask.peer.local.ip(),
            protocol: Protocol::Https,
        },
        status: reply.status(),
        bytes: 0,
        start: SystemTime::now(),
        since: Instant::now(),
    };
    let counted = move |body: Body| {
        body.map_frame(move |frame| {
            fetch.took(frame.data_ref().map_or(0, |data| data.len() as u64));
            frame
        })
    };
    reply.map(|body| Body::new(counted(body)))
}

/// A download of a machine; noted when it is dropped, which is when the last byte has left or the machine went away.
struct Fetch {
    api: Arc<Core>,
    machine: String,
    wanted: Wish,
    status: StatusCode,
    bytes: u64,
    start: SystemTime,
    since: Instant,
}

impl Fetch {
    fn took(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let served = Served {
            wanted: self.wanted.clone(),
            status: self.status.as_str().to_owned(),
            bytes: self.bytes,
            start: self.start,
            duration: self.since.elapsed(),
            retries: 0,
            error: None,
        };
        let view = self.api.state.view();
        self.api.note_of(&view, &self.machine, Some(self.wanted.client), served.note());
    }
}

/// The digest of a file; of a large one that nobody has hashed yet only when the request is about the digest: whoever wants
/// bytes does not wait until all of them were read.
async fn digest(ask: &Ask, name: &Name, blob: &Arc<Blob>) -> Result<Option<String>, Arc<std::io::Error>> {
    let digests = &ask.api.digests;
    if blob.size() >= LARGE && !ask.head && !ask.headers.contains_key(IF_NONE_MATCH) {
        return Ok(digests.known(name.as_str(), blob));
    }
    digests.of(name.as_str(), blob).await.map(Some)
}

/// The bytes of a blob, or the range of them that was asked for, with everything that `HEAD` tells.
pub(super) fn bytes(ask: &Ask, blob: Arc<Blob>) -> Response<Body> {
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

/// `POST /files/<path>`, and `POST /files/` of a form, whose file brings its name.
pub(super) async fn write(mut ask: Ask) -> Answer {
    let given = ask.route.rest.clone();
    let path = ask.path.split('?').next().unwrap_or_default();
    let folder = path.ends_with('/');
    if given.is_empty() && !folder {
        return Err(Error::no_route("POST", &ask.path));
    }
    let kind = body::content_type(&ask.headers).to_owned();
    let boundary = form::boundary(&kind);
    if folder && !(given.is_empty() && boundary.is_some()) {
        return Err(about(&ask, &given, Error::new(403, "POST", "Cannot upload a directory")));
    }
    if boundary.is_none() && !kind.starts_with("application/octet-stream") {
        let given = if kind.is_empty() { "none" } else { &kind };
        let text = format!("Want content-type application/octet-stream, not {given}");
        let form = "or multipart/form-data with the file in the field `file`, as browsers send it";
        return Err(Error { messages: vec![text, form.into()], ..Error::malformed("POST", "") });
    }
    if ask.query.flag("explode") {
        let text = "explode is not there yet: unpack the archive and upload its files";
        return Err(about(&ask, &given, Error::new(501, "POST", text)));
    }
    let body = ask.take_body();
    let File { name, body } = match boundary {
        Some(boundary) => form::file(body, boundary?).await?,
        None => File { name: String::new(), body },
    };
    if !given.is_empty() {
        let stored = store(&ask, &given, body).await?;
        let path = if ask.route.kind == "files" { format!("/{given}") } else { given };
        return answer::json(StatusCode::CREATED, &BlobInfo { path, size: stored.size });
    }
    if !ask.caller.may(&Wanted::new(&*ask.route.kind, "post", &*name)) {
        return Err(Error::forbidden(&ask.path, &Wanted::new(&*ask.route.kind, "post", name)));
    }
    let stored = store(&ask, &name, body).await?;
    answer::json(StatusCode::CREATED, &BlobInfo { path: name, size: stored.size })
}

/// Writes a body as the file at `path` and tells of it.
async fn store(ask: &Ask, path: &str, mut body: Upload) -> Result<Stored, Error> {
    let api = &ask.api;
    let name = Name::new(&format!("{}/{path}", ask.route.kind)).map_err(|_| {
        about(ask, path, Error::new(400, "POST", "the path must stay inside, without . and .."))
    })?;
    let refuse = |error: &BlobError| about(ask, path, refused(error, path));
    // Writes go to the page cache; block_in_place lets other requests go on when the disk makes them wait.
    let mut part =
        tokio::task::block_in_place(|| api.files.put(&name, LIMIT)).map_err(|error| refuse(&error))?;
    while let Some(block) = body.block(BLOCK).await? {
        api.metrics.uploaded.inc_by(block.len() as u64);
        tokio::task::block_in_place(|| part.write(&block)).map_err(|error| refuse(&error))?;
    }
    let stored = tokio::task::block_in_place(|| {
        let stored = part.finish()?;
        api.digests.learn(name.as_str(), stored.size, stored.modified, &stored.sha256);
        Ok(stored)
    });
    let stored = stored.map_err(|error| refuse(&error))?;
    api.uploaded(&ask.route.kind, path);
    api.refresh_file(name).await;
    Ok(stored)
}

/// `DELETE /files/<path>`
pub(super) async fn delete(ask: Ask) -> Answer {
    let missing = || about(&ask, &ask.route.rest, Error::new(404, "DELETE", "Unable to delete"));
    let name = name(&ask).ok_or_else(missing)?;
    let (blobs, gone) = (ask.api.files.clone(), name.clone());
    super::blocking(move || blobs.delete(&gone)).await?.map_err(|_| missing())?;
    ask.api.removed(&ask.route.kind, &ask.route.rest);
    ask.api.refresh_file(name).await;
    Ok(answer::nothing())
}

fn name(ask: &Ask) -> Option<Name> {
    Name::new(&format!("{}/{}", ask.route.kind, ask.route.rest)).ok()
}

fn about(ask: &Ask, path: &str, error: Error) -> Error {
    error.about(&ask.route.kind, format!("/{path}"))
}

fn refused(error: &BlobError, path: &str) -> Error {
    match error {
        BlobError::TooLarge { limit, .. } => Error::too_large("POST", *limit),
        BlobError::Name { .. } => Error::new(400, "POST", error.to_string()),
        BlobError::Busy { .. } => Error::new(409, "POST", "Another upload of this file is under way"),
        BlobError::Io { source, .. } => {
            tracing::warn!(%error, %source, path, "upload failed");
            Error::new(507, "POST", format!("The file could not be written: {}", source.kind()))
        }
        _ => {
            let last = path.rsplit('/').next().unwrap_or(path);
            Error::new(409, "POST", format!("Failed to ensure final directory for {last} exists"))
        }
    }
}

fn http_date(time: std::time::SystemTime) -> String {
    let stamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_name_that_cannot_be() {
        let full = |kind: io::ErrorKind| BlobError::Io {
            doing: "writing an upload",
            path: "/root/.gantry/uploads/1".into(),
            source: kind.into(),
        };
        let error = refused(&full(io::ErrorKind::StorageFull), "dir/foo");
        assert_eq!(
            (error.code, error.messages[0].as_str()),
            (507, "The file could not be written: no storage space")
        );
        let name = Name::new("files/dir/foo").unwrap();
        let error = refused(&BlobError::Unusable { name, why: "a part of it is a file" }, "dir/foo");
        assert_eq!(
            (error.code, error.messages[0].as_str()),
            (409, "Failed to ensure final directory for foo exists")
        );
    }
}
