//! What reports on jobs do.

use gantry_model::Job;
use gantry_workflow::change::Force;
use gantry_workflow::job::{self, Controls, State};
use gantry_workflow::next::{Answer, Reason};

use crate::world::World;

/// A machine with tasks a and c whose first job has just been handed out.
fn at_work() -> World {
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into(), "task-c".into()]).expect("a list");
    assert_eq!(world.step(), "201 0 task-a");
    world
}

#[test]
fn the_end_of_a_job_has_a_time() {
    let mut world = at_work();
    let job = world.machine().current_job;
    world.report(State::Incomplete, "", &Controls::default()).expect("it may be incomplete");
    assert!(world.job(job).end_time.is_zero());
    world.report(State::Finished, "complete", &Controls::default()).expect("it may finish");
    assert!(!world.job(job).end_time.is_zero());
}

#[test]
fn only_a_task_that_failed_stops_the_machine() {
    let mut world = at_work();
    world.report(State::Failed, "", &Controls::default()).expect("an agent repairs a stale job");
    assert!(world.machine().runnable);
    world.step();
    world.report(State::Failed, "failed", &Controls::default()).expect("a task failed");
    assert!(!world.machine().runnable);
}

/// The agent leaves it to the server to stop a machine whose task failed; DRP's own does it by itself.
#[test]
fn a_task_that_replaced_the_list_and_then_failed_stops_the_machine() {
    let controls = Controls { retries: 1, handlers: vec!["task-handler".into()], ..Controls::default() };
    for (state, exit, goes_on) in
        [(State::Failed, "failed", false), (State::Failed, "", true), (State::Finished, "complete", true)]
    {
        let mut world = at_work();
        world.workflow("wf2", &["s2"]);
        world.edit(Force::No, |m| m.workflow = "wf2".into()).expect("wf2 may start");
        world.report(state, exit, &controls).expect("it may end");
        let machine = world.machine();
        assert_eq!((machine.runnable, machine.current_task), (goes_on, -1), "{state} {exit}");
        assert_eq!(machine.tasks, ["stage:s2", "task-c"], "the new list has no part in it");
        assert_eq!(machine.retry_task_attempt, 0, "nor is its first task tried again");
    }
}

/// An emptied list ends at 0, which is also the place that its first task had.
#[test]
fn a_task_that_emptied_the_list_and_then_failed_is_not_tried_again() {
    let mut world = at_work();
    world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
    world.edit(Force::No, |m| m.workflow = "".into()).expect("the workflow may end");
    world.edit(Force::No, |m| m.runnable = true).expect("the agent may set Runnable");
    let controls = Controls { retries: 1, ..Controls::default() };
    world.report(State::Failed, "failed", &controls).expect("it may fail");
    assert_eq!((world.machine().retry_task_attempt, world.machine().runnable), (0, false));
}

#[test]
fn a_task_that_went_back_in_the_list_and_then_failed_stops_the_machine() {
    let mut world = at_work();
    world.report(State::Finished, "complete", &Controls::default()).expect("it may finish");
    assert_eq!(world.step(), "201 1 task-c");
    world.edit(Force::No, |m| m.current_task = -1).expect("back to the start");
    world.report(State::Failed, "failed", &Controls::default()).expect("it may fail");
    assert!(!world.machine().runnable);
}

#[test]
fn impossible_reports_say_why() {
    let mut world = at_work();
    let job = world.machine().current_job;
    let plain = Controls::default();
    world.report(State::Finished, "complete", &plain).expect("it may finish");
    let refused = world.report(State::Running, "", &plain).expect_err("it is over");
    assert_eq!(refused, [format!("Job {job} is finished and cannot become running")]);
    world.step();
    let refused = world.report(State::Failed, "exploded", &plain).expect_err("no such exit");
    assert_eq!(refused, ["Invalid ExitState `exploded`"]);
}

#[test]
fn an_old_incomplete_job_cannot_come_alive_beside_the_current_one() {
    let mut world = at_work();
    let old = world.machine().current_job;
    let plain = Controls::default();
    world.report(State::Incomplete, "", &plain).expect("it may be incomplete");
    let mut stale = world.job(old);
    stale.uuid = world.now.uuid();
    world.save(&stale);
    let refused = world.report_on(stale.uuid, State::Running, "", &plain).expect_err("it is not current");
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("is not the current job"), "{refused:?}");
}

#[test]
fn a_task_is_tried_as_often_as_its_machine_says() {
    let mut world = at_work();
    let controls = Controls { retries: 2, ..Controls::default() };
    for attempt in 1..=2 {
        world.report(State::Failed, "failed", &controls).expect("it may fail");
        assert_eq!((world.machine().retry_task_attempt, world.machine().runnable), (attempt, true));
        // The pause doubles with each attempt.
        world.pass((1 << attempt) - 1);
        let later = Reason::Later(world.now.time().plus_seconds(1));
        assert_eq!(world.ask().expect("an answer").answer, Answer::Nothing(later));
        world.pass(1);
        assert_eq!(world.step(), "201 0 task-a");
    }
    world.report(State::Failed, "failed", &controls).expect("it may fail");
    assert!(!world.machine().runnable);
}

#[test]
fn an_end_that_lies_ahead_holds_no_attempt() {
    let mut world = at_work();
    world
        .report(State::Failed, "failed", &Controls { retries: 1, ..Controls::default() })
        .expect("it may fail");
    let mut job = world.job(world.machine().current_job);
    job.end_time = world.now.time().plus_seconds(3600);
    world.save(&job);
    assert_eq!(world.step(), "201 0 task-a");
}

#[test]
fn error_handlers_run_before_the_last_attempt_and_only_once() {
    let mut world = at_work();
    let controls = Controls { handlers: vec!["task-handler".into()], ..Controls::default() };
    world.report(State::Failed, "failed", &controls).expect("it may fail");
    assert_eq!(world.machine().tasks, ["task-handler"]);
    assert_eq!(world.step(), "201 0 task-handler");
    world.report(State::Finished, "complete", &Controls::default()).expect("the handler may finish");
    assert_eq!(world.step(), "201 0 task-a");
    assert_eq!(world.machine().tasks, ["task-a", "task-c"]);
    world.report(State::Failed, "failed", &controls).expect("it may fail");
    assert!(!world.machine().runnable, "no second round of handlers");
}

#[test]
fn single_step_stops_after_each_task() {
    let mut world = at_work();
    let controls = Controls { single_step: true, ..Controls::default() };
    world.report(State::Finished, "complete", &controls).expect("it may finish");
    assert!(!world.machine().runnable);
}

/// A report is sent by whoever has the machine's token. It cannot make the job another one.
#[test]
fn a_report_does_not_change_what_the_job_is() {
    let world = at_work();
    let before = world.job(world.machine().current_job);
    let mut after = Job {
        machine: world.now.uuid(),
        task: "task-c".into(),
        current: false,
        current_index: 7,
        previous: world.now.uuid(),
        state: "finished".into(),
        meta: [("color".to_owned(), "red".to_owned())].into(),
        ..before.clone()
    };
    let machine =
        job::changed(&world.view, &before, &mut after, Controls::default, &world.now).expect("it may finish");
    assert_eq!(machine, None, "nothing else about the machine changes");
    let end = after.end_time;
    let told = Job { state: "finished".into(), meta: after.meta.clone(), end_time: end, ..before };
    assert_eq!((after.meta["color"].as_str(), &after), ("red", &told));
}
