//! The bodies of answers: what is sent is counted, and files are read a chunk at a time, when the client has taken the last
//! one. Reading ahead is the kernel's business, which is told that the file is read in order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::Ticket;

/// A body whose bytes are counted.
pub(super) struct Counted {
    pub(super) body: Body,
    pub(super) ticket: Ticket,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.ticket.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A part of a file. What the kernel has in memory is taken at once; what it must fetch from the disk is read on a thread
/// that may block.
pub(super) struct FileBody {
    file: Arc<File>,
    /// Where the next read begins.
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
    /// The chunk that was sent last: its memory is used again once it has left.
    last: Bytes,
    ticket: Ticket,
}

/// Read at a time, bytes: little enough to stay in the processor's cache between the copy out of the file and the one into
/// the socket, and that many clients who stall hold little.
const CHUNK: u64 = 256 << 10;
/// As much is read at a time when the disk has to be waited for.
const FETCHED: u64 = 1 << 20;

impl FileBody {
    pub(super) fn new(file: File, from: u64, length: u64, ticket: Ticket) -> Self {
        // The kernel reads ahead of whoever reads in order; a hint, so its failure means nothing.
        let _ = rustix::fs::fadvise(&file, from, None, rustix::fs::Advice::Sequential);
        let (file, end) = (Arc::new(file), from + length);
        Self { file, at: from, end, reading: None, last: Bytes::new(), ticket }
    }

    /// The next chunk, if the kernel has it.
    fn read_now(&mut self) -> Option<io::Result<Vec<u8>>> {
        let mut buffer = self.buffer();
        let parts = &mut [io::IoSliceMut::new(&mut buffer)];
        match rustix::io::preadv2(&*self.file, parts, self.at, rustix::io::ReadWriteFlags::NOWAIT) {
            Ok(read) if read == buffer.len() => Some(Ok(buffer)),
            // Not in memory, not all of it yet, or a file system that cannot tell: a thread waits for the disk, and reports
            // what is really wrong. Sending the few pages that are there would make many small writes.
            _ => {
                buffer.resize(FETCHED.min(self.end - self.at) as usize, 0);
                self.read_on(buffer);
                None
            }
        }
    }

    fn read_on(&mut self, mut buffer: Vec<u8>) {
        let (file, at) = (self.file.clone(), self.at);
        self.reading = Some(tokio::task::spawn_blocking(move || {
            file.read_exact_at(&mut buffer, at)?;
            Ok(buffer)
        }));
    }

    fn buffer(&mut self) -> Vec<u8> {
        let length = CHUNK.min(self.end - self.at) as usize;
        let mut buffer = match std::mem::take(&mut self.last).try_into_mut() {
            Ok(free) => Vec::from(free),
            Err(_) => Vec::new(),
        };
        buffer.resize(length, 0);
        buffer
    }

    fn take(&mut self, read: io::Result<Vec<u8>>) -> Option<io::Result<Frame<Bytes>>> {
        match read {
            Ok(bytes) => {
                let bytes = Bytes::from(bytes);
                self.last = bytes.clone();
                self.at += bytes.len() as u64;
                self.ticket.sent += bytes.len() as u64;
                Some(Ok(Frame::data(bytes)))
            }
            Err(error) => {
                self.at = self.end;
                self.ticket.error = Some(format!("file cannot be read: {error}"));
                Some(Err(error))
            }
        }
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        if self.reading.is_none()
            && let Some(read) = self.read_now()
        {
            return Poll::Ready(self.take(read));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let read = self.take(read.map_err(io::Error::other).and_then(|read| read));
        Poll::Ready(read)
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
