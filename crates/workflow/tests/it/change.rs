//! What edits of a machine do, and which are refused.

use gantry_model::Kind;
use gantry_workflow::change::{Force, Place};
use gantry_workflow::job::{Controls, State};
use serde_json::json;

use crate::world::{MACHINE, World};

#[test]
fn a_workflow_becomes_a_task_list() {
    let mut world = World::new();
    let machine = world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
    let list = "stage:s1 bootenv:env1 task-a task-b stage:s2 task-c stage:s3 bootenv:env2 task-d";
    assert_eq!(machine.tasks.join(" "), list);
    assert_eq!((machine.current_task, machine.workflow_complete), (-1, false));
    assert_eq!((machine.stage.as_str(), machine.boot_env.as_str()), ("s1", "env1"));
    assert!(!machine.runnable, "the machine has to boot env1 first");
}

/// The worked example of api.md §11.3.
#[test]
fn prerequisites_run_once_per_boot_environment() {
    let mut world = World::new();
    for (task, needs) in [
        ("bar1", vec!["foo1", "foo2", "foo3"]),
        ("bar2", vec!["foo3", "foo2", "foo1"]),
        ("bar3", vec!["foo4", "foo5", "foo6"]),
        ("bar4", vec!["bar3", "foo1", "foo5", "foo7"]),
    ] {
        world.put(gantry_model::Kind::Task, json!({ "Name": task, "Prerequisites": needs }));
    }
    for i in 1..8 {
        world.put(gantry_model::Kind::Task, json!({ "Name": format!("foo{i}") }));
    }
    let tasks = ["foo1", "foo4", "bar1", "bar2", "bar4"];
    world.stage("flat1", "", &tasks);
    world.stage("flat2", "env1", &tasks);
    world.stage("flat3", "env2", &tasks);
    world.workflow("flat", &["flat2", "flat1", "flat3"]);
    let machine = world.edit(Force::No, |m| m.workflow = "flat".into()).expect("flat may start");
    let full = "foo1 foo4 foo2 foo3 bar1 bar2 foo5 foo6 bar3 foo7 bar4";
    let wanted = format!(
        "stage:flat2 bootenv:env1 {full} stage:flat1 foo1 foo4 bar1 bar2 bar4 stage:flat3 bootenv:env2 {full}"
    );
    assert_eq!(machine.tasks.join(" "), wanted);
}

#[test]
fn a_prerequisite_that_needs_itself_is_refused() {
    let mut world = World::new();
    world.put(gantry_model::Kind::Task, json!({ "Name": "t1", "Prerequisites": ["t2"] }));
    world.put(gantry_model::Kind::Task, json!({ "Name": "t2", "Prerequisites": ["t1"] }));
    let refused = world.edit(Force::No, |m| m.tasks = vec!["t1".into()]).expect_err("a circle");
    assert_eq!(refused, ["Task t1 depends on itself!"]);
}

#[test]
fn a_new_machine_gets_what_the_preferences_say() {
    let mut world = World::new();
    let plain = world.create(json!({ "Uuid": MACHINE, "Name": "new" }), "").expect("a machine");
    assert_eq!((plain.stage.as_str(), plain.boot_env.as_str(), plain.current_task), ("none", "local", 0));
    assert!(plain.runnable && plain.workflow_complete);
    let led =
        world.create(json!({ "Uuid": MACHINE, "Name": "new", "Stage": "s2" }), "wf").expect("a machine");
    assert_eq!((led.stage.as_str(), led.boot_env.as_str(), led.current_task), ("s1", "env1", -1));
    assert!(led.runnable, "a create leaves Runnable alone");
    let staged =
        world.create(json!({ "Uuid": MACHINE, "Name": "new", "Stage": "s3" }), "").expect("a machine");
    assert_eq!((staged.tasks.join(" ").as_str(), staged.boot_env.as_str()), ("task-d", "env2"));
}

/// Without this one profile that was deleted kept every new machine from being registered.
#[test]
fn a_new_machine_is_taken_into_the_default_stage_as_that_is() {
    let mut world = World::new();
    let torn = |name: &str| json!({ "Name": name, "Profiles": ["gone"], "Tasks": ["task-a"] });
    world.put(Kind::Stage, torn("none"));
    world.put(Kind::Stage, torn("torn"));
    let new = json!({ "Uuid": MACHINE, "Name": "new" });
    for given in [new, json!({ "Uuid": MACHINE, "Name": "new", "Stage": "none" })] {
        let machine = world.create(given, "").expect("a machine");
        assert_eq!((machine.stage.as_str(), machine.tasks.join(" ").as_str()), ("none", "task-a"));
    }
    let refused = world
        .create(json!({ "Uuid": MACHINE, "Name": "new", "Stage": "torn" }), "")
        .expect_err("somebody chose it");
    assert_eq!(refused, [format!("Machine {MACHINE} wants Stage torn, which is not available")]);
}

#[test]
fn clearing_the_workflow_leaves_the_boot_environment() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
    let machine = world.edit(Force::No, |m| m.workflow = String::new()).expect("it may end");
    assert_eq!((machine.stage.as_str(), machine.boot_env.as_str(), machine.tasks.len()), ("none", "env1", 0));
    assert!(machine.workflow_complete);
}

#[test]
fn the_same_workflow_again_changes_nothing() {
    let mut world = World::new();
    let first = world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
    let again = world.edit(Force::No, |m| m.workflow = "wf".into()).expect("nothing happens");
    assert_eq!(first, again);
}

