//! Which job comes next.

use gantry_model::Kind;
use gantry_workflow::change::Force;
use gantry_workflow::job::{Controls, State};
use gantry_workflow::next::{self, Answer, Reason, Refused, Request};
use serde_json::json;

use crate::world::{MACHINE, World};

fn started() -> World {
    let mut world = World::new();
    world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
    world
}

fn boot(world: &mut World) {
    world.edit(Force::No, |m| m.runnable = true).expect("the agent may set Runnable");
}

/// The worked example of engine.md §4.15 and the step log of §4.8.
#[test]
fn a_workflow_walks_through_its_markers_one_per_ask() {
    let mut world = started();
    assert_eq!(world.step(), "refused: Machine M is not runnable");
    boot(&mut world);
    assert_eq!(world.run(), ["201 2 task-a", "201 3 task-b", "204 4 stage:s2"]);
    assert_eq!(world.run(), ["201 5 task-c", "204 6 stage:s3"]);
    assert_eq!(world.run(), ["204 7 bootenv:env2"]);
    assert_eq!(world.step(), "refused: Machine M is not runnable");
    boot(&mut world);
    assert_eq!(world.run(), ["201 8 task-d", "204 9 Exhausted"]);
    assert_eq!(world.run(), ["204 9 Exhausted"]);
    let machine = world.machine();
    assert!(machine.workflow_complete);
    assert_eq!((machine.stage.as_str(), machine.boot_env.as_str()), ("s3", "env2"));
}

#[test]
fn a_marker_leaves_a_finished_job_that_says_what_changed() {
    let mut world = started();
    boot(&mut world);
    world.run();
    let job = world.job(world.machine().current_job);
    assert_eq!(
        (job.task.as_str(), job.state.as_str(), job.exit_state.as_str()),
        ("stage:s2", "finished", "complete")
    );
    assert_eq!(
        (job.stage.as_str(), job.boot_env.as_str(), job.current_index, job.next_index),
        ("s2", "env1", 4, 5)
    );
    assert!(!job.end_time.is_zero());
}

#[test]
fn the_log_of_a_job_begins_with_its_name() {
    let mut world = started();
    boot(&mut world);
    let outcome = world.ask().expect("a job");
    let Answer::Created(job) = outcome.answer else { panic!("no job: {:?}", outcome.answer) };
    assert_eq!(outcome.logs, [(job.uuid, format!("Log for Job: {}\n", job.uuid))]);
}

#[test]
fn a_machine_has_one_live_job() {
    let mut world = started();
    boot(&mut world);
    assert_eq!(world.step(), "201 2 task-a");
    assert_eq!(world.step(), "refused: Machine M already has running or created job");
    world.report(State::Running, "", &Controls::default()).expect("it may run");
    assert_eq!(world.step(), "refused: Machine M already has running or created job");
}

#[test]
fn a_failed_task_runs_again_as_a_new_job() {
    let mut world = started();
    boot(&mut world);
    world.step();
    let first = world.machine().current_job;
    world.report(State::Failed, "", &Controls::default()).expect("it may fail");
    assert_eq!(world.step(), "201 2 task-a");
    let second = world.job(world.machine().current_job);
    assert_eq!(second.previous, first);
    assert!(second.current && !world.job(first).current);
}

#[test]
fn an_incomplete_job_is_handed_out_again() {
    let mut world = started();
    boot(&mut world);
    world.step();
    let job = world.machine().current_job;
    world.report(State::Running, "", &Controls::default()).expect("it may run");
    world.report(State::Incomplete, "reboot", &Controls::default()).expect("it may be incomplete");
    assert_eq!(world.step(), "202 2 task-a");
    assert_eq!(world.machine().current_job, job);
}

#[test]
fn an_incomplete_job_that_the_list_has_left_is_failed() {
    let mut world = started();
    boot(&mut world);
    world.step();
    let left = world.machine().current_job;
    world.report(State::Incomplete, "", &Controls::default()).expect("it may be incomplete");
    world.stage("other", "", &["task-d"]);
    world.workflow("wf2", &["other"]);
    world.edit(Force::No, |m| m.workflow = "wf2".into()).expect("wf2 may start");
    assert_eq!(world.step(), "201 1 task-d");
    let job = world.job(left);
    assert_eq!((job.state.as_str(), job.exit_state.as_str()), ("failed", "failed"));
}

#[test]
fn a_live_job_that_the_list_has_left_is_failed_when_work_is_asked_for() {
    for state in [State::Created, State::Running] {
        let mut world = started();
        boot(&mut world);
        assert_eq!(world.step(), "201 2 task-a");
        if state == State::Running {
            world.report(state, "", &Controls::default()).expect("it may run");
        }
        let left = world.machine().current_job;
        world.edit(Force::No, |m| m.workflow = "".into()).expect("the workflow may end");
        world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start again");
        world.edit(Force::No, |m| m.runnable = true).expect("the agent may set Runnable");
        assert_eq!(world.step(), "201 2 task-a", "{state:?}");
        let job = world.job(left);
        assert_eq!((job.state.as_str(), job.exit_state.as_str(), job.current), ("failed", "failed", false));
        assert_ne!(world.machine().current_job, left);
    }
}

