//! Events: what each commit changed, for any number of subscribers, each at its own pace.
//!
//! A bounded ring is shared by all; a subscriber remembers only the revision that it has seen. One that stalls costs
//! nothing, is told the gap when it comes back, and resumes from any revision that is still in the ring.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_model::{Change, Time};
use tokio::sync::watch;

use crate::Audit;

/// The ring holds at most this many changes (and a few events more that have none).
const CHANGES: usize = 16_384;
/// And at most this many bytes of objects, for some are large.
const BYTES: usize = 16 << 20;

/// One commit: who did what, and every object that is not as it was.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// The revision of the View that shows the changes.
    pub revision: u64,
    /// Who did what, and why.
    pub audit: Audit,
    /// When it was done, by the clock of the server that did it.
    pub time: Time,
    /// Objects that were edited, then those whose computed state followed. Empty for internal commits.
    pub changes: Vec<Change>,
}

/// Why a subscriber gets no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Events after the revision that was seen are gone. Read the View, then subscribe again from its revision.
    #[error("events after revision {after} are gone: they reach from {oldest} to {newest}")]
    Gap {
        /// The last revision that was seen, or that was asked for.
        after: u64,
        /// Subscribing works from this revision on.
        oldest: u64,
        /// The newest revision.
        newest: u64,
    },
    /// The state has ended.
    #[error("the state is closed")]
    Closed,
}

/// The publishing side.
#[derive(Debug)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    grown: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// What the events in the ring weigh.
    changes: usize,
    bytes: usize,
    /// Events up to here are gone, or never were.
    oldest: u64,
    newest: u64,
    closed: bool,
}

impl Events {
    /// Begins after a revision.
    pub(crate) fn new(revision: u64) -> Self {
        let ring = Ring {
            events: VecDeque::new(),
            changes: 0,
            bytes: 0,
            oldest: revision,
            newest: revision,
            closed: false,
        };
        Self(Arc::new(Shared { ring: Mutex::new(ring), grown: watch::Sender::new(()) }))
    }

    pub(crate) fn publish(&self, events: Vec<Event>) {
        self.0.ring().extend(events);
        self.0.grown.send_replace(());
    }

    /// Begins anew after a revision, because it is not known what happened before it.
    pub(crate) fn skip_to(&self, revision: u64) {
        let mut ring = self.0.ring();
        ring.events.clear();
        (ring.changes, ring.bytes) = (0, 0);
        (ring.oldest, ring.newest) = (revision, revision);
        drop(ring);
        self.0.grown.send_replace(());
    }

    pub(crate) fn close(&self) {
        self.0.ring().closed = true;
        self.0.grown.send_replace(());
    }

    pub(crate) fn subscribe(&self, after: Option<u64>) -> Subscription {
        let seen = after.unwrap_or_else(|| self.0.ring().newest);
        Subscription { shared: Arc::clone(&self.0), grown: self.0.grown.subscribe(), seen }
    }
}

impl Shared {
    /// The ring stays whole even if a holder of the lock panicked: every change to it is made of infallible steps.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event counts even when it has no changes, so that the ring is bounded whatever is in it.
fn weight(event: &Event) -> usize {
    event.changes.len().max(1)
}

/// Bytes that an event keeps in memory, roughly: what an object was before is what an earlier event, or the View, has.
fn size(event: &Event) -> usize {
    let records = event.changes.iter().filter_map(|change| change.after.as_ref().or(change.before.as_ref()));
    records.map(|record| record.json().len()).sum()
}

impl Ring {
    fn extend(&mut self, events: Vec<Event>) {
        for event in events {
            self.newest = event.revision;
            self.changes += weight(&event);
            self.bytes += size(&event);
            self.events.push_back(Arc::new(event));
        }
        while (self.changes > CHANGES || self.bytes > BYTES) && self.events.len() > 1 {
            if let Some(gone) = self.events.pop_front() {
                self.changes -= weight(&gone);
                self.bytes -= size(&gone);
                self.oldest = gone.revision;
            }
        }
    }

