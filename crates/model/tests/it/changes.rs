//! Creating, replacing, patching and deleting; derived state; locks; preferences.

use std::sync::Arc;

use gantry_model::patch::Patch;
use gantry_model::{Edit, Error, How, Kind, Machine, Problems, Record, Rules, Saving, Tenant, Tx};
use serde_json::{Value, json};

use crate::support::{base, create, draft, id, messages, now};

fn patch(tx: &mut Tx, kind: Kind, key: &str, operations: Value) -> Result<Value, Error> {
    tx.patch(kind, key, &Patch::parse(operations).unwrap()).map(|record| record.wire_value())
}

#[test]
fn what_a_missing_object_blocks_heals_when_it_appears() {
    let mut tx = draft();
    let workflow = create(&mut tx, Kind::Workflow, json!({"Name": "flow", "Stages": ["st"]}));
    assert_eq!(workflow["Errors"], json!(["Stage st does not exist"]));
    let stage = create(
        &mut tx,
        Kind::Stage,
        json!({"Name": "st", "BootEnv": "fred", "Tasks": ["tt"], "Profiles": ["pp"]}),
    );
    assert_eq!(
        stage["Errors"],
        json!([
            "st: Task tt (at 0) does not exist",
            "st: Profile pp does not exist",
            "st: BootEnv fred does not exist"
        ])
    );
    create(&mut tx, Kind::Task, json!({"Name": "tt"}));
    create(&mut tx, Kind::Profile, json!({"Name": "pp"}));
    create(&mut tx, Kind::BootEnv, json!({"Name": "fred", "Kernel": "k", "OS": {"Name": "o"}}));
    let stage = tx.get(Kind::Stage, "st").unwrap();
    assert_eq!(stage.derived().errors(), ["Stage st wants BootEnv fred, which is not available"]);
    let mut env = tx.get(Kind::BootEnv, "fred").unwrap().value();
    env["Templates"] = json!([{"Name": "ipxe", "Path": "x", "Contents": "x"}]);
    let before = tx.edits().len();
    tx.put(Kind::BootEnv, "fred", env).unwrap();
    assert!(tx.get(Kind::Workflow, "flow").unwrap().derived().available());
    let (_, edits, changes) = tx.into_parts();
    assert_eq!(edits.len(), before + 1, "derived state is not written");
    let last: Vec<String> =
        changes[changes.len() - 3..].iter().map(|c| format!("{}/{}", c.kind, c.key)).collect();
    assert_eq!(last, ["bootenvs/fred", "stages/st", "workflows/flow"]);
}

#[test]
fn required_parameters_heal_from_every_layer() {
    let need = |tx: &mut Tx| {
        create(tx, Kind::Stage, json!({"Name": "needy", "RequiredParams": ["must"]}));
        create(tx, Kind::Profile, json!({"Name": "inner"}));
        create(tx, Kind::Profile, json!({"Name": "outer", "Profiles": ["inner"]}));
        tx.set_how(How { force: true, ..How::default() });
        create(
            tx,
            Kind::Machine,
            json!({"Name": "mm", "Uuid": id(1), "Stage": "needy", "Profiles": ["outer"]}),
        );
    };
    let givers: [(Kind, &str); 5] = [
        (Kind::Machine, "Name:mm"),
        (Kind::Profile, "inner"),
        (Kind::Profile, "outer"),
        (Kind::Stage, "needy"),
        (Kind::Profile, "global"),
    ];
    for (kind, key) in givers {
        let mut tx = draft();
        need(&mut tx);
        let errors = tx.get(Kind::Machine, "Name:mm").unwrap().derived().errors().to_vec();
        assert_eq!(errors, ["Missing required parameter must for stages needy"]);
        tx.set_param(kind, key, "must", json!(1)).unwrap();
        assert!(tx.get(Kind::Machine, "Name:mm").unwrap().derived().available(), "{kind}/{key}");
        tx.remove_param(kind, key, "must").unwrap();
        assert!(!tx.get(Kind::Machine, "Name:mm").unwrap().derived().available(), "{kind}/{key}");
    }
    let mut tx = draft();
    need(&mut tx);
    create(&mut tx, Kind::Param, json!({"Name": "must", "Schema": {"default": 1}}));
    assert!(tx.get(Kind::Machine, "Name:mm").unwrap().derived().available());
}

