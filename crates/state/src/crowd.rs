//! How long to wait for company before a group is submitted.
//!
//! Writers who were just answered often write again at once, but a little later than those who gathered meanwhile. Without
//! a pause the two halves of a crowd take turns for ever: each waits for two syncs, and each sync carries half. So when many
//! write, a group waits for those who were just answered: a short time, and never for fewer than [`MANY`].

use std::time::{Duration, Instant};

/// Fewer writers than this are never waited for: one after the other is as fast as they can be.
const MANY: usize = 4;
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(2);

/// What is known of those who write at present.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// How many were answered by the last group or gathered while it was under way.
    writers: usize,
    departed: Option<Instant>,
    /// How long the last group was under way.
    took: Duration,
}

impl Crowd {
    /// A group was submitted.
    pub(crate) fn departed(&mut self) {
        self.departed = Some(Instant::now());
    }

    /// Its writers were answered, while others had gathered.
    pub(crate) fn arrived(&mut self, answered: usize, gathered: usize) {
        self.writers = answered + gathered;
        self.took = self.departed.map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// How many jobs to wait for, and for how long at most. Asked once for each group.
    pub(crate) fn pause(&mut self, gathered: usize) -> Option<(usize, Duration)> {
        let writers = std::mem::take(&mut self.writers);
        let worth_it = writers >= MANY && gathered < writers;
        worth_it.then(|| (writers, (self.took / 2).min(LONGEST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_waited_for_and_few_are_not() {
        let mut crowd = Crowd::default();
        assert_eq!(crowd.pause(1), None, "nobody is known");
        crowd.departed();
        crowd.arrived(1, 1);
        assert_eq!(crowd.pause(1), None, "two take turns");
        crowd.departed();
        crowd.arrived(4, 4);
        let (writers, longest) = crowd.pause(4).unwrap();
        assert_eq!(writers, 8);
        assert!(longest <= LONGEST);
        assert_eq!(crowd.pause(4), None, "once");
        crowd.arrived(4, 4);
        assert_eq!(crowd.pause(8), None, "all are here");
    }
}