    fn after(&self, after: u64) -> Result<Vec<Arc<Event>>, Lost> {
        if after < self.oldest || after > self.newest {
            return Err(Lost::Gap { after, oldest: self.oldest, newest: self.newest });
        }
        let from = self.events.partition_point(|event| event.revision <= after);
        Ok(self.events.range(from..).cloned().collect())
    }
}

/// A subscriber's place among the events.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    grown: watch::Receiver<()>,
    seen: u64,
}

impl Subscription {
    /// Waits for events after the last one seen, and returns all there are: at least one, in order.
    ///
    /// Safe to cancel: an event that was not returned comes with the next call.
    ///
    /// # Errors
    /// [`Lost`] when events are missing or no more will come.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, Lost> {
        loop {
            let events = self.ready()?;
            if !events.is_empty() {
                return Ok(events);
            }
            // The sender lives in `shared`, so this only ever reports growth.
            drop(self.grown.changed().await);
        }
    }

    /// As [`Subscription::next`], but without waiting: no events when there are none yet.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub fn ready(&mut self) -> Result<Vec<Arc<Event>>, Lost> {
        let ring = self.shared.ring();
        let events = ring.after(self.seen)?;
        match events.last() {
            Some(last) => self.seen = last.revision,
            None if ring.closed => return Err(Lost::Closed),
            None => {}
        }
        drop(ring);
        Ok(events)
    }

    /// The revision of the last event that was returned, or the one that was subscribed from.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use gantry_model::{Kind, Record};
    use serde_json::json;

    use super::*;

    fn event(revision: u64) -> Event {
        Event { revision, audit: Audit::default(), time: Time::ZERO, changes: Vec::new() }
    }

    fn revisions(events: &[Arc<Event>]) -> Vec<u64> {
        events.iter().map(|event| event.revision).collect()
    }

    #[test]
    fn a_subscriber_that_stalls_is_told_its_gap_and_resumes() {
        let events = Events::new(5);
        let mut stalled = events.subscribe(None);
        events.publish((6..=5 + CHANGES as u64).map(event).collect());
        assert_eq!(stalled.seen(), 5);
        assert_eq!(stalled.ready().unwrap().len(), CHANGES, "the ring is full, nothing is lost");
        let mut behind = events.subscribe(Some(5));
        events.publish(vec![event(90_000), event(90_001)]);
        let gap = Lost::Gap { after: 5, oldest: 7, newest: 90_001 };
        assert_eq!(behind.ready(), Err(gap));
        assert_eq!(behind.ready(), Err(gap), "until it starts anew");
        assert_eq!(gap.to_string(), "events after revision 5 are gone: they reach from 7 to 90001");
        assert_eq!(revisions(&events.subscribe(Some(90_000)).ready().unwrap()), [90_001]);
        assert_eq!(revisions(&stalled.ready().unwrap()), [90_000, 90_001]);
        assert!(events.subscribe(Some(90_002)).ready().is_err(), "a revision of the future");
    }

    #[test]
    fn large_objects_are_kept_for_a_shorter_time() {
        let events = Events::new(0);
        let large = json!({ "Name": "large", "Description": "x".repeat(1 << 20) });
        let record = Arc::new(Record::from_value(Kind::Profile, large, 1).unwrap());
        for revision in 1..=40 {
            let (key, after) = (record.key().clone(), Some(record.clone()));
            let changes = vec![Change { kind: Kind::Profile, key, before: None, after }];
            events.publish(vec![Event { changes, ..event(revision) }]);
        }
        let kept = events.subscribe(Some(25)).ready().unwrap();
        assert_eq!(revisions(&kept), (26..=40).collect::<Vec<_>>(), "15 of a little more than a MiB");
        assert_eq!(
            events.subscribe(Some(24)).ready().unwrap_err().to_string().split(" are").next(),
            Some("events after revision 24")
        );
    }

    #[test]
    fn what_is_skipped_is_a_gap_for_those_before_it() {
        let events = Events::new(1);
        let mut before = events.subscribe(None);
        events.publish(vec![event(2)]);
        events.skip_to(9);
        assert_eq!(before.ready(), Err(Lost::Gap { after: 1, oldest: 9, newest: 9 }));
        let mut after = events.subscribe(None);
        events.publish(vec![event(10)]);
        events.close();
        assert_eq!(revisions(&after.ready().unwrap()), [10]);
        assert_eq!(after.ready(), Err(Lost::Closed));
    }
}