#[test]
fn patches_test_before_they_write() {
    let mut tx = draft();
    create(&mut tx, Kind::BootEnv, json!({"Name": "b7", "OS": {"Name": "x"}}));
    let error = patch(
        &mut tx,
        Kind::BootEnv,
        "b7",
        json!([{"op": "test", "path": "/OS/Name", "from": "", "value": "a"}]),
    )
    .unwrap_err();
    assert_eq!(messages(error)[0], "Patch error at line 0: Test op failed.");
    let after = patch(&mut tx, Kind::BootEnv, "b7", json!([
        {"op": "test", "path": "/Available", "value": true}, {"op": "replace", "path": "/OS/Name", "value": "b"},
        {"op": "replace", "path": "/Available", "value": false}, {"op": "add", "path": "/Unknown", "value": 1},
    ])).unwrap();
    assert_eq!(
        (&after["OS"]["Name"], &after["Available"], after.get("Unknown")),
        (&json!("b"), &json!(true), None)
    );
    let error =
        patch(&mut tx, Kind::BootEnv, "b7", json!([{"op": "replace", "path": "/Name", "value": "b8"}]))
            .unwrap_err();
    assert_eq!(error, Error::KeyPatched { kind: Kind::BootEnv, to: "b8".into() });
    let error = patch(&mut tx, Kind::BootEnv, "b7", json!([{"op": "replace", "path": "/OS", "value": 1}]))
        .unwrap_err();
    assert!(matches!(error, Error::Undecodable { .. }));
    let error = patch(&mut tx, Kind::BootEnv, "local", json!([])).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }));
    let error = patch(&mut tx, Kind::BootEnv, "nope", json!([])).unwrap_err();
    assert_eq!(error, Error::not_found(Kind::BootEnv, "nope"));
}

#[test]
fn maps_are_patched_in_the_words_for_maps() {
    let mut tx = draft();
    create(&mut tx, Kind::Profile, json!({"Name": "bob", "Params": {"aa": 1}}));
    let mut run = |operations: Value| {
        tx.patch_map(Kind::Profile, "bob", "Params", &Patch::parse(operations).unwrap())
            .map(|r| r.value()["Params"].clone())
            .map_err(messages)
    };
    assert_eq!(
        run(json!([{"op": "remove", "path": "/k"}])),
        Err(vec![
            "Patch failed to apply at line 0".into(),
            "`/k` does not point to an existing location".into()
        ])
    );
    assert_eq!(
        run(
            json!([{"op": "test", "path": "", "value": {"aa": 1.0}}, {"op": "add", "path": "/b~1c", "value": null}])
        ),
        Ok(json!({"aa": 1, "b/c": null}))
    );
}

#[test]
fn people_are_kept_from_locked_machines_and_machines_are_not() {
    let mut tx = draft();
    create(&mut tx, Kind::Machine, json!({"Name": "mm", "Uuid": id(1), "Locked": true}));
    tx.set_how(How { locks: true, ..How::default() });
    let locked = Error::Locked { kind: Kind::Machine, key: id(1).into() };
    let change = json!([{"op": "replace", "path": "/Description", "value": "x"}]);
    assert_eq!(patch(&mut tx, Kind::Machine, "Name:mm", change.clone()), Err(locked.clone()));
    assert_eq!(tx.delete(Kind::Machine, &id(1)).unwrap_err(), locked);
    assert_eq!(tx.set_param(Kind::Machine, &id(1), "p", json!(1)).unwrap_err(), locked);
    let mut free = tx.clone();
    free.set_how(How::default());
    assert!(patch(&mut free, Kind::Machine, "Name:mm", change).is_ok());
    let unlock = json!([{"op": "replace", "path": "/Locked", "value": false}, {"op": "replace", "path": "/Description", "value": "x"}]);
    assert!(patch(&mut tx, Kind::Machine, "Name:mm", unlock).is_ok());
    assert!(tx.delete(Kind::Machine, &id(1)).is_ok());
}

