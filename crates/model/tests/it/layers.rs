//! Content layers: which object counts, what may clash, what comes back.

use gantry_model::{Edit, Error, Kind, Layer, Tx, View};
use serde_json::{Value, json};

use crate::support::{base, create, draft, id, now};

fn layer(name: &str, sections: Value) -> Layer {
    Layer::from_value(json!({"meta": {"Name": name}, "sections": sections})).unwrap()
}

fn put(view: &View, layer: Layer) -> Result<View, Vec<String>> {
    match view.put_layer(layer, view.revision() + 1) {
        Ok((view, _)) => Ok(view),
        Err(Error::Layer { messages, .. }) => Err(messages),
        Err(other) => Err(vec![other.to_string()]),
    }
}

#[test]
fn objects_of_a_layer_are_read_only_and_go_with_it() {
    let view =
        put(&base(), layer("lab", json!({"profiles": {"p9": {"Name": "p9"}}, "frobs": {"x": {}}}))).unwrap();
    let record = view.record(Kind::Profile, "p9").unwrap();
    assert_eq!((record.bundle(), record.read_only()), ("lab", true));
    assert_eq!(view.layers()[0].counts(), [("frobs".to_owned(), 1), ("profiles".to_owned(), 1)].into());
    let (view, changes) = view.remove_layer("lab", 9).unwrap();
    assert!(view.record(Kind::Profile, "p9").is_none());
    assert_eq!(changes.len(), 1);
    assert_eq!(view.remove_layer("lab", 9).unwrap_err(), Error::not_found(Kind::Content, "lab"));
}

#[test]
fn layers_may_not_hide_the_store_nor_each_other() {
    let view = put(&base(), layer("one", json!({"profiles": {"p1": {"Name": "p1"}}}))).unwrap();
    assert_eq!(
        put(&view, layer("two", json!({"profiles": {"p1": {"Name": "p1"}, "global": {"Name": "global"}}})))
            .unwrap_err(),
        [
            "profiles:global in layer dynamic-two would override layer writable-BackingStore",
            "profiles:p1 in layer dynamic-two would override layer dynamic-one",
        ]
    );
    let view = put(&view, layer("one", json!({"profiles": {"p2": {"Name": "p2"}}}))).unwrap();
    assert!(view.record(Kind::Profile, "p1").is_none() && view.record(Kind::Profile, "p2").is_some());
}

#[test]
fn built_in_objects_may_be_hidden_and_come_back() {
    let hidden = layer(
        "mine",
        json!({"bootenvs": {"local": {"Name": "local", "Description": "mine", "OS": {"Name": "l"}}}}),
    );
    let view = put(&base(), hidden).unwrap();
    assert_eq!(view.record(Kind::BootEnv, "local").unwrap().bundle(), "mine");
    let (view, _) = view.remove_layer("mine", 9).unwrap();
    assert_eq!(view.record(Kind::BootEnv, "local").unwrap().bundle(), "BasicStore");
    let stored = gantry_model::Record::from_value(
        Kind::BootEnv,
        json!({"Name": "local", "Description": "stored"}),
        10,
    )
    .unwrap();
    let (view, _) = view.apply(&[Edit::put(stored.into())], 10);
    assert!(!view.record(Kind::BootEnv, "local").unwrap().read_only());
    let (view, _) = view.apply(&[Edit::delete(Kind::BootEnv, "local".into())], 11);
    assert_eq!(view.record(Kind::BootEnv, "local").unwrap().bundle(), "BasicStore");
}

