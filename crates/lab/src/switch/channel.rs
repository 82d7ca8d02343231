//! One way of one port, and what it does to the frames that pass: lose, delay, duplicate, reorder.
//!
//! Pure: the time is an argument, and every random decision comes from a seeded generator that is asked the same questions for
//! every frame, so that the same frames meet the same fate in every run.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::frame::Traffic;

/// What a port does to the frames that pass it one way. The default does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impairment {
    /// Which frames it concerns; the others pass unharmed, though never ahead of a delayed one.
    pub only: Traffic,
    /// So many of the first frames are lost, whatever else is set.
    pub lose_first: u32,
    /// The share of frames that are lost, 0 to 1.
    pub lose: f64,
    /// The share of frames that come twice, 0 to 1.
    pub duplicate: f64,
    /// The share of frames that come after the one behind them, 0 to 1. One that nothing follows is held for 50 ms.
    pub reorder: f64,
    /// How long every frame takes.
    pub delay: Duration,
    /// Up to how much longer, at random. Jitter alone does not change the order.
    pub jitter: Duration,
}

impl Default for Impairment {
    fn default() -> Impairment {
        Impairment {
            only: Traffic::Any,
            lose_first: 0,
            lose: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
        }
    }
}

impl Impairment {
    /// Finds shares that are none.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the first share outside 0 to 1, or with a delay of more than a minute.
    pub fn check(&self) -> crate::Result<()> {
        for (field, share) in [("lose", self.lose), ("duplicate", self.duplicate), ("reorder", self.reorder)]
        {
            if !(0.0..=1.0).contains(&share) {
                let right = "a share from 0 to 1 (0% to 100%)".to_owned();
                return Err(crate::Error::Invalid { field, value: share.to_string(), right });
            }
        }
        for (field, time) in [("delay", self.delay), ("jitter", self.jitter)] {
            if time > Duration::from_secs(60) {
                let right = "at most 60s".to_owned();
                return Err(crate::Error::Invalid { field, value: format!("{time:?}"), right });
            }
        }
        Ok(())
    }
}

/// How many frames met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harm {
    /// Lost on purpose.
    pub lost: u64,
    /// Sent a second time.
    pub duplicated: u64,
    /// Held back until after the next one.
    pub reordered: u64,
    /// Delayed.
    pub delayed: u64,
}

/// What became of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Passed,
    Lost,
}

/// How long a frame waits for one to overtake it.
const HOLD: Duration = Duration::from_millis(50);

/// One way of one port.
#[derive(Debug)]
pub(crate) struct Channel {
    impairment: Impairment,
    random: fastrand::Rng,
    lost_first: u32,
    /// Frames on their way, by the time when they arrive; never out of order.
    queue: VecDeque<(Duration, Bytes)>,
    /// A frame that waits to be overtaken, and until when.
    held: Option<(Duration, Bytes)>,
    pub(crate) harm: Harm,
}

impl Channel {
    pub(crate) fn new(seed: u64) -> Channel {
        Channel {
            impairment: Impairment::default(),
            random: fastrand::Rng::with_seed(seed),
            lost_first: 0,
            queue: VecDeque::new(),
            held: None,
            harm: Harm::default(),
        }
    }

    /// From now on, this. The random sequence starts anew, so that equal rehearsals are equal.
    pub(crate) fn impair(&mut self, impairment: Impairment, seed: u64) {
        self.impairment = impairment;
        self.random = fastrand::Rng::with_seed(seed);
        self.lost_first = 0;
    }

    pub(crate) fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    /// Takes a frame in. It comes out of [`Channel::take_due`].
    pub(crate) fn pass(&mut self, frame: Bytes, now: Duration) -> Fate {
        let concerned = self.impairment != Impairment::default() && self.impairment.only.matches(&frame);
        if !concerned {
            self.send(frame, now);
            return Fate::Passed;
        }
        let [lose, duplicate, reorder, jitter] = std::array::from_fn(|_| self.random.f64());
        if self.lost_first < self.impairment.lose_first {
            self.lost_first += 1;
            self.harm.lost += 1;
            return Fate::Lost;
        }
        if lose < self.impairment.lose {
            self.harm.lost += 1;
            return Fate::Lost;
        }
        let due = now + self.impairment.delay + self.impairment.jitter.mul_f64(jitter);
        if due > now {
            self.harm.delayed += 1;
        }
        let twice = duplicate < self.impairment.duplicate;
        if twice {
            self.harm.duplicated += 1;
        }
        if reorder < self.impairment.reorder && self.held.is_none() {
            self.harm.reordered += 1;
            self.held = Some((due + HOLD, frame.clone()));
            if twice {
                self.queue_at(due, frame);
            }
            return Fate::Passed;
        }
        if twice {
            self.queue_at(due, frame.clone());
        }
        self.send(frame, due);
        Fate::Passed
    }

    /// Everything that has arrived by now, in order.
    pub(crate) fn take_due(&mut self, now: Duration, mut arrived: impl FnMut(Bytes)) {
        if self.held.as_ref().is_some_and(|(until, _)| *until <= now) {
            self.release(now);
        }
        while self.queue.front().is_some_and(|(due, _)| *due <= now) {
            self.queue.pop_front().into_iter().for_each(|(_, frame)| arrived(frame));
        }
    }