/// Without this the job ran for ever, and the token that it had with it.
#[test]
fn a_job_that_the_list_has_left_is_failed_also_when_none_follows() {
    for state in [State::Created, State::Running, State::Incomplete] {
        let mut world = World::new();
        // At the first place: the place of an emptied list has the same number.
        world.edit(Force::No, |m| m.tasks = vec!["task-a".into()]).expect("a list");
        assert_eq!(world.step(), "201 0 task-a");
        if state != State::Created {
            world.report(state, "", &Controls::default()).expect("it may be reported");
        }
        let left = world.machine().current_job;
        world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
        world.edit(Force::No, |m| m.workflow = "".into()).expect("the workflow may end");
        boot(&mut world);
        assert_eq!(world.step(), "204 0 Exhausted", "{state:?}");
        let job = world.job(left);
        assert_eq!((job.state.as_str(), job.exit_state.as_str()), ("failed", "failed"), "{state:?}");
        assert_eq!(job.end_time, world.now.time());
        assert!(job.current, "none has followed");
    }
}

/// A job that runs in the context `runner`, on a machine that has been given another list, and with that its own context.
fn left_to_its_runner() -> World {
    let mut world = World::new();
    world.stage("far", "", &["context:runner", "task-a"]);
    world.workflow("wf2", &["far"]);
    world.workflow("wf3", &["s2"]);
    world.edit(Force::No, |m| m.workflow = "wf2".into()).expect("wf2 may start");
    assert_eq!(world.step(), "204 1 context:runner");
    assert!(matches!(world.ask_with(&[], "runner").expect("a job").answer, Answer::Created(_)));
    world.report(State::Running, "", &Controls::default()).expect("it may run");
    let machine = world.edit(Force::No, |m| m.workflow = "wf3".into()).expect("wf3 may start");
    assert_eq!((machine.context.as_str(), machine.runnable), ("", true));
    world
}

#[test]
fn the_running_job_of_another_runner_is_waited_for() {
    let mut world = left_to_its_runner();
    let far = world.machine().current_job;
    assert_eq!(world.step(), "refused: Machine M already has running or created job");
    assert_eq!(world.job(far).state, "running");
    world.report(State::Finished, "complete", &Controls::default()).expect("it may finish");
    assert_eq!(world.step(), "201 1 task-c");
}

#[test]
fn a_runner_that_asks_again_has_given_up_its_job_wherever_the_machine_is_now() {
    let mut world = left_to_its_runner();
    let far = world.machine().current_job;
    let outcome = world.ask_with(&[], "third").expect("an answer");
    assert_eq!((outcome.answer, outcome.jobs), (Answer::Nothing(Reason::OtherContext), vec![]));
    let outcome = world.ask_with(&[], "runner").expect("an answer");
    assert_eq!((outcome.answer, outcome.machine), (Answer::Nothing(Reason::OtherContext), None));
    assert_eq!(world.job(far).state, "failed");
    assert_eq!(world.step(), "201 1 task-c");
    assert!(!world.job(far).current);
}

#[test]
fn switching_the_workflow_under_a_running_job_starts_the_new_list() {
    let mut world = started();
    boot(&mut world);
    world.step();
    world.report(State::Running, "", &Controls::default()).expect("it may run");
    world.stage("other", "env1", &["task-d"]);
    world.workflow("wf2", &["other"]);
    let machine = world.edit(Force::No, |m| m.workflow = "wf2".into()).expect("wf2 may start");
    assert_eq!(machine.current_task, -1);
    assert!(machine.runnable, "the boot environment stays");
    world.report(State::Finished, "complete", &Controls::default()).expect("the old job may finish");
    assert_eq!(world.machine().current_task, -1, "an old job does not move the new list");
    assert_eq!(world.run(), ["201 2 task-d", "204 3 Exhausted"]);
}

#[test]
fn another_context_gets_nothing() {
    let mut world = started();
    boot(&mut world);
    let outcome = world.ask_with(&[], "runner").expect("an answer");
    assert_eq!(outcome.answer, Answer::Nothing(Reason::OtherContext));
    assert_eq!(outcome.machine, None);
}

#[test]
fn a_context_marker_hands_over_and_does_not_stop_the_machine() {
    let mut world = World::new();
    world.stage("far", "", &["context:runner", "task-a", "bootenv:env2", "context:", "task-b"]);
    world.workflow("wf2", &["far"]);
    world.edit(Force::No, |m| m.workflow = "wf2".into()).expect("wf2 may start");
    assert_eq!(world.step(), "204 1 context:runner");
    assert_eq!(world.step(), "204 1 OtherContext");
    assert!(matches!(world.ask_with(&[], "runner").expect("a job").answer, Answer::Created(_)));
    world.report(State::Finished, "", &Controls::default()).expect("it may finish");
    let outcome = world.ask_with(&[], "runner").expect("a marker");
    assert_eq!(outcome.answer, Answer::Nothing(Reason::Marker));
    assert!(world.machine().runnable, "nobody reboots for a machine with a context");
}

