//! Out of this boot: restarts, and what is prepared for them.

use super::*;
use crate::session::journal::Run;

#[test]
fn a_restart_is_prepared_for_where_it_leads_and_why() {
    let restarts = |tasks: &[(&str, &[Outcome])]| {
        let mut lab = Lab::new(World::new(tasks), Vec::new());
        lab.run();
        lab.effects.join(", ")
    };
    let effects = restarts(&[("bootenv:local", DONE)]);
    assert!(effects.contains("prepare onward local, Reboot, restart"), "{effects}");
    let effects = restarts(&[("a", &[Outcome::Finished(After::Reboot)]), ("bootenv:local", DONE)]);
    assert!(effects.contains("disarm, job finished, prepare task discovery, Reboot, restart"), "{effects}");
    assert!(effects.contains("prepare onward local, Reboot, restart"), "{effects}");
}

/// The answer to the patch that ends the job's claim on the machine says where it is to go now.
#[test]
fn a_task_that_changes_the_boot_environment_and_restarts_goes_there() {
    let mut lab = Lab::new(World::new(&[("a", &[Outcome::Finished(After::Reboot)])]), Vec::new());
    let mut input = Input::Start;
    while !lab.effects.contains(&"execute a".to_owned()) {
        let effects = lab.session.step(input);
        input = lab.perform(effects).expect("goes on");
    }
    lab.world.machine.boot_env = "other".into();
    while !lab.effects.contains(&"Reboot".to_owned()) {
        let effects = lab.session.step(input);
        input = lab.perform(effects).expect("goes on");
    }
    assert!(lab.effects.join(", ").contains("prepare task other, Reboot"), "{:?}", lab.effects);
}

#[test]
fn an_agent_that_died_on_its_way_out_goes_on_leaving() {
    let journal = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        run: Run::Leaving(Power::Reboot),
        ..Journal::default()
    };
    let effects = Session::new(settings(), journal.clone(), "b").step(Input::Start);
    assert!(effects.contains(&Effect::Power(Power::Reboot)), "{effects:?}");
    let effects = Session::new(settings(), journal, "c").step(Input::Start);
    assert!(!effects.contains(&Effect::Power(Power::Reboot)), "the restart has happened");
}

#[test]
fn an_installer_is_left_to_restart_by_itself() {
    let mut world = World::new(&[("a", DONE), ("bootenv:local", DONE)]);
    world.machine.boot_env = "debian-install".into();
    let mut lab = Lab::new(world, Vec::new());
    lab.run();
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
    assert!(!lab.effects.contains(&"Reboot".to_owned()));
}