#[test]
fn replacing_needs_the_same_key_and_forgets_what_is_left_out() {
    let mut tx = draft();
    create(&mut tx, Kind::Profile, json!({"Name": "bob", "Description": "x", "Params": {"aa": 1}}));
    let after = tx.put(Kind::Profile, "bob", json!({"Name": "bob"})).unwrap().wire_value();
    assert_eq!((&after["Description"], &after["Params"]), (&json!(""), &json!({})));
    let error = tx.put(Kind::Profile, "bob", json!({"Name": "rob"})).unwrap_err();
    assert_eq!(error.to_string(), "Key change from bob to rob not allowed");
    assert_eq!(
        tx.put(Kind::Profile, "rob", json!({"Name": "rob"})).unwrap_err(),
        Error::not_found(Kind::Profile, "rob")
    );
}

#[test]
fn engines_complete_machines_and_judge_every_object() {
    struct Engine;
    impl Rules for Engine {
        fn complete_machine(
            &self,
            saving: &Saving<'_>,
            before: Option<&Machine>,
            machine: &mut Machine,
            problems: &mut Problems,
        ) {
            if before.is_some_and(|before| before.stage != machine.stage) && !saving.how.force {
                problems.add("not now");
            }
            machine.current_task = 7;
        }
        fn check(&self, _saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
            if object["Contents"] == "{{" {
                problems.add("Parse error");
            }
        }
    }
    let mut tx = Tx::new(base(), now()).with_rules(Arc::new(Engine));
    let machine = create(&mut tx, Kind::Machine, json!({"Name": "mm", "Uuid": id(1)}));
    assert_eq!(machine["CurrentTask"], 7);
    let change = json!([{"op": "replace", "path": "/Stage", "value": "local"}]);
    assert_eq!(messages(patch(&mut tx, Kind::Machine, "Name:mm", change).unwrap_err()), ["not now"]);
    assert_eq!(
        messages(tx.create(Kind::Template, json!({"ID": "tt", "Contents": "{{"})).unwrap_err()),
        ["Parse error"]
    );
}

#[test]
fn preferences_are_set_all_or_none() {
    let mut tx = draft();
    let set = |tx: &mut Tx, pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        tx.set_preferences(&pairs).map_err(|error| error.to_string())
    };
    let table = [
        (("defaultBootEnv", "xx"), "defaultBootEnv: Bootenv xx does not exist"),
        (("unknownBootEnv", "local"), "BootEnv local cannot be used for the unknownBootEnv"),
        (("defaultStage", "xx"), "defaultStage: Stage xx does not exist"),
        (("defaultWorkflow", "foo"), "defaultWorkflow: Workflow foo does not exist"),
        (
            ("knownTokenTimeout", "illegal"),
            "knownTokenTimeout: strconv.Atoi: parsing \"illegal\": invalid syntax",
        ),
        (("debugDhcp", "frob"), "Invalid log value frob for debugDhcp,  Ignoring change"),
        (("baseTokenSecret", "short"), "baseTokenSecret: Must be 32 bytes long"),
        (("greg", "1"), "Unknown Preference greg"),
    ];
    for (bad, message) in table {
        assert_eq!(set(&mut tx, &[("logLevel", "debug"), bad]), Err(message.to_owned()));
        assert_eq!(tx.view().preference("logLevel"), "warn");
    }
    assert_eq!(
        set(&mut tx, &[("debugDhcp", "2"), ("unknownBootEnv", "ignore"), ("defaultWorkflow", "")]),
        Ok(())
    );
    assert_eq!(tx.view().preference("debugDhcp"), "debug");
    assert_eq!(tx.view().count(Kind::Preference), 14);
}

#[test]
fn objects_are_found_by_key_by_unique_index_and_by_dotted_address() {
    let mut tx = draft();
    create(
        &mut tx,
        Kind::Machine,
        json!({"Name": "a-b", "Uuid": id(1), "HardwareAddrs": ["AA-BB-CC-00-00-01"]}),
    );
    create(&mut tx, Kind::Reservation, json!({"Addr": "192.168.100.100", "Token": "t", "Strategy": "MAC"}));
    let view = tx.view();
    for text in [id(1), "Name:a-b".into(), format!("Key:{}", id(1)), format!("Uuid:{}", id(1))] {
        assert_eq!(view.lookup(Kind::Machine, &text).as_deref(), Some(id(1).as_str()), "{text}");
    }
    for text in ["C0A86464", "192.168.100.100"] {
        assert_eq!(view.lookup(Kind::Reservation, text).as_deref(), Some("C0A86464"));
    }
    for text in ["Name:none", "BootEnv:local", "c0a86464"] {
        assert_eq!(view.lookup(Kind::Machine, text), None, "{text}");
    }
    assert_eq!(view.find(Kind::Machine, "HardwareAddrs", "aa:bb:cc:00:00:01").count(), 1);
}

