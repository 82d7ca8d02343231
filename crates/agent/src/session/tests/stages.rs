//! Machines without a workflow go from stage to stage by `change-stage/map`.

use super::*;
use crate::session::journal::Run;

/// A machine without a workflow, at the end of its stage; what it asks and does.
fn at_stage_end(boot_env: &str, stages: &[(&str, &str, After)]) -> Lab {
    let mut world = World::new(&[]);
    world.exists = true;
    world.machine.workflow = String::new();
    world.machine.stage = "one".into();
    world.machine.boot_env = boot_env.into();
    world.machine.current_task = 0;
    world.machine.workflow_complete = true;
    world.stages = stages
        .iter()
        .map(|(from, to, then)| ((*from).to_owned(), NextStage { stage: (*to).to_owned(), then: *then }))
        .collect();
    let mut lab = Lab::new(world, Vec::new());
    lab.run();
    lab
}

#[test]
fn stages_follow_each_other_by_the_map() {
    let tail = |stages: &[(&str, &str, After)]| {
        let lab = at_stage_end("discovery", stages);
        let at = lab.effects.iter().position(|effect| effect == "check in").expect("check in");
        lab.effects[at + 1..].join(", ")
    };
    assert_eq!(tail(&[]), "after one?, watch");
    assert_eq!(
        tail(&[("one", "two", After::Continue), ("two", "three", After::Continue)]),
        "after one?, stage two, after two?, stage three, after three?, watch"
    );
    assert_eq!(tail(&[("one", "two", After::Stop)]), "after one?, stage two, exit");
    assert_eq!(tail(&[("one", "two", After::PowerOff)]), "after one?, stage two, PowerOff");
    let rebooting = tail(&[("one", "two", After::Reboot)]);
    assert!(
        rebooting.starts_with("after one?, stage two, disarm, prepare onward discovery, Reboot, restart"),
        "{rebooting}"
    );
    assert_eq!(tail(&[("one", "one", After::Reboot)]), "after one?, watch", "a stage cannot follow itself");
}

/// The effects of a change of stage that goes wrong at this point, from the question for the next stage on.
fn with_mishap(then: After, mishap: Mishap) -> (Lab, String) {
    let mut lab = at_stage_end("discovery", &[]);
    let next = NextStage { stage: "two".into(), then };
    lab.world.stages.insert("one".into(), next);
    // The machine and the map are asked first. An agent that is killed has sent its request when an even number is left.
    lab.mishaps = vec![mishap, Mishap::None, Mishap::None];
    let before = lab.effects.len();
    let mut input = Some(Input::Quiet);
    while let Some(next) = input {
        let effects = lab.session.step(next);
        input = lab.perform(effects);
    }
    let effects = lab.effects[before..].join(", ");
    (lab, effects)
}

#[test]
fn what_the_map_wants_after_a_stage_is_done_though_the_answer_or_the_agent_is_lost() {
    let (lab, effects) = with_mishap(After::Stop, Mishap::AnswerLost);
    assert_eq!(effects, "machine, after one?, stage two, stage two, machine, exit");
    assert!(matches!(lab.saved.run, Run::Stopped(_)), "{:?}", lab.saved);
    let (_, effects) = with_mishap(After::PowerOff, Mishap::AnswerLost);
    assert_eq!(effects, "machine, after one?, stage two, stage two, machine, PowerOff");
    let (_, effects) = with_mishap(After::Reboot, Mishap::AnswerLost);
    let expected = "stage two, stage two, machine, disarm, prepare onward discovery, Reboot, restart";
    assert!(effects.contains(expected), "{effects}");
    let (lab, effects) = with_mishap(After::Continue, Mishap::AnswerLost);
    assert_eq!(effects, "machine, after one?, stage two, stage two, machine, after two?, watch");
    assert_eq!(lab.saved.run, Run::Idle);
    let (_, effects) = with_mishap(After::Stop, Mishap::AgentKilled);
    assert_eq!(effects, "machine, after one?, restart, machine, exit", "the request had arrived");
}

#[test]
fn a_stage_that_was_not_set_is_set_again() {
    let (_, effects) = with_mishap(After::Stop, Mishap::RequestLost);
    assert_eq!(effects, "machine, after one?, stage two, stage two, exit");
}

/// Starts the session again in the same boot and runs it; what it asks and does.
fn started_again(lab: &mut Lab) -> String {
    let before = lab.effects.len();
    lab.restart();
    lab.run();
    lab.effects[before..].join(", ")
}

