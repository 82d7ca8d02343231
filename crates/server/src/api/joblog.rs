//! Job logs: read with ranges, append in pieces (reference: api.md §11.7).
//!
//! An append is a stream: pieces are written as they come, and nothing is held while waiting for the next, so a client that
//! stalls in the middle of its upload delays nobody. With `X-Gantry-Log-Offset` the sender says where its bytes belong, and
//! sending them again is harmless. Without it they go to the end, wherever that is.

use std::sync::{Arc, Mutex, PoisonError};

use gantry_api::Error;
use gantry_model::{Job, Kind, View};
use gantry_store::blobs::{Blobs, Error as BlobError, Name};
use gantry_workflow::job::{State, log_head};
use http::header::HeaderName;

use super::answer::{self, Answer};
use super::{Ask, body};
use crate::core::Core;
use crate::log::Level;

const OFFSET: HeaderName = HeaderName::from_static("x-gantry-log-offset");
const SIZE: HeaderName = HeaderName::from_static("x-gantry-log-size");
/// Bytes that are joined before they are written.
const BLOCK: usize = 256 * 1024;
/// The longest job log: a task that writes more has a problem that its log does not explain.
const LIMIT: u64 = 1 << 30;

/// Logs of all jobs, and the locks that order appends which do not say where they belong.
#[derive(Debug)]
pub struct JobLogs {
    blobs: Blobs,
    ends: [Mutex<()>; 64],
}

impl JobLogs {
    /// Logs in the folder of `blobs`.
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs, ends: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Adds to the log of `job`, at `offset` or at the end, and returns its size then. Blocks on the disk.
    ///
    /// # Errors
    /// As `Blobs::append`; also when the log would become too long.
    pub fn append(&self, job: &str, offset: Option<u64>, bytes: &[u8]) -> Result<u64, BlobError> {
        let name = Name::new(job)?;
        if let Some(offset) = offset {
            return self.checked(&name, offset, bytes);
        }
        // Held while writing to the page cache, never while waiting for a client.
        let stripe =
            job.bytes().fold(0, |sum, byte| usize::from(byte).wrapping_add(usize::wrapping_mul(sum, 31)))
                % self.ends.len();
        let _turn = self.ends[stripe].lock().unwrap_or_else(PoisonError::into_inner);
        let end = match self.blobs.read(&name) {
            Ok(blob) => blob.size(),
            Err(BlobError::NotFound { .. }) => 0,
            Err(other) => return Err(other),
        };
        self.checked(&name, end, bytes)
    }

    /// Removes the log of a job that is gone. Blocks on the disk.
    pub fn delete(&self, job: &str) {
        // Most deleted jobs have a log; one that has none needs nothing.
        drop(Name::new(job).and_then(|name| self.blobs.delete(&name)));
    }

    /// Returns when everything appended so far is safe from loss of power. Blocks on the disk.
    pub fn sync(&self) {
        if let Err(error) = self.blobs.sync() {
            tracing::error!(%error, "job logs could not be synced");
        }
    }

    fn checked(&self, name: &Name, offset: u64, bytes: &[u8]) -> Result<u64, BlobError> {
        if offset.saturating_add(bytes.len() as u64) > LIMIT {
            return Err(BlobError::TooLarge { name: name.clone(), limit: LIMIT });
        }
        self.blobs.append(name, offset, bytes)
    }
}

/// `GET` and `HEAD /jobs/<k>/log`
pub(super) async fn read(ask: Ask) -> Answer {
    let key = job(&ask)?;
    let api = ask.api.clone();
    let begins = begins(&ask.view, &key);
    let blob = super::blocking(move || {
        if let Some(head) = begins {
            begin(&api, &key, &head);
        }
        Name::new(&key).and_then(|name| api.job_logs.blobs.read(&name))
    });
    let blob = blob.await?;
    Ok(match blob {
        Ok(blob) => super::files::bytes(&ask, blob.into()),
        // The job is there but nothing was ever logged.
        Err(_) => answer::bytes(http::StatusCode::OK, axum::body::Body::empty()),
    })
}