#[test]
fn what_does_not_load_is_refused_whole() {
    let bad = Layer::from_value(
        json!({"meta": {"Name": "PackBad"}, "sections": {"profiles": {"p1-bad": {"Name": "p1-bad", "Params": 5}}}}),
    );
    let Err(Error::Layer { messages, .. }) = bad else { panic!("it loaded") };
    assert_eq!(
        messages,
        [
            "Store profiles item p1-bad failed to load from layer content-PackBad: json: cannot unmarshal number into Go struct field Profile.Params of type map[string]interface {}",
            "Try manually replacing content layer PackBad",
        ]
    );
    assert_eq!(
        put(&base(), layer("two", json!({
            "tasks": {"t": {"Name": "tt", "Prerequisites": ["tt"], "Templates": [{"Name": "x", "ID": "nope"}]}},
            "stages": {"s": {"Name": "9"}},
        }))).unwrap_err(),
        ["9: Invalid Name `9`", "Templates[0]: No common template for nope"]
    );
    assert_eq!(
        put(&base(), layer("two", json!({"tasks": {"t": {"Name": "tt", "Prerequisites": ["tt"]}}})))
            .unwrap_err(),
        ["Task tt depends on itself!", "tt: tt (cycle at 0)"]
    );
}

#[test]
fn warnings_are_of_the_packs_own_objects_and_name_them() {
    let one = layer("one", json!({"stages": {"s1": {"Name": "s1", "Tasks": ["gone"]}}}));
    let two = layer(
        "two",
        json!({"stages": {"local": {"Name": "local"}, "s2": {"Name": "s2", "BootEnv": "nope"}}}),
    );
    let view = put(&put(&base(), one).unwrap(), two).unwrap();
    let warnings = |name: &str| {
        let layer = view.layers().iter().find(|layer| layer.name() == name).unwrap();
        view.warnings(layer)
    };
    assert_eq!(warnings("one"), ["stages/s1: Task gone (at 0) does not exist"]);
    assert_eq!(
        warnings("two"),
        ["takes the place of BasicStore's stages/local", "stages/s2: BootEnv nope does not exist"]
    );
}

#[test]
fn machines_notice_when_a_pack_goes_and_comes() {
    let pack = || {
        layer("pack", json!({"profiles": {"p1-prof": {"Name": "p1-prof"}}, "tasks": {"t1": {"Name": "t1"}}}))
    };
    let mut tx = Tx::new(put(&base(), pack()).unwrap(), now());
    create(
        &mut tx,
        Kind::Machine,
        json!({"Name": "mm", "Uuid": id(1), "Profiles": ["p1-prof"], "Tasks": ["t1"]}),
    );
    let (view, changes) = tx.view().remove_layer("pack", 20).unwrap();
    let machine = view.record(Kind::Machine, &id(1)).unwrap();
    assert_eq!(machine.derived().errors().len(), 2, "{:?}", machine.derived().errors());
    assert_eq!(changes.last().unwrap().kind, Kind::Machine);
    let view = put(&view, pack()).unwrap();
    assert!(view.record(Kind::Machine, &id(1)).unwrap().derived().available());
}

#[test]
fn a_pack_that_others_need_stays() {
    let foo = Layer::from_value(json!({"meta": {"Name": "foo", "Version": "v1.2.0"}})).unwrap();
    let mut view = put(&base(), foo).unwrap();
    let needing =
        Layer::from_value(json!({"meta": {"Name": "basic", "Prerequisites": "foo: >=1.0.0, BasicStore"}}))
            .unwrap();
    view = put(&view, needing).unwrap();
    let Err(Error::Layer { messages, .. }) = view.remove_layer("foo", 9) else { panic!("it went") };
    assert_eq!(messages, ["Layer basic has foo as a prerequisite, but foo does not exist!"]);
}

#[test]
fn a_fresh_store_has_what_the_reference_lists() {
    let tx = draft();
    let count = |kind: Kind| tx.view().count(kind);
    assert_eq!(
        [Kind::BootEnv, Kind::Stage, Kind::Role, Kind::Param, Kind::Profile, Kind::User, Kind::Preference]
            .map(count),
        [2, 2, 1, 1, 1, 1, 13]
    );
    for kind in Kind::ALL {
        assert!(tx.view().records(*kind).all(|record| record.derived().available()), "{kind}");
    }
}
