//! The three promises of the engine, over random lives of a machine.

use std::collections::BTreeMap;

use gantry_model::TaskEntry;
use gantry_workflow::change::Force;
use gantry_workflow::job::{Controls, State};
use proptest::prelude::*;

use crate::world::World;

/// Something that happens to a machine.
#[derive(Clone, Copy, Debug)]
enum Event {
    Ask,
    Report(State, &'static str),
    Booted,
    Switch(&'static str),
    Rewind(i64),
    Append(&'static str),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Ask),
        3 => Just(Event::Report(State::Running, "")),
        4 => Just(Event::Report(State::Finished, "complete")),
        1 => Just(Event::Report(State::Incomplete, "reboot")),
        1 => Just(Event::Report(State::Failed, "")),
        1 => Just(Event::Report(State::Failed, "failed")),
        3 => Just(Event::Booted),
        1 => prop_oneof![Just(""), Just("wf"), Just("short")].prop_map(Event::Switch),
        1 => (-1_i64..10).prop_map(Event::Rewind),
        1 => prop_oneof![Just("task-p"), Just("task-d")].prop_map(Event::Append),
    ]
}

/// Whether the event happened, as opposed to being refused.
fn happen(world: &mut World, event: Event) -> bool {
    match event {
        Event::Ask => world.ask().is_ok(),
        Event::Report(state, exit) => {
            let job = world.machine().current_job;
            !job.is_nil() && world.report(state, exit, &Controls::default()).is_ok()
        }
        Event::Booted => world.edit(Force::No, |m| m.runnable = true).is_ok(),
        Event::Switch(workflow) => world.edit(Force::No, |m| m.workflow = workflow.into()).is_ok(),
        Event::Rewind(to) => world.edit(Force::No, |m| m.current_task = to).is_ok(),
        Event::Append(task) => world.edit(Force::No, |m| m.tasks.push(task.into())).is_ok(),
    }
}

fn world() -> World {
    let mut world = World::new();
    world.stage("lone", "", &["task-p"]);
    world.workflow("short", &["lone"]);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_machine_never_has_two_live_jobs(events in prop::collection::vec(event(), 1..60)) {
        let mut world = world();
        for event in events {
            let happened = happen(&mut world, event);
            let live = world.jobs().iter().filter(|job| State::of(job).is_live()).count();
            prop_assert!(live <= 1, "{live} live jobs after {event:?}");
            let told_nothing = happened && matches!(event, Event::Ask) && world.machine().workflow_complete;
            prop_assert!(live == 0 || !told_nothing, "a live job that nobody has");
            let current = world.jobs().iter().filter(|job| job.current).count();
            prop_assert!(current <= 1, "{current} current jobs after {event:?}");
        }
    }

    /// Without switch, rewind or edit: tasks finish in the order of the list, each once.
    #[test]
    fn no_task_is_skipped_or_run_again(events in prop::collection::vec(event(), 1..200)) {
        let mut world = world();
        world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
        let list = world.machine().tasks;
        for event in events {
            if matches!(event, Event::Ask | Event::Report(..) | Event::Booted) {
                happen(&mut world, event);
            }
        }
        let mut finished = BTreeMap::new();
        for job in world.jobs().iter().filter(|job| State::of(job) == State::Finished) {
            *finished.entry(job.current_index).or_insert(0) += 1;
            prop_assert_eq!(&list[usize::try_from(job.current_index).expect("an index")], &job.task);
        }
        prop_assert!(finished.values().all(|times| *times == 1), "{finished:?}");
        let reached = world.machine().current_task;
        for (at, entry) in list.iter().enumerate() {
            let passed = i64::try_from(at).expect("a small list") < reached;
            if passed && matches!(TaskEntry::parse(entry), Some(TaskEntry::Task(_))) {
                prop_assert!(finished.contains_key(&i64::try_from(at).expect("a small list")), "{entry} was skipped");
            }
        }
    }

    /// Whatever happened: an agent that boots, asks and finishes comes to the end of the list.
    #[test]
    fn a_machine_that_is_left_to_its_agent_comes_to_an_end(events in prop::collection::vec(event(), 0..40)) {
        let mut world = world();
        for event in events {
            happen(&mut world, event);
        }
        if !world.machine().current_job.is_nil() {
            let _ = world.report(State::Failed, "", &Controls::default());
        }
        for _ in 0..60 {
            happen(&mut world, Event::Booted);
            if world.run().last().is_some_and(|line| line.ends_with("Exhausted")) {
                return Ok(());
            }
            let _ = world.report(State::Finished, "complete", &Controls::default());
        }
        prop_assert!(false, "still at {} of {:?}", world.machine().current_task, world.machine().tasks);
    }
}