/// `PUT /jobs/<k>/log`
pub(super) async fn append(ask: Ask) -> Answer {
    let kind = body::content_type(&ask.headers);
    if !kind.starts_with("application/octet-stream") {
        let text = "job log put must have content-type application/octet-stream";
        return Err(Error::new(415, "API ERROR", text));
    }
    let key = job(&ask)?;
    let mut offset = offset(&ask)?;
    let mut begins = begins(&ask.view, &key);
    let mut told = Told { api: ask.api.clone(), principal: ask.caller.principal.clone(), key, bytes: 0 };
    let Ask { api, body: mut upload, .. } = ask;
    let mut size = None;
    while let Some(block) = upload.block(BLOCK).await? {
        let (core, job, length, at) = (api.clone(), told.key.clone(), block.len(), offset);
        let head = begins.take();
        let append = move || {
            if let Some(head) = head {
                begin(&core, &job, &head);
            }
            core.job_logs.append(&job, at, &block)
        };
        let end = super::blocking(append).await?;
        size = Some(end.map_err(|error| refused(&error, &told.key))?);
        offset = offset.map(|offset| offset + length as u64);
        told.bytes += length;
    }
    drop(told);
    let mut reply = answer::nothing();
    if let Some(size) = size {
        answer::header(&mut reply, SIZE, &size.to_string());
    }
    Ok(reply)
}

/// Says when it goes how much one request has added to a log: one line for each, also for one that broke off.
struct Told {
    api: Arc<Core>,
    principal: String,
    key: String,
    bytes: usize,
}

impl Drop for Told {
    fn drop(&mut self) {
        if self.bytes > 0 {
            tell(&self.api, &self.principal, &self.key, self.bytes);
        }
    }
}

/// The line in the server's log about an append (reference: api.md §11.7).
fn tell(core: &Core, principal: &str, key: &str, bytes: usize) {
    let threshold = core.threshold(&core.state.view(), "debugFrontend");
    let text = format!("Job {key}: {bytes} bytes appended to log");
    core.log.add(threshold, Level::Debug, "frontend", principal, text);
}

/// Adds what the server itself has to say to a job's log. Blocks on the disk.
pub(super) fn write(core: &Core, job: &str, text: &str) {
    match core.job_logs.append(job, None, text.as_bytes()) {
        Ok(_) => tell(core, "", job, text.len()),
        Err(error) => tracing::error!(%error, job, "a job log could not be written"),
    }
}

/// The first line of the log of a job that is not over. It is written after the job is made, so a server that was killed in
/// between has left a job without it; then whoever uses the log next finds it there all the same.
fn begins(view: &View, key: &str) -> Option<String> {
    let job = view.object::<Job>(key)?;
    let over = matches!(State::of(&job), State::Finished | State::Failed);
    (!over && !job.archived).then(|| log_head(&job))
}

/// Writes the first line of a log that has none. Blocks on the disk.
fn begin(core: &Core, job: &str, head: &str) {
    let logs = &core.job_logs;
    let missing =
        Name::new(job).is_ok_and(|name| matches!(logs.blobs.read(&name), Err(BlobError::NotFound { .. })));
    // At the very beginning: if another request is faster the line is a repetition, or comes too late.
    if missing && logs.append(job, Some(0), head.as_bytes()).is_ok() {
        tell(core, "", job, head.len());
    }
}

/// The native key of the job that the path names.
pub(super) fn job(ask: &Ask) -> Result<String, Error> {
    let found = ask.view.lookup(Kind::Job, &ask.route.key);
    let missing = || Error::new(404, "ValidationError", format!("Job {} does not exist", ask.route.key));
    found.map(|key| key.as_str().to_owned()).ok_or_else(missing)
}

fn offset(ask: &Ask) -> Result<Option<u64>, Error> {
    let Some(value) = ask.headers.get(OFFSET) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let wrong =
        || Error::malformed("PUT", format!("X-Gantry-Log-Offset is `{text}`; it must be a number of bytes"));
    text.trim().parse().map(Some).map_err(|_| wrong())
}

fn refused(error: &BlobError, key: &str) -> Error {
    let about = |code, text: String| Error::new(code, "PUT", text).about("jobs", key);
    match error {
        BlobError::TooLarge { limit, .. } => Error::too_large("PUT", *limit).about("jobs", key),
        BlobError::Hole { .. } | BlobError::Differs { .. } => about(409, error.to_string()),
        _ => {
            tracing::error!(%error, key, "job log could not be written");
            about(507, "the log could not be written".into())
        }
    }
}