    /// When the next frame arrives.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let queued = self.queue.front().map(|(due, _)| *due);
        let held = self.held.as_ref().map(|(until, _)| *until);
        queued.into_iter().chain(held).min()
    }

    /// Nothing can happen here but that frames pass at once.
    pub(crate) fn is_clear(&self) -> bool {
        self.queue.is_empty() && self.held.is_none() && self.impairment == Impairment::default()
    }

    /// Queues a frame and behind it the one that waited to be overtaken.
    fn send(&mut self, frame: Bytes, due: Duration) {
        self.queue_at(due, frame);
        self.release(due);
    }

    fn release(&mut self, due: Duration) {
        if let Some((_, frame)) = self.held.take() {
            self.queue_at(due, frame);
        }
    }

    fn queue_at(&mut self, due: Duration, frame: Bytes) {
        let not_before = self.queue.back().map_or(due, |(last, _)| due.max(*last));
        self.queue.push_back((not_before, frame));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn channel(impairment: Impairment) -> Channel {
        let mut channel = Channel::new(1);
        channel.impair(impairment, 7);
        channel
    }

    /// Sends the frames 0, 1, 2… one per millisecond and says what came out when (in ms).
    fn run(channel: &mut Channel, count: u8) -> Vec<(u64, u8)> {
        let mut out = Vec::new();
        for step in 0..count.into() {
            channel.pass(Bytes::from(vec![step as u8]), MS * step);
            channel.take_due(MS * step, |frame| out.push((u64::from(step), frame[0])));
        }
        while let Some(due) = channel.next_due() {
            channel.take_due(due, |frame| out.push((due.as_millis() as u64, frame[0])));
        }
        out
    }

    fn numbers(out: &[(u64, u8)]) -> Vec<u8> {
        out.iter().map(|(_, number)| *number).collect()
    }

    #[test]
    fn a_clear_channel_changes_nothing() {
        let mut clear = Channel::new(3);
        assert!(clear.is_clear());
        assert_eq!(run(&mut clear, 4), [(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(clear.harm, Harm::default());
    }

    #[test]
    fn delay_keeps_the_distance() {
        let mut slow = channel(Impairment { delay: MS * 10, ..Impairment::default() });
        assert_eq!(run(&mut slow, 3), [(10, 0), (11, 1), (12, 2)]);
        assert_eq!(slow.harm.delayed, 3);
    }

    #[test]
    fn the_first_frames_can_be_lost_by_number() {
        let mut first = channel(Impairment { lose_first: 2, ..Impairment::default() });
        assert_eq!(numbers(&run(&mut first, 4)), [2, 3]);
    }

    #[test]
    fn every_frame_twice_and_every_frame_lost() {
        let mut twice = channel(Impairment { duplicate: 1.0, ..Impairment::default() });
        assert_eq!(numbers(&run(&mut twice, 3)), [0, 0, 1, 1, 2, 2]);
        let mut gone = channel(Impairment { lose: 1.0, ..Impairment::default() });
        assert!(run(&mut gone, 3).is_empty());
        assert_eq!(gone.harm.lost, 3);
    }

    #[test]
    fn a_reordered_frame_comes_after_the_next_one() {
        let mut swapped = channel(Impairment { reorder: 1.0, ..Impairment::default() });
        assert_eq!(numbers(&run(&mut swapped, 4)), [1, 0, 3, 2]);
    }

    #[test]
    fn a_reordered_frame_that_nothing_follows_arrives_all_the_same() {
        let mut alone = channel(Impairment { reorder: 1.0, ..Impairment::default() });
        assert_eq!(run(&mut alone, 1), [(50, 0)]);
    }

    #[test]
    fn jitter_does_not_change_the_order() {
        let mut jittery = channel(Impairment { jitter: MS * 30, ..Impairment::default() });
        let out = run(&mut jittery, 100);
        assert_eq!(numbers(&out), (0..100).collect::<Vec<u8>>());
        assert!(out.iter().any(|(at, number)| *at > u64::from(*number) + 5), "{out:?}");
    }

    #[test]
    fn frames_of_other_traffic_pass() {
        let mut picky = channel(Impairment { lose: 1.0, only: Traffic::Arp, ..Impairment::default() });
        assert_eq!(numbers(&run(&mut picky, 3)), [0, 1, 2]);
    }

    #[test]
    fn shares_are_shares() {
        let wrong = Impairment { lose: 1.5, ..Impairment::default() };
        assert_eq!(
            wrong.check().unwrap_err().to_string(),
            "lose: \"1.5\" is not right: a share from 0 to 1 (0% to 100%)"
        );
        assert!(Impairment { reorder: f64::NAN, ..Impairment::default() }.check().is_err());
        Impairment::default().check().unwrap();
    }

    fn impairments() -> impl Strategy<Value = Impairment> {
        (0.0..1.0, 0.0..1.0, 0.0..1.0, 0..40u32, 0..40u32, 0..4u32).prop_map(
            |(lose, duplicate, reorder, delay, jitter, lose_first)| Impairment {
                only: Traffic::Any,
                lose_first,
                lose,
                duplicate,
                reorder,
                delay: MS * delay,
                jitter: MS * jitter,
            },
        )
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_fate(impairment in impairments(), count in 0..80u8) {
            prop_assert_eq!(run(&mut channel(impairment), count), run(&mut channel(impairment), count));
        }

        #[test]
        fn every_frame_is_accounted_for(impairment in impairments(), count in 0..80u8) {
            let mut channel = channel(impairment);
            let out = run(&mut channel, count);
            prop_assert_eq!(out.len() as u64, u64::from(count) - channel.harm.lost + channel.harm.duplicated);
            prop_assert!(out.is_sorted_by_key(|(at, _)| *at));
        }
    }
}
