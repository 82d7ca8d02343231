//! Jobs: run once, reported, and what their ends do to the machine.

use super::*;

#[test]
fn a_new_machine_registers_and_works() {
    let lab = check(
        World::new(&[("a", DONE)]),
        &[],
        "whoami, search, create node, whoami, machine, token, publish, check in, \
         newjob, task?, job running, actions?, execute a, flush, job finished, newjob, machine, watch",
    );
    assert_eq!(lab.world.log, ["a=running", "a=finished/complete"]);
    assert_eq!(lab.saved.token.expose(), "lasting");
}

#[test]
fn an_interrupted_job_is_failed_and_runs_again_as_a_new_one() {
    let mut mishaps = vec![Mishap::None; 12];
    mishaps.push(Mishap::AgentKilled);
    let lab = check(
        World::new(&[("a", DONE)]),
        &mishaps,
        "whoami, search, create node, whoami, machine, token, publish, check in, newjob, task?, job running, actions?, \
         restart, machine, job?, flush, job failed, newjob, task?, job running, actions?, execute a, flush, job finished, newjob, machine, watch",
    );
    assert_eq!(lab.world.log, ["a=running", "a=failed", "a=running", "a=finished/complete"]);
    assert_eq!((lab.world.begun["a"], lab.world.completed["a"]), (2, 1));
}

#[test]
fn a_result_survives_the_agents_death() {
    let mut mishaps = vec![Mishap::None; 13];
    mishaps.push(Mishap::AgentKilled);
    let lab = check(
        World::new(&[("a", DONE)]),
        &mishaps,
        "whoami, search, create node, whoami, machine, token, publish, check in, newjob, task?, job running, actions?, execute a, \
         restart, machine, flush, job finished, newjob, machine, watch",
    );
    assert_eq!(lab.world.begun["a"], 1);
}

/// A run of one task, with this mishap when its result is reported.
fn report_with(mishap: Mishap, expected: &str) {
    let mut mishaps = vec![Mishap::None; 14];
    mishaps.push(mishap);
    let before = "whoami, search, create node, whoami, machine, token, publish, check in, \
                  newjob, task?, job running, actions?, execute a, flush, job finished";
    let lab =
        check(World::new(&[("a", DONE)]), &mishaps, &format!("{before}, {expected}, newjob, machine, watch"));
    assert_eq!(lab.world.log, ["a=running", "a=finished/complete"], "{mishap:?}");
    assert_eq!(lab.world.begun["a"], 1, "{mishap:?}");
}

#[test]
fn a_result_outlives_a_server_in_trouble_and_a_revoked_token() {
    report_with(Mishap::Busy, "job finished");
    report_with(Mishap::BusyAfter, "job finished, job?");
    report_with(Mishap::Revoked, "whoami, machine, token, flush, job finished");
}

/// A patch that the server refuses although the job still runs is no reason to run the task again.
#[test]
fn a_refused_result_of_a_job_that_still_runs_is_reported_again() {
    let mut lab = Lab::new(World::new(&[("a", DONE)]), Vec::new());
    let mut input = Input::Start;
    let mut effects = lab.session.step(input);
    while !lab.effects.contains(&"flush".to_owned()) {
        input = lab.perform(effects).expect("goes on");
        effects = lab.session.step(input);
    }
    assert!(
        matches!(effects.last(), Some(Effect::Call(Call::JobState { to: "finished", .. }))),
        "{effects:?}"
    );
    effects = lab.session.step(refused(422));
    while let Some(next) = lab.perform(effects) {
        effects = lab.session.step(next);
    }
    assert_eq!(lab.world.log, ["a=running", "a=finished/complete"]);
    assert_eq!(lab.world.begun["a"], 1);
}

