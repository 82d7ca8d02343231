//! Which old jobs are to go.
//!
//! The newest job of a machine that exists, and every job that may still do something, stay whatever the policy says. Jobs of machines
//! that are gone tell nothing to anybody; they go when asked for by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::{Job, Kind, Time, View};

use crate::job::State;

/// How long jobs are kept. Without any limit all are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// So many of each machine, the newest.
    pub keep: Option<usize>,
    /// Failed ones for so many seconds after their end.
    pub failed_seconds: Option<i64>,
    /// Finished ones for so many seconds after their end.
    pub finished_seconds: Option<i64>,
}

/// Whose jobs are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Of all machines that exist.
    Everybody,
    /// Of the machine with this key.
    Machine(&'a str),
    /// Of machines that are gone.
    Missing,
}

/// The keys of the jobs that the policy lets go, in the order of machine and age.
pub fn expired(view: &View, whose: Whose<'_>, policy: Policy, now: Time) -> Vec<String> {
    let mut by_machine: BTreeMap<String, Vec<Arc<Job>>> = BTreeMap::new();
    for job in jobs(view, whose) {
        by_machine.entry(job.machine.to_string()).or_default().push(job);
    }
    let gone = by_machine.into_iter().flat_map(|(machine, mut jobs)| {
        let exists = view.record(Kind::Machine, &machine).is_some();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.start_time));
        let is_expired = move |(age, job): &(usize, Arc<Job>)| match (exists, whose) {
            (true, Whose::Missing) => false,
            (false, _) => whose == Whose::Missing,
            (true, _) => *age > 0 && !job.current && policy.lets_go(*age, job, now),
        };
        jobs.into_iter().enumerate().filter(is_expired)
    });
    gone.map(|(_, job)| job.uuid.to_string()).collect()
}

fn jobs(view: &View, whose: Whose<'_>) -> Vec<Arc<Job>> {
    match whose {
        Whose::Machine(key) => {
            view.find(Kind::Job, "Machine", key).filter_map(|key| view.object(key.as_str())).collect()
        }
        Whose::Everybody | Whose::Missing => view.objects::<Job>().collect(),
    }
}

impl Policy {
    /// `age` counts the newer jobs of the same machine.
    fn lets_go(self, age: usize, job: &Job, now: Time) -> bool {
        let over = |limit: Option<i64>| limit.is_some_and(|seconds| job.end_time.plus_seconds(seconds) < now);
        let old = match State::of(job) {
            State::Failed => over(self.failed_seconds),
            State::Finished => over(self.finished_seconds),
            State::Created | State::Running | State::Incomplete => return false,
        };
        old || self.keep.is_some_and(|keep| age >= keep)
    }
}
