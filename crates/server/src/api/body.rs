//! Request bodies: read with a limit, and with a clock that runs while the client is silent.
//!
//! A client may be slow, but not silent: when no byte arrives for [`PATIENCE`], the request ends with 408. Nothing is locked
//! while waiting, so a stalled upload delays nobody else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use gantry_api::Error;
use gantry_model::check;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde_json::Value;

/// The largest JSON body of an ordinary request, in bytes: a patch may hold the largest object twice, as it was and as it shall be.
pub(crate) const JSON_LIMIT: u64 = 2 * check::LONGEST as u64;
/// The largest content pack, in bytes.
pub(crate) const PACK_LIMIT: u64 = 256 << 20;
/// How long a client may be silent in the middle of a body.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A body that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Never locked: the mutex only lets a request be shared between threads, which a body alone cannot.
    body: Mutex<Body>,
    method: &'static str,
    patience: Duration,
}

impl Upload {
    pub(crate) fn new(body: Body, method: &'static str, patience: Duration) -> Self {
        Self { body: Mutex::new(body), method, patience }
    }

    /// The next piece, or None at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
            let frame = tokio::time::timeout(self.patience, body.frame());
            let stalled = |_| Error::stalled(self.method, self.patience.as_secs());
            let Some(frame) = frame.await.map_err(stalled)? else { return Ok(None) };
            let frame =
                frame.map_err(|error| Error::malformed(self.method, format!("Body was cut off: {error}")))?;
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                // Trailers carry nothing that we use.
                Err(_) => {}
            }
        }
    }

    /// Pieces joined up to about `size` bytes, or None at the end: fewer and larger writes.
    pub(crate) async fn block(&mut self, size: usize) -> Result<Option<Bytes>, Error> {
        let Some(first) = self.next().await? else { return Ok(None) };
        if first.len() >= size {
            return Ok(Some(first));
        }
        let mut block = BytesMut::from(first);
        while block.len() < size {
            let Some(piece) = self.next().await? else { break };
            block.extend_from_slice(&piece);
        }
        Ok(Some(block.freeze()))
    }
}

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn whole(mut upload: Upload, headers: &HeaderMap, limit: u64) -> Result<Bytes, Error> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
    let too_large = || Error::too_large(upload.method, limit);
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let error = too_large();
    let mut all = BytesMut::new();
    while let Some(piece) = upload.next().await? {
        if (all.len() + piece.len()) as u64 > limit {
            return Err(error);
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// Reads a JSON body. An empty one is `empty`.
pub(crate) async fn json(
    upload: Upload,
    headers: &HeaderMap,
    limit: u64,
    empty: Value,
) -> Result<Value, Error> {
    let method = upload.method;
    let kind = content_type(headers);
    if !kind.contains("application/json") && !kind.contains("application/json-patch+json") {
        return Err(Error::malformed(method, format!("Invalid content type: {kind}").trim_end().to_owned()));
    }
    let bytes = whole(upload, headers, limit).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(empty);
    }
    serde_json::from_slice(&bytes).map_err(|error| Error::malformed(method, error.to_string()))
}

/// The content type as sent, or nothing.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(text: &'static str) -> Upload {
        Upload::new(Body::from(text), "POST", Duration::from_secs(1))
    }

    fn headers(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(kind))])
    }

    #[tokio::test]
    async fn json_needs_its_content_type_and_a_whole_document() {
        let read = |text, kind| async move { json(upload(text), &headers(kind), 100, Value::Null).await };
        assert_eq!(read("{\"a\":1}", "application/json; charset=utf-8").await.unwrap()["a"], 1);
        assert_eq!(read("", "application/json").await.unwrap(), Value::Null);
        assert_eq!(
            read("{}", "text/plain").await.unwrap_err().messages,
            ["Invalid content type: text/plain"]
        );
        assert_eq!(read("{\"a\":", "application/json").await.unwrap_err().code, 400);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_before_it_is_held() {
        let error = whole(upload("12345"), &HeaderMap::new(), 4).await.unwrap_err();
        assert_eq!((error.code, error.r#type.as_str()), (413, "POST"));
        let declared = HeaderMap::from_iter([(CONTENT_LENGTH, http::HeaderValue::from_static("99999"))]);
        assert_eq!(whole(upload(""), &declared, 4).await.unwrap_err().code, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up() {
        let silent = Body::from_stream(tokio_stream_pending());
        let mut upload = Upload::new(silent, "PUT", PATIENCE);
        assert_eq!(upload.next().await.unwrap_err().code, 408);
    }

    fn tokio_stream_pending() -> impl futures_core::Stream<Item = Result<Bytes, std::io::Error>> {
        struct Never;
        impl futures_core::Stream for Never {
            type Item = Result<Bytes, std::io::Error>;
            fn poll_next(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                std::task::Poll::Pending
            }
        }
        Never
    }
}
