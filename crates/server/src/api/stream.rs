//! Bodies that are produced while they are sent, so that neither a large file nor a long list is ever whole in memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use gantry_store::blobs::Blob;
use tokio::task::JoinHandle;

/// Bytes per read: larger reads cost half the processor time of small ones.
const BLOCK: u64 = 1 << 20;

/// `length` bytes of a blob from `from` on. Each block is read on a blocking thread when the client has taken the last one.
pub(crate) fn blob(blob: Arc<Blob>, from: u64, length: u64) -> Body {
    Body::new(Blocks { blob, at: from, left: length, reading: None })
}

struct Blocks {
    blob: Arc<Blob>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Blocks {
    fn start(&self) -> JoinHandle<io::Result<Bytes>> {
        let (blob, at) = (self.blob.clone(), self.at);
        let size = usize::try_from(self.left.min(BLOCK)).unwrap_or(0);
        tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; size];
            let filled = blob.read_at(&mut buffer, at)?;
            buffer.truncate(filled);
            Ok(buffer.into())
        })
    }

    fn take(&mut self, read: io::Result<Bytes>) -> io::Result<Bytes> {
        let bytes = read?;
        if bytes.is_empty() {
            // The headers promised more: cutting the connection is the only way left to say so.
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was sent",
            ));
        }
        self.at += bytes.len() as u64;
        self.left -= bytes.len() as u64;
        Ok(bytes)
    }
}

impl hyper::body::Body for Blocks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.start());
        let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let read = read.unwrap_or_else(|_| Err(io::Error::other("the read was given up")));
        Poll::Ready(Some(self.take(read).map(hyper::body::Frame::data)))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.left)
    }
}

/// Pieces from an iterator, made when they are sent.
pub(crate) fn pieces(pieces: impl Iterator<Item = Bytes> + Send + Unpin + 'static) -> Body {
    Body::new(Pieces(pieces))
}

struct Pieces<I>(I);

impl<I: Iterator<Item = Bytes> + Send + Unpin> hyper::body::Body for Pieces<I> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(hyper::body::Frame::data(piece))))
    }
}
