//! Machines in pools: what a move does, and what keeps it from beginning.

use gantry_model::kinds::machine::Machine;
use gantry_model::parts::PoolAction;
use gantry_model::{Kind, Now, Time, Tx, View};
use gantry_workflow::pool::{self, Expected, Move, Status};
use serde_json::json;

fn view() -> View {
    let mut tx = Tx::new(View::base(), Now::new(Time::from_unix(1_700_000_000), [1; 32]));
    let actions = json!({"Workflow": "wipe", "AddProfiles": ["used"], "RemoveParameters": ["owner"]});
    let pool = json!({"Id": "lab", "ParentPool": "spare", "ReleaseActions": actions,
        "AllocateActions": {"AddProfiles": ["taken"], "AddParameters": {"owner": "pool", "size": 1}},
        "ExitActions": {"RemoveProfiles": ["taken"]}});
    tx.create(Kind::Pool, pool).expect("the pool is sound");
    tx.into_parts().0
}

fn machine(pool: &str, status: &str, allocated: bool) -> Machine {
    Machine {
        name: "m1".into(),
        pool: pool.into(),
        pool_status: status.into(),
        pool_allocated: allocated,
        ..Machine::default()
    }
}

/// `pool status allocated` of the last step.
fn told(steps: &[Machine]) -> String {
    let last = steps.last().expect("a move has a step");
    format!("{} {} {}", last.pool, last.pool_status, last.pool_allocated)
}

#[test]
fn a_move_without_a_workflow_is_done_at_once() {
    let (view, none) = (view(), PoolAction::default());
    let moved = |from: Machine, moved| told(&pool::begin(&view, &from, moved, "lab", &none));
    assert_eq!(moved(machine("default", "Free", false), Move::Add), "lab Free false");
    assert_eq!(moved(machine("lab", "Free", false), Move::Allocate), "lab InUse true");
    assert_eq!(moved(machine("lab", "Free", false), Move::Remove), "spare Free false", "to the parent");
    let elsewhere = pool::begin(&view, &machine("x", "InUse", true), Move::Release, "x", &none);
    assert_eq!(told(&elsewhere), "x Free false", "a pool needs no object");
}

#[test]
fn a_workflow_is_waited_for_and_its_failure_holds_the_machine() {
    let view = view();
    let steps =
        pool::begin(&view, &machine("lab", "InUse", true), Move::Release, "lab", &PoolAction::default());
    assert_eq!((told(&steps).as_str(), steps[0].workflow.as_str()), ("lab Destroying true", "wipe"));
    let mut machine = steps.into_iter().next_back().expect("a move has a step");
    assert!(pool::is_moving(&machine));
    pool::held(&mut machine);
    assert_eq!((machine.pool_status.as_str(), pool::is_moving(&machine)), ("HoldDestroy", false));
    pool::done(&view, &mut machine);
    assert_eq!(told(&[machine.clone()]), "lab Free false", "mended, it goes on");
    pool::done(&view, &mut machine);
    assert_eq!(told(&[machine]), "lab Free false", "who is on no move stays");
}

#[test]
fn only_the_workflow_of_the_move_ends_it() {
    let view = view();
    let release = |status| {
        let from = Machine { workflow: "other".into(), ..machine("lab", status, true) };
        pool::begin(&view, &from, Move::Release, "lab", &PoolAction::default()).pop().expect("a step")
    };
    for foreign in ["discover", ""] {
        for failed in [false, true] {
            let mut machine = release("InUse");
            if failed {
                pool::held(&mut machine);
            }
            foreign.clone_into(&mut machine.workflow);
            pool::done(&view, &mut machine);
            assert_eq!(told(&[machine.clone()]), "lab HoldDestroy true", "{foreign:?} {failed}");
            "wipe".clone_into(&mut machine.workflow);
            pool::done(&view, &mut machine);
            assert_eq!(told(&[machine.clone()]), "lab Free false", "its own workflow, after all");
            assert_eq!(machine.pool_workflow, "");
        }
    }
    // Who was put on a move by hand has no workflow that would end it.
    let mut by_hand = machine("lab", "Destroying", true);
    pool::done(&view, &mut by_hand);
    assert_eq!(told(&[by_hand]), "lab HoldDestroy true");
}

#[test]
fn a_workflow_that_the_machine_has_had_starts_anew() {
    let had = Machine { workflow: "wipe".into(), ..machine("lab", "InUse", true) };
    let steps = pool::begin(&view(), &had, Move::Release, "lab", &PoolAction::default());
    let workflows: Vec<&str> = steps.iter().map(|step| step.workflow.as_str()).collect();
    assert_eq!(workflows, ["", "wipe"]);
}

#[test]
fn the_caller_wins_over_the_pool() {
    let given = PoolAction {
        workflow: "mine".into(),
        add_parameters: [("owner".to_owned(), json!("ann"))].into_iter().collect(),
        remove_profiles: vec!["old".into()],
        ..PoolAction::default()
    };
    let before = Machine { profiles: vec!["old".into(), "taken".into()], ..machine("lab", "Free", false) };
    let steps = pool::begin(&view(), &before, Move::Allocate, "lab", &given);
    let after = &steps[0];
    assert_eq!((after.workflow.as_str(), &after.profiles[..]), ("mine", &["taken".to_owned()][..]));
    assert_eq!(serde_json::Value::from(after.params.clone()), json!({"owner": "ann", "size": 1}));
}

#[test]
fn what_keeps_a_machine_where_it_is() {
    let check = |machine: Machine, moved, status, want: Option<&str>| {
        let got = pool::refusal(&machine, moved, Expected { from: "lab", status, locks: true });
        assert_eq!(got.as_deref(), want.map(|why| format!("Machine m1 cannot be {why}")).as_deref());
    };
    check(machine("lab", "Free", false), Move::Allocate, Status::Checked, None);
    let taken = "allocated: its PoolStatus is InUse, it must be Free";
    check(machine("lab", "InUse", true), Move::Allocate, Status::Checked, Some(taken));
    check(machine("lab", "InUse", true), Move::Allocate, Status::Ignored, None);
    let away = "allocated: it is in pool spare, not in lab";
    check(machine("spare", "Free", false), Move::Allocate, Status::Ignored, Some(away));
    check(
        machine("lab", "InUse", false),
        Move::Release,
        Status::Checked,
        Some("released: it is not allocated"),
    );
    let locked = Machine { locked: true, ..machine("lab", "Free", false) };
    let own = Expected { from: "lab", status: Status::Checked, locks: false };
    assert_eq!(pool::refusal(&locked, Move::Allocate, own), None, "the machine's own token");
    check(locked, Move::Allocate, Status::Ignored, Some("allocated: it is locked"));
}
