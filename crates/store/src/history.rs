//! The bounded history that followers read, shared by every engine.
//!
//! An engine publishes commits here once they are durable. A follower holds no place in it: it only remembers the
//! revision it has seen, so one that stalls costs nothing and is told its gap when it comes back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{Committed, Revision};

/// How much history is kept, in memory and in the file. The newest commit always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most this many commits.
    pub commits: usize,
    /// At most this many bytes of keys, values and records.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { commits: 8192, bytes: 8 << 20 }
    }
}

/// Why a follower gets no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The commits after the asked revision are not (all) there any more, or that revision is not from this store.
    /// Load again, then follow from what was loaded.
    #[error("history after revision {after} is gone: it reaches from {oldest} to {newest}")]
    Gap {
        /// The revision that was to be followed from.
        after: Revision,
        /// Following works from this revision on.
        oldest: Revision,
        /// The newest revision.
        newest: Revision,
    },
    /// The engine has stopped.
    #[error("the store is closed")]
    Closed,
}

/// What engines hold of the history.
#[derive(Debug)]
pub(crate) struct History(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    grown: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    bounds: Bounds,
    commits: VecDeque<Arc<Committed>>,
    bytes: usize,
    /// Commits up to here are gone.
    compacted: Revision,
    newest: Revision,
    closed: bool,
}

impl History {
    /// Starts after `compacted` with the commits that are still known.
    pub(crate) fn new(bounds: Bounds, compacted: Revision, commits: Vec<Committed>) -> Self {
        let mut ring =
            Ring { bounds, commits: VecDeque::new(), bytes: 0, compacted, newest: compacted, closed: false };
        ring.extend(commits.into_iter().map(Arc::new));
        Self(Arc::new(Shared { ring: Mutex::new(ring), grown: watch::Sender::new(()) }))
    }

    pub(crate) fn newest(&self) -> Revision {
        self.0.ring().newest
    }

    /// Shows durable commits to followers.
    pub(crate) fn publish(&self, commits: impl IntoIterator<Item = Arc<Committed>>) {
        self.0.ring().extend(commits);
        self.0.grown.send_replace(());
    }

    /// The revision up to which [`History::publish`] of these commits will forget; `None` when it forgets nothing.
    pub(crate) fn forgets(&self, commits: &[Arc<Committed>]) -> Option<Revision> {
        let ring = self.0.ring();
        let excess = ring.excess(commits);
        ring.commits.iter().chain(commits).take(excess).last().map(|commit| commit.revision)
    }

    /// Ends the history, for every follower that has read it to its end.
    pub(crate) fn close(&self) {
        self.0.ring().closed = true;
        self.0.grown.send_replace(());
    }

    pub(crate) fn follow(&self, after: Revision) -> Follow {
        Follow { shared: Arc::clone(&self.0), grown: self.0.grown.subscribe(), seen: after }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// The ring stays whole even if a holder of the lock panicked: every change to it is made of infallible steps.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn extend(&mut self, commits: impl IntoIterator<Item = Arc<Committed>>) {
        for commit in commits {
            self.newest = commit.revision;
            self.bytes += commit.size();
            self.commits.push_back(commit);
        }
        for _ in 0..self.excess(&[]) {
            if let Some(oldest) = self.commits.pop_front() {
                self.bytes -= oldest.size();
                self.compacted = oldest.revision;
            }
        }
    }

    /// How many of the oldest commits are over the bounds once `more` has come. The newest commit always stays.
    fn excess(&self, more: &[Arc<Committed>]) -> usize {
        let mut count = self.commits.len() + more.len();
        let mut bytes = self.bytes + more.iter().map(|commit| commit.size()).sum::<usize>();
        let mut excess = 0;
        for oldest in self.commits.iter().chain(more) {
            if count <= 1 || (count <= self.bounds.commits && bytes <= self.bounds.bytes) {
                break;
            }
            count -= 1;
            bytes -= oldest.size();
            excess += 1;
        }
        excess
    }

    /// Every commit after a revision that is still there; an empty answer means there is none yet.
    fn after(&self, after: Revision) -> Result<Vec<Arc<Committed>>, Lost> {
        if after < self.compacted || after > self.newest {
            return Err(Lost::Gap { after, oldest: self.compacted, newest: self.newest });
        }
        let from = self.commits.partition_point(|commit| commit.revision <= after);
        Ok(self.commits.range(from..).cloned().collect())
    }
}

/// A cursor over durable commits.
#[derive(Debug)]
pub struct Follow {
    shared: Arc<Shared>,
    grown: watch::Receiver<()>,
    seen: Revision,
}

impl Follow {
    /// Waits for commits after the last one seen, and returns all there are: at least one, in order.
    ///
    /// Safe to cancel: a commit that was not returned comes with the next call.
    ///
    /// # Errors
    /// [`Lost`] when commits are missing or no more will come; what came before that has been returned.
    pub async fn next(&mut self) -> Result<Vec<Arc<Committed>>, Lost> {
        loop {
            let commits = self.ready()?;
            if !commits.is_empty() {
                return Ok(commits);
            }
            // The sender lives in `shared`, so this only ever reports growth.
            drop(self.grown.changed().await);
        }
    }

    /// As [`Follow::next`], but without waiting: no commits when there are none yet.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub fn ready(&mut self) -> Result<Vec<Arc<Committed>>, Lost> {
        let ring = self.shared.ring();
        let commits = ring.after(self.seen)?;
        match commits.last() {
            Some(last) => self.seen = last.revision,
            None if ring.closed => return Err(Lost::Closed),
            None => {}
        }
        drop(ring);
        Ok(commits)
    }

    /// The revision of the last commit that was returned, or the one that was asked for.
    #[must_use]
    pub fn seen(&self) -> Revision {
        self.seen
    }
}