#[test]
fn an_agent_that_was_stopped_by_the_map_takes_no_jobs_when_it_is_started_again() {
    let mut lab =
        at_stage_end("discovery", &[("one", "two", After::Stop), ("two", "three", After::Continue)]);
    assert!(lab.world.machine.runnable);
    for _ in 0..2 {
        assert_eq!(started_again(&mut lab), "restart, machine, watch");
    }
    // What the server finds out by itself does not count, what an operator changes does.
    lab.world.machine.available = false;
    assert_eq!(started_again(&mut lab), "restart, machine, watch");
    lab.world.machine.available = true;
    lab.world.machine.workflow = "w".into();
    lab.world.machine.workflow_complete = false;
    assert_eq!(started_again(&mut lab), "restart, machine, newjob, machine, watch");
    assert_eq!(lab.saved.run, Run::Idle);
}

#[test]
fn a_stop_by_the_map_ends_with_the_boot() {
    let mut lab =
        at_stage_end("discovery", &[("one", "two", After::Stop), ("two", "three", After::Continue)]);
    lab.boot += 1;
    let again = started_again(&mut lab);
    assert!(again.ends_with("check in, after two?, stage three, after three?, watch"), "{again}");
}

#[test]
fn a_stopped_machine_goes_on_when_it_is_made_runnable_again() {
    let mut lab =
        at_stage_end("discovery", &[("one", "two", After::Stop), ("two", "three", After::Continue)]);
    started_again(&mut lab);
    let before = lab.effects.len();
    for runnable in [false, true] {
        lab.world.machine.runnable = runnable;
        let mut input = Some(Input::Changed(lab.world.machine.clone()));
        while let Some(next) = input {
            let effects = lab.session.step(next);
            input = lab.perform(effects);
        }
    }
    assert_eq!(lab.effects[before..].join(", "), "watch, after two?, stage three, after three?, watch");
}

/// A session that has just asked for the stage that follows.
fn asking_the_map() -> Session {
    let journal = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        token: Secret::new("t"),
        renewed: true,
        checked_in: true,
        boot_env: "discovery".into(),
        ..Journal::default()
    };
    let mut session = Session::new(settings(), journal, "b");
    session.step(Input::Start);
    let machine = at_stage_end("discovery", &[]).world.machine;
    let effects = session.step(Input::Answered(Reply::Machine(Box::new(machine))));
    assert!(matches!(effects.last(), Some(Effect::Call(Call::NextStage { .. }))), "{effects:?}");
    session
}

#[test]
fn a_map_that_cannot_be_read_now_is_asked_again() {
    let refused = |code| Fault::Refused(Refusal { code, ..Refusal::default() });
    let mut session = asking_the_map();
    let again = session.step(Input::Failed(refused(503)));
    assert!(matches!(again.last(), Some(Effect::Sleep(_))), "{again:?}");
    assert!(
        matches!(session.step(Input::Woken)[..], [Effect::Call(Call::NextStage { .. })]),
        "a busy server"
    );
    for fault in [refused(500), refused(404), Fault::Nonsense("entry a:Fly".into())] {
        let mut session = asking_the_map();
        let effects = session.step(Input::Failed(fault.clone()));
        assert!(matches!(effects.last(), Some(Effect::Sleep(_))), "{fault}: {effects:?}");
        assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Machine)], "{fault}");
    }
    for code in [401, 403] {
        let mut session = asking_the_map();
        session.step(Input::Failed(refused(code)));
        assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Whoami)], "{code}");
    }
}

#[test]
fn a_corrected_map_is_asked_when_the_watch_wakes() {
    let mut lab = at_stage_end("discovery", &[]);
    let two = NextStage { stage: "two".into(), then: After::Continue };
    lab.world.stages.insert("one".into(), two);
    let before = lab.effects.len();
    let mut input = Some(Input::Quiet);
    while let Some(next) = input {
        let effects = lab.session.step(next);
        input = lab.perform(effects);
    }
    assert_eq!(lab.effects[before..].join(", "), "machine, after one?, stage two, after two?, watch");
}

#[test]
fn an_installer_never_restarts_by_the_map() {
    let lab = at_stage_end("debian-install", &[("one", "local", After::Reboot)]);
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
    assert!(!lab.effects.contains(&"Reboot".to_owned()), "{:?}", lab.effects);
}