#[test]
fn a_machine_stops_before_the_tasks_it_is_told_to() {
    let mut world = started();
    boot(&mut world);
    let outcome = world.ask_with(&["task-a".to_owned()], "").expect("an answer");
    assert_eq!(outcome.answer, Answer::Nothing(Reason::StoppedAt("task-a".to_owned())));
    assert!(!world.machine().runnable);
}

#[test]
fn an_action_is_for_the_server_to_carry_out() {
    let mut world = World::new();
    world
        .edit(Force::No, |m| m.tasks = vec!["action:ipmi:powercycle".into()])
        .expect("an action may be listed");
    assert_eq!(world.step(), "invoke 0 action:ipmi:powercycle");
}

/// Without this the server made a finished job at each ask, and refused the machine that went with it.
#[test]
fn a_machine_stops_before_an_environment_that_it_may_not_enter() {
    let mut world = World::new();
    world.put(Kind::BootEnv, json!({ "Name": "strangers", "OnlyUnknown": true }));
    world.edit(Force::No, |m| m.tasks = vec!["bootenv:strangers".into(), "task-a".into()]).expect("a list");
    let outcome = world.ask().expect("an answer");
    let reason = "BootEnv strangers does not allow Machine assignments, it has the OnlyUnknown flag.";
    assert_eq!(outcome.answer, Answer::Nothing(Reason::Unusable(reason.into())));
    assert_eq!((outcome.jobs, outcome.logs), (vec![], vec![]));
    let machine = world.machine();
    assert_eq!((machine.runnable, machine.current_task, machine.boot_env.as_str()), (false, -1, "local"));
    world.put(Kind::BootEnv, json!({ "Name": "strangers" }));
    boot(&mut world);
    assert_eq!(world.step(), "204 0 bootenv:strangers");
}

#[test]
fn a_job_has_the_rights_of_its_task_and_of_the_tasks_roles() {
    let mut world = World::new();
    let claim = |scope: &str| json!({ "scope": scope, "action": "*", "specific": "*" });
    world.put(Kind::Role, json!({ "Name": "helper", "Claims": [claim("profiles")] }));
    world.put(
        Kind::Task,
        json!({ "Name": "task-a", "ExtraRoles": ["helper", "gone"], "ExtraClaims": [claim("machines")] }),
    );
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into(), "task-b".into()]).expect("a list");
    let scopes = |world: &World| -> Vec<String> {
        world.job(world.machine().current_job).extra_claims.iter().map(|claim| claim.scope.clone()).collect()
    };
    world.step();
    assert_eq!(scopes(&world), ["machines", "profiles"]);
    world.report(State::Finished, "complete", &Controls::default()).expect("it may finish");
    world.step();
    assert_eq!(scopes(&world), Vec::<String>::new());
}

#[test]
fn the_key_of_another_job_is_refused() {
    let mut world = started();
    boot(&mut world);
    world.step();
    let first = world.job(world.machine().current_job);
    world.report(State::Finished, "complete", &Controls::default()).expect("it may finish");
    let request = Request { machine: MACHINE, job: Some(first.uuid), context: "", stop_at: &[] };
    let refused = next::job(&world.view, request, &world.now).expect_err("it has been used");
    assert_eq!(refused, Refused::Taken(first.uuid));
}

#[test]
fn a_missing_machine_is_named() {
    let world = World::new();
    let request = Request { machine: "nobody", job: None, context: "", stop_at: &[] };
    let refused = next::job(&world.view, request, &world.now).expect_err("nobody is there");
    assert_eq!(refused.to_string(), "Machine nobody does not exist");
}

#[test]
fn rewinding_runs_finished_tasks_again() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into(), "task-b".into()]).expect("a list");
    assert_eq!(world.run(), ["201 0 task-a", "201 1 task-b", "204 2 Exhausted"]);
    world.edit(Force::No, |m| m.current_task = 1).expect("back to b");
    assert_eq!(world.run(), ["201 1 task-b", "204 2 Exhausted"]);
    world.edit(Force::No, |m| m.current_task = -1).expect("back to the start");
    assert_eq!(world.run(), ["201 0 task-a", "201 1 task-b", "204 2 Exhausted"]);
}

#[test]
fn a_missing_prerequisite_is_named() {
    let mut world = World::new();
    world.put(Kind::Task, json!({ "Name": "task-x", "Prerequisites": ["gone"] }));
    let refused = world.edit(Force::No, |m| m.tasks = vec!["task-x".into()]).expect_err("gone is gone");
    assert_eq!(refused, ["Task task-x missing prerequisite gone"]);
}
