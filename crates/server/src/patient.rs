//! A connection that gives up on a peer who says nothing at first, or takes no more bytes later.
//!
//! A client that stops reading in the middle of a download would hold its buffers, its file and its place for ever: TCP
//! itself keeps a closed window open as long as the peer answers. Silence between requests is the business of the protocol
//! above; but that begins only with the first bytes, so those are timed here, too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream whose writes may wait for so long and no longer.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Set while a write waits.
    waiting: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    opening: Option<Opening>,
}

/// The first bytes of a connection, which must come in time.
#[derive(Debug)]
struct Opening {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: false, deadline: None, opening: None }
    }

    /// The peer's first `bytes` must come within `time`, unless it is answered before: then it has said all that is needed.
    pub(crate) fn opened_within(mut self, bytes: usize, time: Duration) -> Self {
        self.opening = Some(Opening { missing: bytes, deadline: Box::pin(tokio::time::sleep(time)) });
        self
    }

    fn opens(&mut self, context: &mut Context<'_>, read: usize) -> Poll<io::Result<()>> {
        let Some(opening) = &mut self.opening else { return Poll::Pending };
        opening.missing = opening.missing.saturating_sub(read);
        if opening.missing == 0 {
            self.opening = None;
            return Poll::Pending;
        }
        let silent = || Err(io::Error::new(io::ErrorKind::TimedOut, "the client said nothing"));
        opening.deadline.as_mut().poll(context).map(|()| silent())
    }

    fn timed<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = false;
            self.opening = None;
            return poll;
        }
        let end = Instant::now() + self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if !self.waiting {
            self.waiting = true;
            deadline.as_mut().reset(end);
        }
        deadline.as_mut().poll(context).map(|()| {
            let text = format!("the client took nothing for {} s", self.patience.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match self.opens(context, buffer.filled().len() - before) {
            Poll::Ready(silent) if read.is_pending() => Poll::Ready(silent),
            _ => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.timed(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.timed(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(context);
        self.timed(context, poll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = duplex(4);
        let error = Patient::new(ours, PATIENCE).write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the client took nothing for 60 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_too_little_is_given_up_and_one_that_pauses_later_is_not() {
        for (said, ends) in [("", true), ("PRI", true), ("PRI * HTTP/2.0", false)] {
            let (ours, mut theirs) = duplex(64);
            theirs.write_all(said.as_bytes()).await.unwrap();
            let mut ours = Patient::new(ours, PATIENCE).opened_within(14, PATIENCE);
            let mut heard = vec![0; said.len()];
            ours.read_exact(&mut heard).await.unwrap();
            let more = tokio::time::timeout(PATIENCE * 10, ours.read_u8()).await;
            assert_eq!(more.is_ok(), ends, "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_was_answered_may_have_said_little() {
        let (ours, mut theirs) = duplex(64);
        theirs.write_all(b"GET / HTTP/1.0").await.unwrap();
        let mut ours = Patient::new(ours, PATIENCE).opened_within(24, PATIENCE);
        ours.read_exact(&mut [0; 14]).await.unwrap();
        ours.write_all(b"HTTP/1.0 200 OK").await.unwrap();
        assert!(tokio::time::timeout(PATIENCE * 10, ours.read_u8()).await.is_err(), "it was cut");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_served_for_as_long_as_it_reads() {
        let (ours, mut theirs) = duplex(4);
        let reader = tokio::spawn(async move {
            let mut all = vec![0; 40];
            for part in all.chunks_mut(4) {
                tokio::time::sleep(PATIENCE / 2).await;
                theirs.read_exact(part).await.unwrap();
            }
            all
        });
        Patient::new(ours, PATIENCE).write_all(&[7; 40]).await.unwrap();
        assert_eq!(reader.await.unwrap(), [7; 40]);
    }
}