/// Trouble that does not end: scripts wait no longer than some minutes, a result for ever.
#[test]
fn a_server_in_trouble_is_waited_for_with_patience() {
    let ended = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        renewed: true,
        run: super::journal::Run::Ended("job1".into(), Outcome::Finished(After::Continue)),
        ..Journal::default()
    };
    let mut session = Session::new(settings(), ended, "b");
    session.step(Input::Start);
    let mut effects = session.step(Input::Answered(Reply::Machine(Box::default())));
    let mut asked = Vec::new();
    for _ in 0..200 {
        if let Some(Effect::Call(call)) = effects.last() {
            asked.push(name_of(call));
            effects = session.step(refused(507));
        } else {
            effects = session.step(Input::Woken);
        }
    }
    let count = |name: &str| asked.iter().filter(|one| *one == name).count();
    assert_eq!((count("flush"), count("job finished")), (41, asked.len() - 41), "{asked:?}");
}

#[test]
fn a_failed_task_stops_the_machine_until_it_is_runnable_again() {
    let outcomes = &[Outcome::Failed, Outcome::Finished(After::Continue)];
    let mut lab = Lab::new(World::new(&[("a", outcomes)]), Vec::new());
    lab.run();
    assert_eq!(lab.world.log, ["a=running", "a=failed/failed"]);
    assert!(!lab.world.machine.runnable);
    lab.world.machine.runnable = true;
    let effects = lab.session.step(Input::Changed(lab.world.machine.clone()));
    let mut input = lab.perform(effects);
    while let Some(next) = input {
        let effects = lab.session.step(next);
        input = lab.perform(effects);
    }
    assert_eq!(lab.world.log[2..], ["a=running", "a=finished/complete"]);
}

#[test]
fn rebooting_tasks_and_boot_environments() {
    let reboot = &[Outcome::Incomplete(After::Reboot), Outcome::Finished(After::Reboot)];
    let mut lab = Lab::new(World::new(&[("a", reboot), ("bootenv:local", DONE), ("b", DONE)]), Vec::new());
    lab.run();
    assert_eq!(
        lab.world.log,
        [
            "a=running",
            "a=incomplete/reboot",
            "a=running",
            "a=finished/reboot",
            "b=running",
            "b=finished/complete"
        ]
    );
    assert_eq!(lab.effects.iter().filter(|effect| *effect == "Reboot").count(), 3);
    assert!(lab.world.machine.workflow_complete);
}

#[test]
fn power_off_is_the_end() {
    let mut lab = Lab::new(World::new(&[("a", &[Outcome::Finished(After::PowerOff)])]), Vec::new());
    lab.run();
    assert!(lab.off && !lab.world.machine.runnable);
}

#[test]
fn an_unrenderable_task_is_failed_with_its_reason() {
    let mut session = Session::new(settings(), Journal::default(), "b");
    let mut world = World::new(&[("a", DONE)]);
    let mut effects = session.step(Input::Start);
    let mut seen = Vec::new();
    for _ in 0..25 {
        let Some(call) = effects
            .iter()
            .find_map(|effect| if let Effect::Call(call) = effect { Some(call.clone()) } else { None })
        else {
            break;
        };
        seen.push(name_of(&call));
        let input = match &call {
            Call::Actions(_) => Input::Failed(Fault::Refused(Refusal {
                code: 422,
                messages: vec!["template: x".into()],
                ..Refusal::default()
            })),
            call => world.answer(call).map_or_else(Input::Failed, Input::Answered),
        };
        effects = session.step(input);
    }
    assert!(
        seen.join(", ").ends_with("actions?, log Failed to render actions: 422 : template: x, job failed"),
        "{seen:?}"
    );
    assert_eq!(world.log.last().map(String::as_str), Some("a=failed/failed"));
}

#[test]
fn stopping_during_a_job_leaves_it_incomplete() {
    let mut lab = Lab::new(World::new(&[("a", DONE)]), Vec::new());
    let mut input = Input::Start;
    loop {
        let effects = lab.session.step(input);
        if effects.iter().any(|effect| matches!(effect, Effect::Execute(_))) {
            break;
        }
        input = lab.perform(effects).expect("goes on");
    }
    assert_eq!(lab.session.step(Input::Stop), vec![Effect::Kill]);
    let mut effects = lab.session.step(Input::Executed(Outcome::Interrupted));
    while let Some(input) = lab.perform(effects) {
        effects = lab.session.step(input);
    }
    assert_eq!(lab.world.log, ["a=running", "a=incomplete/complete"]);
    assert!(lab.world.machine.runnable, "it continues when the agent is back");
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
}