#[test]
fn subnets_get_their_options_and_see_their_neighbours() {
    let mut tx = draft();
    let subnet = |name: &str, cidr: &str, start: &str| json!({"Name": name, "Subnet": cidr, "ActiveStart": start, "ActiveEnd": start});
    let small = create(&mut tx, Kind::Subnet, subnet("small", "10.0.1.0/24", "10.0.1.5"));
    assert_eq!(
        small["Options"],
        json!([{"Code": 1, "Value": "255.255.255.0"}, {"Code": 28, "Value": "10.0.1.255"}])
    );
    assert_eq!(
        (&small["Strategy"], &small["Pickers"]),
        (&json!("MAC"), &json!(["hint", "nextFree", "mostExpired"]))
    );
    let large = create(&mut tx, Kind::Subnet, subnet("large", "10.0.0.0/16", "10.0.2.5"));
    assert_eq!(large["Errors"], json!(["Overlaps subnet small"]));
    assert_eq!(tx.get(Kind::Subnet, "small").unwrap().derived().errors(), ["Overlaps subnet large"]);
    tx.delete(Kind::Subnet, "large").unwrap();
    assert!(tx.get(Kind::Subnet, "small").unwrap().derived().available());
    let error =
        patch(&mut tx, Kind::Subnet, "small", json!([{"op": "replace", "path": "/Strategy", "value": "X"}]))
            .unwrap_err();
    assert_eq!(messages(error), ["Strategy cannot change"]);
}

#[test]
fn a_machine_that_goes_leaves_no_newest_job_and_no_tenant_behind() {
    let mut tx = draft();
    let (key, other) = (id(1), id(2));
    create(&mut tx, Kind::Machine, json!({"Name": "mm", "Uuid": key}));
    create(&mut tx, Kind::Machine, json!({"Name": "other", "Uuid": other}));
    for (job, current) in [(id(3), false), (id(4), true)] {
        create(
            &mut tx,
            Kind::Job,
            json!({"Uuid": job, "Machine": key, "State": "finished", "Current": current}),
        );
    }
    create(
        &mut tx,
        Kind::Tenant,
        json!({"Name": "tt", "Members": {"machines": [key, other], "profiles": ["global"]}}),
    );
    create(&mut tx, Kind::Tenant, json!({"Name": "uu", "Members": {"machines": [other]}}));
    let before = tx.edits().len();
    tx.delete(Kind::Machine, &key).unwrap();
    assert_eq!(tx.get(Kind::Job, &id(4)).unwrap().value()["Current"], false);
    let members = tx.get(Kind::Tenant, "tt").unwrap().value()["Members"].clone();
    assert_eq!(members, json!({"machines": [other], "profiles": ["global"]}));
    let edits: Vec<String> =
        tx.edits()[before..].iter().map(|edit| format!("{}/{}", edit.kind, edit.key)).collect();
    assert_eq!(edits, [format!("jobs/{}", id(4)), "tenants/tt".to_owned(), format!("machines/{key}")]);
}

/// What today's checks refuse of others is no reason to keep a machine.
#[test]
fn a_machine_goes_though_a_tenant_that_lists_it_is_unsound() {
    let mut tx = draft();
    let key = id(1);
    create(&mut tx, Kind::Machine, json!({"Name": "mm", "Uuid": key}));
    let tenant = |name: &str| {
        let value = json!({"Name": name, "Members": {"machines": [key]}, "Users": ["rocketskates"]});
        Edit::put(Record::from_value(Kind::Tenant, value, 1).unwrap().into())
    };
    let (view, _) = tx.view().apply(&[tenant("tt"), tenant("uu")], 2);
    let mut tx = Tx::new(view, now());
    let tt: Tenant = tx.get(Kind::Tenant, "tt").unwrap().typed::<Tenant>().as_ref().clone();
    assert!(matches!(tx.save(&tt), Err(Error::Invalid { .. })));
    tx.delete(Kind::Machine, &key).unwrap();
    assert!(tx.get(Kind::Machine, &key).is_err());
}