#[test]
fn refused_edits_say_why() {
    type Edit = fn(&mut gantry_model::Machine);
    let at_five: fn(&mut World) = |world| {
        world.edit(Force::No, |m| m.workflow = "wf".into()).expect("wf may start");
        world.edit(Force::No, |m| m.runnable = true).expect("booted");
        world.run();
        world.run();
        world.run();
        world.edit(Force::No, |m| m.runnable = true).expect("booted");
    };
    let staged: fn(&mut World) = |world| {
        world.edit(Force::No, |m| m.stage = "s3".into()).expect("s3 may be entered");
    };
    type Case = (fn(&mut World), Force, Edit, &'static str);
    let cases: &[Case] = &[
        (|_| {}, Force::No, |m| m.workflow = "gone".into(), "Workflow gone does not exist"),
        (|_| {}, Force::No, |m| m.stage = "gone".into(), "Stage gone does not exist"),
        (
            |world| world.stage("torn", "nowhere", &[]),
            Force::Yes,
            |m| m.stage = "torn".into(),
            "Machine 3e7031fe-3062-45f1-835c-92541bc9cbd3 wants Stage torn, which is not available",
        ),
        (at_five, Force::Yes, |m| m.stage = "s1".into(), "Changing machine stage not allowed"),
        (at_five, Force::Yes, |m| m.boot_env = "local".into(), "Changing machine bootenv not allowed"),
        (
            staged,
            Force::No,
            |m| m.stage = "s2".into(),
            "Can not change stages with pending tasks unless forced",
        ),
        (
            staged,
            Force::No,
            |m| m.boot_env = "env1".into(),
            "Can not change bootenv while in a stage unless forced. old: env2 new env1",
        ),
        (
            at_five,
            Force::No,
            |m| m.current_task = 8,
            "Cannot advance CurrentTask from 7 to 8 without running jobs",
        ),
        (at_five, Force::No, |m| m.current_task = 0, "Cannot change CurrentTask from 7 to 0 past 6"),
        (
            at_five,
            Force::No,
            |m| m.tasks.truncate(3),
            "Cannot remove tasks that have already executed or are already executing",
        ),
        (
            at_five,
            Force::No,
            |m| m.tasks[2] = "task-c".into(),
            "Cannot change tasks that have already executed or are executing",
        ),
        (
            at_five,
            Force::No,
            |m| m.tasks.push("stage:s1".into()),
            "Cannot change tasks that are past the next stage transition",
        ),
        (
            at_five,
            Force::No,
            |m| {
                m.current_task = 6;
                m.tasks.push("task-a".into());
            },
            "Cannot change task list and current task at the same time",
        ),
    ];
    for (prepare, force, edit, wanted) in cases {
        let mut world = World::new();
        prepare(&mut world);
        let before = world.machine();
        assert_eq!(world.edit(*force, edit).expect_err(wanted), [*wanted]);
        assert_eq!(world.machine(), before, "a refused edit changes nothing");
    }
}

#[test]
fn force_drops_pending_tasks_and_edits_later_stages() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.stage = "s3".into()).expect("s3 may be entered");
    let machine = world.edit(Force::Yes, |m| m.stage = "s2".into()).expect("by force");
    assert_eq!(machine.tasks.join(" "), "task-c");
    assert_eq!(machine.boot_env, "env2", "s2 names no boot environment");
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into()]).expect("a list");
    world.run();
    let machine = world.edit(Force::Yes, |m| m.tasks.push("stage:s2".into())).expect("by force");
    assert_eq!(machine.tasks.join(" "), "task-a stage:s2");
}

#[test]
fn tasks_added_to_the_present_stage_bring_their_prerequisites() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into(), "task-c".into()]).expect("a list");
    assert_eq!(world.step(), "201 0 task-a");
    let machine = world.edit(Force::No, |m| m.tasks.insert(1, "task-p".into())).expect("p may be added");
    assert_eq!(machine.tasks.join(" "), "task-a task-b task-p task-c", "task-a has run already");
}

#[test]
fn tasks_added_behind_a_finished_list_run() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into()]).expect("a list");
    assert_eq!(world.run(), ["201 0 task-a", "204 1 Exhausted"]);
    let machine = world.edit(Force::No, |m| m.tasks.push("task-c".into())).expect("one more");
    assert!(!machine.workflow_complete);
    assert_eq!(world.run(), ["201 1 task-c", "204 2 Exhausted"]);
}

/// Whoever replaces a machine by what they read a while ago does not mean to run its tasks again, or to end its waits.
#[test]
fn what_the_server_keeps_about_a_machine_cannot_be_edited() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into(), "task-c".into()]).expect("a list");
    assert_eq!(world.step(), "201 0 task-a");
    world.report(State::Finished, "complete", &Controls::default()).expect("it may finish");
    let before = world.machine();
    let edited = world.edit(Force::No, |m| {
        m.current_job = gantry_model::Uuid(None);
        m.retry_task_attempt = 5;
        m.workflow_complete = true;
        m.task_error_stacks = vec![gantry_model::kinds::machine::TaskStack::default()];
    });
    assert_eq!(edited.expect("it is stored as it was"), before);
    assert_eq!(world.step(), "201 1 task-c", "what is finished does not run again");
}

#[test]
fn without_the_right_a_machine_goes_back_to_its_start_only() {
    let mut world = World::new();
    world.edit(Force::No, |m| m.tasks = vec!["task-a".into(), "task-b".into()]).expect("a list");
    world.run();
    let refused = world.edit_from(Place::Fixed, Force::No, |m| m.current_task = 1).expect_err("not there");
    assert_eq!(refused, ["Cannot change CurrentTask from 2 to 1 (reposition not allowed)"]);
    let machine = world.edit_from(Place::Fixed, Force::No, |m| m.current_task = -1).expect("to the start");
    assert_eq!(machine.current_task, -1);
}
