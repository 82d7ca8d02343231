//! Who we are, at the start and when a token no longer works.

use super::*;

#[test]
fn a_token_that_no_longer_works_asks_again_who_we_are() {
    let journal = Journal {
        boot_id: "b".into(),
        uuid: "m".into(),
        token: Secret::new("old"),
        renewed: true,
        ..Journal::default()
    };
    let mut session = Session::new(settings(), journal, "b");
    session.step(Input::Start);
    let effects = session.step(Input::Failed(Fault::Refused(Refusal { code: 401, ..Refusal::default() })));
    assert!(
        effects.contains(&Effect::Identity { uuid: "m".into(), token: Secret::new("unknown") }),
        "{effects:?}"
    );
    assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Whoami)]);
}

#[test]
fn key_and_token_are_fetched_first() {
    let mut lab = Lab::new(World::new(&[]), Vec::new()).told(fetching(""));
    lab.run();
    let expected =
        "credentials, whoami, search, create node, whoami, machine, token, publish, check in, watch";
    assert_eq!(
        lab.effects.join(", "),
        expected.replace("check in, watch", "check in, newjob, machine, watch")
    );

    let mut lab = Lab::new(World { exists: true, ..World::new(&[]) }, Vec::new()).told(fetching("m"));
    lab.run();
    assert!(lab.effects.join(", ").starts_with("credentials, machine, token, publish"), "{:?}", lab.effects);
}

#[test]
fn a_known_machine_that_is_not_believed_is_recognised_like_an_unknown_one() {
    // The file of the machine was refused, that for unknown machines has no key.
    let mut session = Session::new(fetching("m"), Journal::default(), "b");
    assert_eq!(session.step(Input::Start).last(), Some(&Effect::Call(Call::Credentials)));
    let reply = Reply::Credentials { uuid: String::new(), token: Secret::new("unknown") };
    let effects = session.step(Input::Answered(reply));
    assert_eq!(effects.last(), Some(&Effect::Call(Call::Whoami)), "{effects:?}");
    assert!(effects.contains(&Effect::Identity { uuid: String::new(), token: Secret::new("unknown") }));
}

#[test]
fn a_fetched_token_that_no_longer_works_is_fetched_again() {
    let journal =
        Journal { boot_id: "b".into(), uuid: "m".into(), token: Secret::new("old"), ..Journal::default() };
    let mut session = Session::new(fetching("m"), journal, "b");
    assert_eq!(session.step(Input::Start).last(), Some(&Effect::Call(Call::Machine)));
    session.step(Input::Failed(Fault::Refused(Refusal { code: 403, ..Refusal::default() })));
    assert_eq!(session.step(Input::Woken), vec![Effect::Call(Call::Credentials)]);
}

#[test]
fn contexts_and_oneshot() {
    let mut world = World::new(&[("a", DONE)]);
    world.machine.context = "container".into();
    let lab =
        check(world, &[], "whoami, search, create node, whoami, machine, token, publish, check in, watch");
    assert_eq!(lab.world.log, Vec::<String>::new());
    let settings = Settings { oneshot: true, ..settings() };
    let mut lab = Lab::new(World::new(&[]), Vec::new()).told(settings);
    lab.run();
    assert_eq!(lab.effects.last().map(String::as_str), Some("exit"));
}
