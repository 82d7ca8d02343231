//! JSON of the wire: names, zero values, case of input, the decoder's words.

use gantry_model::{Kind, Layer, Record, decode};
use serde_json::{Value, json};

use crate::support::{create, draft};

/// Every kind's zero object. Reviewed against API §10 when it changes.
#[test]
fn zero_objects_have_every_field_and_no_null_list() {
    let mut text = String::new();
    for kind in Kind::ALL {
        let zero = Value::Object(decode::object(*kind, json!({})).unwrap());
        text.push_str(&format!("{kind} {zero}\n"));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_created_machine_looks_as_the_reference_shows_it() {
    let machine = create(&mut draft(), Kind::Machine, json!({"Name": "rack7-u3"}));
    assert_eq!(
        machine,
        json!({
            "Validated": true, "Available": true, "Errors": [], "ReadOnly": false,
            "Meta": {"feature-flags": "change-stage-v2"}, "Endpoint": "", "Bundle": "", "Partial": false,
            "Name": "rack7-u3", "Description": "", "Uuid": machine["Uuid"], "CurrentJob": "", "Address": "",
            "Stage": "none", "BootEnv": "local", "Profiles": [], "Params": {}, "Tasks": [],
            "CurrentTask": 0, "RetryTaskAttempt": 0, "TaskErrorStacks": [], "Runnable": true,
            "Secret": machine["Secret"], "OS": "", "HardwareAddrs": [], "Workflow": "", "Arch": "amd64", "Locked": false,
            "Context": "",
            "Fingerprint": {"SSNHash": "", "CSNHash": "", "CloudInstanceID": "", "SystemUUID": "", "MemoryIds": []},
            "Pool": "default", "PoolAllocated": false, "PoolStatus": "Free", "WorkflowComplete": true
        })
    );
    assert_eq!(machine["Uuid"].as_str().unwrap().len(), 36);
    assert_eq!(machine["Secret"].as_str().unwrap().len(), 16);
}

#[test]
fn names_of_fields_match_whatever_their_case_but_an_exact_one_wins() {
    let profile = create(
        &mut draft(),
        Kind::Profile,
        json!({"name": "wrong", "Name": "right", "params": {"MixedCase": 1}, "junk": 1}),
    );
    assert_eq!(profile["Name"], "right");
    assert_eq!(profile["Params"], json!({"MixedCase": 1}));
    assert_eq!(profile.get("junk"), None);
}

#[test]
fn null_is_the_zero_value_except_where_any_value_goes() {
    let profile = create(
        &mut draft(),
        Kind::Profile,
        json!({"Name": "nulls", "Profiles": null, "Meta": null, "Params": {"pp": null}}),
    );
    assert_eq!(profile["Profiles"], json!([]));
    assert_eq!(profile["Meta"], json!({}));
    assert_eq!(profile["Params"], json!({"pp": null}));
}

#[test]
fn values_of_the_wrong_type_are_refused_in_the_words_of_go() {
    let table = [
        (
            Kind::Profile,
            json!({"Params": 5}),
            "json: cannot unmarshal number into Go struct field Profile.Params of type map[string]interface {}",
        ),
        (
            Kind::Machine,
            json!({"Tasks": [1]}),
            "json: cannot unmarshal number into Go struct field Machine.Tasks of type string",
        ),
        (
            Kind::Machine,
            json!({"CurrentTask": 1.5}),
            "json: cannot unmarshal number 1.5 into Go struct field Machine.CurrentTask of type int",
        ),
        (
            Kind::BootEnv,
            json!({"OS": {"Name": true}}),
            "json: cannot unmarshal bool into Go struct field OsInfo.OS.Name of type string",
        ),
        (
            Kind::Subnet,
            json!({"ActiveLeaseTime": 4_294_967_297_i64}),
            "json: cannot unmarshal number 4294967297 into Go struct field Subnet.ActiveLeaseTime of type int32",
        ),
        (
            Kind::Reservation,
            json!({"Options": [{"Code": 300, "Value": "x"}]}),
            "json: cannot unmarshal number 300 into Go struct field DhcpOption.Options.Code of type uint8",
        ),
        (Kind::Machine, json!({"Uuid": "x"}), "Uuid: invalid UUID: x"),
        (Kind::Lease, json!({"Addr": "1.2.3"}), "Addr: invalid IP address: 1.2.3"),
        (Kind::Machine, json!([]), "json: cannot unmarshal array into Go value of type models.Machine"),
    ];
    for (kind, value, message) in table {
        assert_eq!(decode::object(kind, value), Err(message.to_owned()));
    }
}

/// What a version before this one took is not lost because numbers have a width now.
#[test]
fn stored_numbers_wider_than_their_field_are_cut() {
    let subnet = json!({"Name": "s", "ActiveLeaseTime": 4_294_967_295_i64, "ReservedLeaseTime": -4_294_967_295_i64,
        "Options": [{"Code": 300, "Value": "x"}]});
    let layer = json!({"meta": {"Name": "p"}, "sections": {"subnets": {"s": subnet}}});
    assert!(Layer::from_value(layer.clone()).is_err());
    let of_pack = Layer::stored(layer).unwrap().get(Kind::Subnet, "s").unwrap().value();
    let of_store = Record::from_json(Kind::Subnet, subnet.to_string().as_bytes(), 1).unwrap().value();
    for read in [of_pack, of_store] {
        assert_eq!(read["ActiveLeaseTime"], i32::MAX);
        assert_eq!(read["ReservedLeaseTime"], i32::MIN);
        assert_eq!(read["Options"][0]["Code"], 255);
    }
    let wrong = Record::from_value(Kind::Subnet, json!({"Name": "s", "ActiveLeaseTime": "long"}), 1);
    assert!(wrong.is_err_and(|why| why.contains("Subnet.ActiveLeaseTime of type int")));
}

#[test]
fn hidden_fields_are_kept_but_not_shown() {
    let mut tx = draft();
    let shown = tx.get(Kind::User, "rocketskates").unwrap();
    assert_eq!(shown.wire_value().get("PasswordHash"), None);
    assert_eq!(shown.value()["PasswordHash"], "aGFzaA==");
    let patch =
        gantry_model::patch::Patch::parse(json!([{"op": "replace", "path": "/Description", "value": "x"}]))
            .unwrap();
    let after = tx.patch(Kind::User, "rocketskates", &patch).unwrap();
    assert_eq!(after.value()["PasswordHash"], "aGFzaA==");
}

#[test]
fn instants_uuids_and_addresses_keep_their_unset_forms() {
    let mut tx = draft();
    let machine = create(&mut tx, Kind::Machine, json!({"Name": "mm"}));
    let job = create(
        &mut tx,
        Kind::Job,
        json!({"Machine": machine["Uuid"], "State": "created", "Previous": "00000000-0000-0000-0000-000000000000", "StartTime": "2024-05-01T12:00:00.5+02:00"}),
    );
    assert_eq!(job["StartTime"], "2024-05-01T10:00:00.5Z");
    assert_eq!(job["EndTime"], "0001-01-01T00:00:00Z");
    assert_eq!(job["Previous"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(job.get("ExtraClaims"), None);
    assert_eq!(machine["CurrentJob"], "");
}

#[test]
fn an_object_to_be_has_the_key_that_it_will_be_stored_under() {
    let id = "3E7031FE-3062-45F1-835C-92541BC9CBD3";
    let table = [
        (Kind::Profile, json!({"name": "p1"}), "p1"),
        (Kind::Profile, json!({"name": "p1", "Name": "p2"}), "p2"),
        (Kind::Machine, json!({"Uuid": id, "Name": "m"}), "3e7031fe-3062-45f1-835c-92541bc9cbd3"),
        (Kind::Reservation, json!({"Addr": "192.168.100.1"}), "C0A86401"),
        (Kind::Machine, json!({"Name": "m"}), ""),
        (Kind::Profile, json!([]), ""),
        (Kind::Profile, json!({"Name": 1}), ""),
    ];
    for (kind, value, key) in table {
        assert_eq!(decode::key(kind, &value), key, "{value}");
    }
}
