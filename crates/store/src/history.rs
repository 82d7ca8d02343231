//! A bounded history that any number of readers follow, each at its own pace.
//!
//! Every engine publishes its commits in one once they are durable; who derives events from commits has another for those. A
//! follower holds no place in it: it only remembers the revision it has seen, so one that stalls costs nothing and is told its
//! gap when it comes back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{Committed, Revision};

/// How much history is kept, in memory and in the file. The newest entry always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most this much of what entries count as ([`Dated::weight`]): of commits, their number.
    pub weight: usize,
    /// At most this many bytes of keys, values and records ([`Dated::size`]).
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { weight: 8192, bytes: 8 << 20 }
    }
}

/// What a history consists of.
pub trait Dated {
    /// Its place in the total order; later entries have larger ones.
    fn revision(&self) -> Revision;

    /// How much it counts towards [`Bounds::weight`].
    fn weight(&self) -> usize {
        1
    }

    /// Bytes that it keeps in memory, roughly.
    fn size(&self) -> usize;
}

impl Dated for Committed {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

/// Why a follower gets no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// What came after the asked revision is not (all) there any more, or that revision is not from this history.
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
    /// Nothing more will come.
    #[error("the history is closed")]
    Closed,
}

/// The publishing side; of durable commits, unless something else is named.
#[derive(Debug)]
pub struct History<T = Committed>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    ring: Mutex<Ring<T>>,
    grown: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring<T> {
    bounds: Bounds,
    entries: VecDeque<Arc<T>>,
    /// What the entries in the ring come to.
    weight: usize,
    bytes: usize,
    /// Entries up to here are gone, or never were.
    compacted: Revision,
    newest: Revision,
    /// Entries up to here have happened, and are about to come.
    announced: Revision,
    closed: bool,
}

impl<T: Dated> History<T> {
    /// Starts after `compacted` with the entries that are still known.
    #[must_use]
    pub fn new(bounds: Bounds, compacted: Revision, entries: Vec<T>) -> Self {
        let mut ring = Ring {
            bounds,
            entries: VecDeque::new(),
            weight: 0,
            bytes: 0,
            compacted,
            newest: compacted,
            announced: compacted,
            closed: false,
        };
        ring.extend(entries.into_iter().map(Arc::new));
        Self(Arc::new(Shared { ring: Mutex::new(ring), grown: watch::Sender::new(()) }))
    }

    /// The revision of the last entry.
    #[must_use]
    pub fn newest(&self) -> Revision {
        self.0.ring().newest
    }

    /// Says up to where entries are about to be published, before anybody can learn of their revisions elsewhere: who follows
    /// from one of these does not ask for the future, and waits.
    pub fn announce(&self, revision: Revision) {
        self.0.ring().announced = revision;
    }

    /// Shows entries to followers.
    pub fn publish(&self, entries: impl IntoIterator<Item = Arc<T>>) {
        self.0.ring().extend(entries);
        self.0.grown.send_replace(());
    }

    /// The revision up to which [`History::publish`] of these entries will forget; `None` when it forgets nothing.
    pub(crate) fn forgets(&self, entries: &[Arc<T>]) -> Option<Revision> {
        let ring = self.0.ring();
        let excess = ring.excess(entries);
        ring.entries.iter().chain(entries).take(excess).last().map(|entry| entry.revision())
    }

    /// Begins anew after a revision, because it is not known what happened before it.
    pub fn skip_to(&self, revision: Revision) {
        let mut ring = self.0.ring();
        ring.entries.clear();
        (ring.weight, ring.bytes) = (0, 0);
        (ring.compacted, ring.newest) = (revision, revision);
        drop(ring);
        self.0.grown.send_replace(());
    }

    /// A cursor that begins after a revision.
    #[must_use]
    pub fn follow(&self, after: Revision) -> Follow<T> {
        Follow { shared: Arc::clone(&self.0), grown: self.0.grown.subscribe(), seen: after }
    }
}

impl<T> History<T> {
    /// Ends the history, for every follower that has read it to its end.
    pub fn close(&self) {
        self.0.ring().closed = true;
        self.0.grown.send_replace(());
    }
}

impl<T> Drop for History<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Shared<T> {
    /// The ring stays whole even if a holder of the lock panicked: every change to it is made of infallible steps.
    fn ring(&self) -> MutexGuard<'_, Ring<T>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Dated> Ring<T> {
    fn extend(&mut self, entries: impl IntoIterator<Item = Arc<T>>) {
        for entry in entries {
            self.newest = entry.revision();
            self.weight += entry.weight();
            self.bytes += entry.size();
            self.entries.push_back(entry);
        }
        for _ in 0..self.excess(&[]) {
            if let Some(oldest) = self.entries.pop_front() {
                self.weight -= oldest.weight();
                self.bytes -= oldest.size();
                self.compacted = oldest.revision();
            }
        }
    }

    /// How many of the oldest entries are over the bounds once `more` has come. The newest entry always stays.
    fn excess(&self, more: &[Arc<T>]) -> usize {
        let mut weight = self.weight + more.iter().map(|entry| entry.weight()).sum::<usize>();
        let mut bytes = self.bytes + more.iter().map(|entry| entry.size()).sum::<usize>();
        let all = self.entries.len() + more.len();
        let mut excess = 0;
        for oldest in self.entries.iter().chain(more).take(all.saturating_sub(1)) {
            if weight <= self.bounds.weight && bytes <= self.bounds.bytes {
                break;
            }
            weight -= oldest.weight();
            bytes -= oldest.size();
            excess += 1;
        }
        excess
    }

    /// Every entry after a revision that is still there; an empty answer means there is none yet.
    fn after(&self, after: Revision) -> Result<Vec<Arc<T>>, Lost> {
        if after < self.compacted || after > self.newest.max(self.announced) {
            return Err(Lost::Gap { after, oldest: self.compacted, newest: self.newest });
        }
        let from = self.entries.partition_point(|entry| entry.revision() <= after);
        Ok(self.entries.range(from..).cloned().collect())
    }
}

/// A follower's place in a history; of durable commits, unless another one is named.
#[derive(Debug)]
pub struct Follow<T = Committed> {
    shared: Arc<Shared<T>>,
    grown: watch::Receiver<()>,
    seen: Revision,
}

impl<T: Dated> Follow<T> {
    /// Waits for entries after the last one seen, and returns all there are: at least one, in order.
    ///
    /// Safe to cancel: an entry that was not returned comes with the next call.
    ///
    /// # Errors
    /// [`Lost`] when entries are missing or no more will come; what came before that has been returned.
    pub async fn next(&mut self) -> Result<Vec<Arc<T>>, Lost> {
        loop {
            let entries = self.ready()?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            // The sender lives in `shared`, so this only ever reports growth.
            drop(self.grown.changed().await);
        }
    }

    /// As [`Follow::next`], but without waiting: no entries when there are none yet.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub fn ready(&mut self) -> Result<Vec<Arc<T>>, Lost> {
        let ring = self.shared.ring();
        let entries = ring.after(self.seen)?;
        match entries.last() {
            Some(last) => self.seen = last.revision(),
            None if ring.closed => return Err(Lost::Closed),
            None => {}
        }
        drop(ring);
        Ok(entries)
    }

    /// The revision of the last entry that was returned, or the one that was asked for.
    #[must_use]
    pub fn seen(&self) -> Revision {
        self.seen
    }
}
