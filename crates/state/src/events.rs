//! Events: what each commit changed, for any number of subscribers, each at its own pace.
//!
//! They are kept as the store keeps its commits ([`gantry_store::History`]): a subscriber that stalls costs nothing, is told the gap
//! when it comes back, and resumes from any revision that is still there.

use gantry_model::{Change, Time};
use gantry_store::{Bounds, Dated, Revision};

use crate::Audit;

/// At most this many changes are kept (and a few events more that have none), and at most this many bytes of objects, for some are
/// large.
pub(crate) const BOUNDS: Bounds = Bounds { weight: 16_384, bytes: 16 << 20 };

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

impl Dated for Event {
    fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// An event counts even when it has no changes, so that the history is bounded whatever is in it.
    fn weight(&self) -> usize {
        self.changes.len().max(1)
    }

    /// What an object was before is what an earlier event, or the View, has.
    fn size(&self) -> usize {
        let records =
            self.changes.iter().filter_map(|change| change.after.as_ref().or(change.before.as_ref()));
        records.map(|record| record.json().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gantry_model::{Kind, Record};
    use gantry_store::{History, Lost};
    use serde_json::json;

    use super::*;

    fn event(revision: u64) -> Event {
        Event { revision, audit: Audit::default(), time: Time::ZERO, changes: Vec::new() }
    }

    fn events(after: u64) -> History<Event> {
        History::new(BOUNDS, Revision(after), Vec::new())
    }

    fn publish(events: &History<Event>, revisions: impl IntoIterator<Item = u64>) {
        events.publish(revisions.into_iter().map(|revision| Arc::new(event(revision))));
    }

    fn revisions(events: &[Arc<Event>]) -> Vec<u64> {
        events.iter().map(|event| event.revision).collect()
    }

    #[test]
    fn a_subscriber_that_stalls_is_told_its_gap_and_resumes() {
        let events = events(5);
        let mut stalled = events.follow(Revision(5));
        publish(&events, 6..=5 + BOUNDS.weight as u64);
        assert_eq!(stalled.ready().unwrap().len(), BOUNDS.weight, "it is full, nothing is lost");
        let mut behind = events.follow(Revision(5));
        publish(&events, [90_000, 90_001]);
        let gap = Lost::Gap { after: Revision(5), oldest: Revision(7), newest: Revision(90_001) };
        assert_eq!(behind.ready(), Err(gap));
        assert_eq!(behind.ready(), Err(gap), "until it starts anew");
        assert_eq!(gap.to_string(), "history after revision 5 is gone: it reaches from 7 to 90001");
        assert_eq!(revisions(&events.follow(Revision(90_000)).ready().unwrap()), [90_001]);
        assert_eq!(revisions(&stalled.ready().unwrap()), [90_000, 90_001]);
        assert!(events.follow(Revision(90_002)).ready().is_err(), "a revision of the future");
    }

    #[test]
    fn large_objects_are_kept_for_a_shorter_time() {
        let events = events(0);
        let large = json!({ "Name": "large", "Description": "x".repeat(1 << 20) });
        let record = Arc::new(Record::from_value(Kind::Profile, large, 1).unwrap());
        for revision in 1..=40 {
            let (key, after) = (record.key().clone(), Some(record.clone()));
            let changes = vec![Change { kind: Kind::Profile, key, before: None, after }];
            events.publish([Arc::new(Event { changes, ..event(revision) })]);
        }
        let kept = events.follow(Revision(25)).ready().unwrap();
        assert_eq!(revisions(&kept), (26..=40).collect::<Vec<_>>(), "15 of a little more than a MiB");
        assert!(matches!(events.follow(Revision(24)).ready(), Err(Lost::Gap { .. })));
    }

    #[test]
    fn who_follows_from_what_is_announced_misses_nothing_and_is_told_no_gap() {
        let events = events(5);
        let mut before = events.follow(events.newest());
        events.announce(Revision(7));
        let mut between = events.follow(Revision(6));
        let mut at = events.follow(Revision(7));
        let mut from_now_on = events.follow(events.newest());
        for follow in [&mut before, &mut between, &mut at, &mut from_now_on] {
            assert_eq!(follow.ready(), Ok(Vec::new()));
        }
        let of_the_future = Lost::Gap { after: Revision(8), oldest: Revision(5), newest: Revision(5) };
        assert_eq!(events.follow(Revision(8)).ready(), Err(of_the_future));
        publish(&events, 6..=8);
        assert_eq!(revisions(&before.ready().unwrap()), [6, 7, 8]);
        assert_eq!(revisions(&between.ready().unwrap()), [7, 8]);
        assert_eq!(revisions(&at.ready().unwrap()), [8]);
        assert_eq!(revisions(&from_now_on.ready().unwrap()), [6, 7, 8], "the View may not have shown them");
        events.announce(Revision(20));
        let mut anew = events.follow(Revision(20));
        assert_eq!(anew.ready(), Ok(Vec::new()));
        events.skip_to(Revision(20));
        assert_eq!(anew.ready(), Ok(Vec::new()));
        publish(&events, [21]);
        assert_eq!(revisions(&anew.ready().unwrap()), [21]);
    }

    #[test]
    fn what_is_skipped_is_a_gap_for_those_before_it() {
        let events = events(1);
        let mut before = events.follow(events.newest());
        publish(&events, [2]);
        events.skip_to(Revision(9));
        let gap = Lost::Gap { after: Revision(1), oldest: Revision(9), newest: Revision(9) };
        assert_eq!(before.ready(), Err(gap));
        let mut after = events.follow(events.newest());
        publish(&events, [10]);
        events.close();
        assert_eq!(revisions(&after.ready().unwrap()), [10]);
        assert_eq!(after.ready(), Err(Lost::Closed));
    }
}
