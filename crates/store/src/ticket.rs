//! The promise of an answer to a submitted group.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::{Error, Revision};

/// What a group comes to: the revision of each of its commits.
pub(crate) type Outcome = Result<Vec<Revision>, Error>;

/// Resolves when a submitted group is durable, or was refused. Await it, or block with [`Ticket::wait`].
///
/// A dropped ticket does not take its group back.
#[derive(Debug)]
#[must_use = "a group that is not waited for may have been refused"]
pub struct Ticket(oneshot::Receiver<Outcome>);

impl Ticket {
    pub(crate) fn new() -> (oneshot::Sender<Outcome>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// A ticket whose answer is known already.
    pub fn ready(outcome: Result<Vec<Revision>, Error>) -> Self {
        let (sender, ticket) = Self::new();
        // The receiver is held right here, so the answer arrives.
        drop(sender.send(outcome));
        ticket
    }

    /// Blocks the thread until the group is durable or refused.
    ///
    /// # Errors
    /// As the group's outcome; [`Error::Closed`] when the engine stopped before it answered.
    ///
    /// # Panics
    /// When called within an async runtime, which must not be blocked: await the ticket there.
    pub fn wait(self) -> Result<Vec<Revision>, Error> {
        self.0.blocking_recv().unwrap_or(Err(Error::Closed))
    }
}

impl Future for Ticket {
    type Output = Result<Vec<Revision>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}
