//! The three rules of the session, whatever goes wrong.

use super::*;
use proptest::prelude::*;

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        8 => Just(Mishap::None),
        1 => Just(Mishap::RequestLost),
        1 => Just(Mishap::AnswerLost),
        1 => Just(Mishap::AgentKilled),
        1 => Just(Mishap::Busy),
        1 => Just(Mishap::BusyAfter),
        1 => Just(Mishap::Revoked),
    ]
}

fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    let early = prop_oneof![
        Just(Outcome::Incomplete(After::Reboot)),
        Just(Outcome::Finished(After::Reboot)),
        Just(Outcome::Finished(After::Continue)),
    ];
    let last = prop_oneof![Just(Outcome::Finished(After::Continue)), Just(Outcome::Finished(After::Reboot))];
    (prop::collection::vec(early, 0..2), last).prop_map(|(mut all, last)| {
        all.retain(|outcome| matches!(outcome, Outcome::Incomplete(_)));
        all.push(last);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The three rules, whatever goes wrong: `World::begin` checks the first at every run.
    #[test]
    fn every_task_finishes_exactly_once(
        all in prop::collection::vec(outcomes(), 1..5),
        mishaps in prop::collection::vec(mishap(), 0..120),
        (fetches, other_boot_env) in (any::<bool>(), any::<bool>()),
    ) {
        let names: Vec<String> = (0..all.len()).map(|n| format!("task{n}")).collect();
        let mut tasks: Vec<(&str, &[Outcome])> = names.iter().map(String::as_str).zip(all.iter().map(Vec::as_slice)).collect();
        if other_boot_env {
            tasks.insert(all.len() / 2, ("bootenv:other", DONE));
        }
        let told = if fetches { fetching("") } else { settings() };
        let mut lab = Lab::new(World::new(&tasks), mishaps).told(told);
        lab.run();
        prop_assert!(lab.world.machine.workflow_complete, "stuck: {:?}\n{}", lab.world.machine, lab.effects.join(", "));
        let finished: Vec<&String> = lab.world.log.iter().filter(|line| line.contains("=finished")).collect();
        let order: Vec<&str> = finished.iter().filter_map(|line| line.split('=').next()).collect();
        prop_assert_eq!(order, names.iter().map(String::as_str).collect::<Vec<_>>(), "in order, each once");
        for (name, outcomes) in names.iter().zip(&all) {
            // A completed run is never repeated: its result reached the server, or was found in the journal.
            prop_assert!(lab.world.completed[name] <= outcomes.len(), "{name}: {:?}", lab.world.completed);
        }
    }
}
