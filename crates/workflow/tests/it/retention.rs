//! Which old jobs are to go.

use gantry_model::{Kind, Time};
use gantry_workflow::retention::{Policy, Whose, expired};
use serde_json::json;

use crate::world::{MACHINE, World};

const GONE: &str = "99999999-3062-45f1-835c-92541bc9cbd3";
const NOW: i64 = 1_700_000_000;

/// A job by a digit, which is also how many minutes ago it began; it ended a minute later.
fn job(world: &mut World, digit: i64, machine: &str, state: &str) {
    let at = |minutes: i64| Time::from_unix(NOW - minutes * 60).to_string();
    world.put(
        Kind::Job,
        json!({
            "Uuid": key(digit), "Machine": machine, "State": state, "Task": "task-a", "Current": digit == 1,
            "StartTime": at(digit), "EndTime": at(digit - 1),
        }),
    );
}

fn key(digit: i64) -> String {
    format!("{digit}0000000-3062-45f1-835c-92541bc9cbd3")
}

fn world() -> World {
    let mut world = World::new();
    let states = ["finished", "failed", "running", "finished", "failed", "finished"];
    for (digit, state) in (1..).zip(states) {
        job(&mut world, digit, MACHINE, state);
    }
    job(&mut world, 9, GONE, "created");
    world
}

fn check(whose: Whose<'_>, policy: Policy, want: &[i64]) {
    let got = expired(&world().view, whose, policy, Time::from_unix(NOW));
    assert_eq!(got, want.iter().map(|digit| key(*digit)).collect::<Vec<_>>(), "{whose:?} {policy:?}");
}

#[test]
fn without_a_policy_everything_stays() {
    check(Whose::Everybody, Policy::default(), &[]);
}

#[test]
fn the_newest_and_the_live_stay_whatever_the_policy_says() {
    check(Whose::Everybody, Policy { keep: Some(0), ..Policy::default() }, &[2, 4, 5, 6]);
    check(Whose::Everybody, Policy { keep: Some(4), ..Policy::default() }, &[5, 6]);
    check(Whose::Machine(MACHINE), Policy { keep: Some(4), ..Policy::default() }, &[5, 6]);
    check(Whose::Machine(GONE), Policy { keep: Some(0), ..Policy::default() }, &[]);
}

#[test]
fn failed_and_finished_jobs_have_their_own_time() {
    check(Whose::Everybody, Policy { failed_seconds: Some(200), ..Policy::default() }, &[5]);
    check(Whose::Everybody, Policy { finished_seconds: Some(200), ..Policy::default() }, &[6]);
    let both = Policy { failed_seconds: Some(0), finished_seconds: Some(250), ..Policy::default() };
    check(Whose::Everybody, both, &[2, 5, 6]);
}

#[test]
fn jobs_of_machines_that_are_gone_go_when_asked_for() {
    check(Whose::Missing, Policy::default(), &[9]);
}
