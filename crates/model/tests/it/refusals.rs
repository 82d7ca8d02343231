//! Every rule of API §10 that refuses an object, with its text: one row each.

use gantry_model::patch::Patch;
use gantry_model::{Bytes, How, Kind, Tx, User};
use serde_json::{Value, json};

use crate::support::{create, draft, id, messages};

/// A house with one of everything to clash with.
fn furnished() -> Tx {
    let mut tx = draft();
    create(&mut tx, Kind::Task, json!({"Name": "task1"}));
    create(&mut tx, Kind::Profile, json!({"Name": "jill"}));
    create(&mut tx, Kind::Param, json!({"Name": "count", "Schema": {"type": "integer"}}));
    create(&mut tx, Kind::Param, json!({"Name": "secret", "Secure": true, "Schema": {"type": "string"}}));
    create(&mut tx, Kind::Stage, json!({"Name": "needy", "RequiredParams": ["must"]}));
    create(&mut tx, Kind::Stage, json!({"Name": "waiting", "BootEnv": "missing"}));
    create(&mut tx, Kind::Workflow, json!({"Name": "broken", "Stages": ["missing"]}));
    create(&mut tx, Kind::Workflow, json!({"Name": "good", "Stages": ["none"]}));
    create(&mut tx, Kind::BootEnv, json!({"Name": "dead", "Kernel": "vmlinuz", "OS": {"Name": "dead"}}));
    create(
        &mut tx,
        Kind::Machine,
        json!({"Name": "bob", "Uuid": id(1), "Address": "10.0.0.1", "Tasks": ["task1"], "Profiles": ["jill"]}),
    );
    create(&mut tx, Kind::Subnet, subnet("aa", "192.168.124.0/24"));
    create(
        &mut tx,
        Kind::Reservation,
        json!({"Addr": "192.168.124.5", "Token": "foo", "Strategy": "MAC", "Scoped": true}),
    );
    create(&mut tx, Kind::Reservation, json!({"Addr": "192.168.123.30", "Token": "baz", "Strategy": "MAC"}));
    tx
}

fn subnet(name: &str, cidr: &str) -> Value {
    let prefix = cidr.rsplit_once('.').unwrap().0;
    json!({"Name": name, "Subnet": cidr, "ActiveStart": format!("{prefix}.10"), "ActiveEnd": format!("{prefix}.20")})
}

/// The reference's sentences; the hints that follow them are the business of `check::names`.
fn refuses(kind: Kind, value: Value, expected: &[&str]) {
    let without_hints = |error| {
        let mut messages = messages(error);
        messages.retain(|message| !message.contains(" is refused because a name begins with "));
        messages
    };
    let got =
        furnished().create(kind, value.clone()).map(|record| record.wire_value()).map_err(without_hints);
    assert_eq!(got, Err(expected.iter().map(ToString::to_string).collect()), "{value}");
}

#[test]
fn names() {
    refuses(Kind::BootEnv, json!({"Name": "1x"}), &["1x: Invalid Name `1x`"]);
    refuses(Kind::Machine, json!({"Uuid": id(9)}), &[&format!("{}: Invalid Name ``", id(9))]);
    refuses(Kind::Template, json!({"ID": "a/b"}), &["a/b: Invalid ID `a/b`"]);
    refuses(Kind::Param, json!({"Name": "a:b"}), &["a:b: Invalid Name `a:b`"]);
    refuses(Kind::Plugin, json!({"Name": "plug"}), &["plug: Invalid Provider ``"]);
    refuses(
        Kind::Stage,
        json!({"Name": "st", "Tasks": ["frob:x", "action:x"]}),
        &["st: Invalid Task: frob:x", "st: Invalid action specifier action:x"],
    );
    refuses(
        Kind::Profile,
        json!({"Name": "pp", "Params": {"a:b": 1}, "Profiles": ["9"]}),
        &["pp: Invalid Param Name `a:b`", "pp: Invalid Profile Name `9`"],
    );
    refuses(Kind::Profile, json!({}), &["profiles: Empty key not allowed"]);
    refuses(Kind::Profile, json!({"Name": "jill"}), &["profiles/jill: already exists"]);
    refuses(Kind::BootEnv, json!({"Name": "local"}), &["bootenvs/local: already exists"]);
}

#[test]
fn template_lists() {
    let templates = json!([{}, {"Name": "a", "Path": "p", "ID": "none", "Contents": "x"}, {"Name": "a", "Path": "p", "Contents": "x"}]);
    refuses(
        Kind::Stage,
        json!({"Name": "st", "Templates": templates}),
        &[
            "st: Template[0] is missing a Name",
            "st: Template[0] is missing a Path",
            "st: Template[0] must have either an ID, a Link, or Contents set",
            "st: Template[1] has both an ID and Contents",
            "st: Template 1 and 2 have the same name a",
            "Templates[1]: No common template for none",
        ],
    );
    let os = |os: Value| json!({"Name": "x", "Contents": "x", "Meta": {"OS": os}});
    refuses(
        Kind::Task,
        json!({"Name": "tt", "Templates": [os("linux".into()), {"Name": "y", "Contents": "y"}]}),
        &[
            "tt: Cannot mix templates with OS metadata and templates without OS metadata",
            "tt: Template[0] x has OS metadata linux",
            "tt: Template[1] y is missing OS metadata",
        ],
    );
    refuses(
        Kind::Task,
        json!({"Name": "tt", "Templates": [os("linux,beos".into())]}),
        &[
            "tt: Template[0]: Invalid OS value beos",
            "tt: Valid values are: any,darwin,esxi,freebsd,linux,netbsd,openbsd,solaris,windows",
        ],
    );
}

#[test]
fn boot_environments() {
    refuses(
        Kind::BootEnv,
        json!({"Name": "env", "Loaders": {"amiga": "x"}, "OS": {"Name": "o", "SupportedArchitectures": {"vax": {}, "aarch64": {}}}}),
        &[
            "env: amiga is not a supported loader type",
            "env: Arch aarch64 is missing a kernel!",
            "env: vax is not a supported architecture",
        ],
    );
}

#[test]
fn machines() {
    let machine = |mut value: Value| {
        value["Uuid"] = id(2).into();
        value["Name"] = value.get("Name").cloned().unwrap_or_else(|| "new".into());
        value
    };
    let p = |text: &str| format!("{}: {text}", id(2));
    let rows: Vec<(Value, Vec<String>)> = vec![
        (json!({"Stage": "baz", "BootEnv": "bar"}), vec!["Stage baz does not exist".into(), "Bootenv bar does not exist".into()]),
        (json!({"Profiles": ["foo"]}), vec![p("Profile foo (at 0) does not exist")]),
        (json!({"Profiles": ["jill", "jill"]}), vec![p("Duplicate profile jill: at 0 and 1")]),
        (json!({"Tasks": ["foo"]}), vec![p("Task foo (at 0) does not exist")]),
        (json!({"Tasks": ["task1", "frob:x"]}), vec![p("frob:x (at 1) is malformed")]),
        (json!({"Tasks": ["stage:nope"]}), vec![p("Stage nope (at 0) does not exist")]),
        (json!({"BootEnv": "ignore"}), vec!["BootEnv ignore does not allow Machine assignments, it has the OnlyUnknown flag.".into()]),
        (json!({"BootEnv": "dead"}), vec!["BootEnv dead is not available".into()]),
        (json!({"Workflow": "nope"}), vec!["Workflow nope does not exist".into()]),
        (json!({"Workflow": "broken"}), vec![format!("Machine {} wants Workflow broken, which is not available", id(2))]),
        (json!({"Name": "bob"}), vec![format!("machines:{} violates unique index Name", id(2))]),
        (json!({"Address": "10.0.0.1"}), vec![
            format!("Machine {} already has IP address 10.0.0.1", id(1)),
            format!("Machine {} already has Address 10.0.0.1, we cannot have it.", id(1)),
        ]),
        (json!({"Arch": "x86_64"}), vec![p("Please use amd64 for Arch instead of x86_64")]),
        (json!({"Arch": "vax"}), vec![p("Unsupported arch vax")]),
        (json!({"HardwareAddrs": ["zz"]}), vec![p("Invalid Hardware Address `zz`: address zz: invalid MAC address")]),
        (json!({"Stage": "needy"}), vec!["Missing required parameter must for stages needy".into()]),
        (json!({"Params": {"count": "x"}}), vec!["Key 'count': invalid val 'x': : (root): Invalid type. Expected: integer, given: string".into()]),
        (json!({"Params": {"secret": "x"}}), vec!["Key 'secret': invalid val: json: cannot unmarshal string into Go value of type models.SecureData".into()]),
    ];
    for (value, expected) in rows {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        refuses(Kind::Machine, machine(value), &expected);
    }
}

#[test]
fn a_forced_create_and_an_update_store_a_machine_with_missing_references() {
    let mut tx = furnished();
    tx.set_how(How { force: true, ..How::default() });
    let machine =
        create(&mut tx, Kind::Machine, json!({"Name": "forced", "Uuid": id(2), "Profiles": ["foo"]}));
    assert_eq!(machine["Available"], false);
    assert_eq!(machine["Errors"], json!([format!("{}: Profile foo (at 0) does not exist", id(2))]));
    tx.set_how(How::default());
    create(&mut tx, Kind::Profile, json!({"Name": "foo"}));
    assert_eq!(tx.get(Kind::Machine, "Name:forced").unwrap().wire_value()["Available"], true);
}

#[test]
fn params() {
    refuses(
        Kind::Param,
        json!({"Name": "pp", "Schema": {"type": "string", "default": true}}),
        &["pp: Error in default value: (root): Invalid type. Expected: string, given: boolean"],
    );
}

#[test]
fn tasks_and_their_prerequisites() {
    refuses(Kind::Task, json!({"Name": "t1", "Prerequisites": ["f1"]}), &["Task t1 missing prerequisite f1"]);
    refuses(Kind::Task, json!({"Name": "t1", "Prerequisites": ["t1"]}), &["Task t1 missing prerequisite t1"]);
    let mut tx = furnished();
    create(&mut tx, Kind::Task, json!({"Name": "t3"}));
    create(&mut tx, Kind::Task, json!({"Name": "t2", "Prerequisites": ["t3"]}));
    create(&mut tx, Kind::Task, json!({"Name": "t1", "Prerequisites": ["t2"]}));
    let own = tx.clone().put(Kind::Task, "t3", json!({"Name": "t3", "Prerequisites": ["t3"]})).unwrap_err();
    assert_eq!(messages(own), ["Task t3 depends on itself!", "t3: t3 (cycle at 0)"]);
    let long = tx.put(Kind::Task, "t3", json!({"Name": "t3", "Prerequisites": ["t1"]})).unwrap_err();
    assert_eq!(messages(long), ["Task t3 depends on itself!", "t3: t1: t2: t3 (cycle at 0)"]);
}

#[test]
fn profiles_that_contain_themselves() {
    let mut tx = furnished();
    create(&mut tx, Kind::Profile, json!({"Name": "outer", "Profiles": ["jill"]}));
    let error = tx.put(Kind::Profile, "jill", json!({"Name": "jill", "Profiles": ["outer"]})).unwrap_err();
    assert_eq!(messages(error), ["Profile jill contains itself: jill: outer: jill"]);
}

#[test]
fn subnets() {
    let with = |extra: Value| {
        let mut subnet = subnet("nn", "10.1.0.0/24");
        subnet.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        subnet
    };
    refuses(
        Kind::Subnet,
        with(json!({"Proxy": true, "Unmanaged": true})),
        &["nn: Unmanaged and Proxy cannot both be true"],
    );
    refuses(Kind::Subnet, with(json!({"Subnet": "x"})), &["nn: Invalid subnet x: invalid CIDR address: x"]);
    refuses(Kind::Subnet, with(json!({"ActiveStart": ""})), &["nn: ActiveStart: IP Address is nil"]);
    refuses(
        Kind::Subnet,
        with(json!({"ActiveStart": "10.2.0.1"})),
        &[
            "nn: ActiveStart 10.2.0.1 not in subnet range 10.1.0.0/24",
            "nn: ActiveStart 10.2.0.1 must be less than or equal to ActiveEnd 10.1.0.20",
        ],
    );
    refuses(
        Kind::Subnet,
        with(json!({"ActiveLeaseTime": 5, "ReservedLeaseTime": 6})),
        &[
            "nn: ActiveLeaseTime must be greater than or equal to 60 seconds, not 5",
            "nn: ReservedLeaseTime must be greater than or equal to 7200 seconds, not 6",
        ],
    );
    refuses(
        Kind::Subnet,
        with(json!({"Pickers": ["lucky"]})),
        &["nn: Picker lucky is not a valid lease picking strategy"],
    );
    refuses(Kind::Subnet, subnet("bb", "192.168.124.0/24"), &["subnets:bb violates unique index Subnet"]);
}

#[test]
fn reservations() {
    let reservation = |addr: &str, token: &str, scoped: bool| json!({"Addr": addr, "Token": token, "Strategy": "MAC", "Scoped": scoped});
    refuses(
        Kind::Reservation,
        reservation("192.168.100.101", "x", true),
        &["Address 192.168.100.101 is not in a defined Subnet, and Scoped is true."],
    );
    refuses(
        Kind::Reservation,
        reservation("192.168.124.0", "x", true),
        &["Address 192.168.124.0 is a network or broadcast address for subnet aa"],
    );
    refuses(
        Kind::Reservation,
        reservation("192.168.124.6", "foo", true),
        &["Reservation C0A87C05 in subnet aa already has Strategy MAC: Token foo"],
    );
    refuses(
        Kind::Reservation,
        reservation("192.168.124.6", "baz", true),
        &["Unscoped reservation C0A87B1E already has Strategy MAC: Token baz"],
    );
    refuses(
        Kind::Reservation,
        reservation("192.168.1.6", "baz", false),
        &["Reservation C0A87B1E already has Strategy MAC: Token baz"],
    );
    refuses(
        Kind::Reservation,
        json!({"Addr": "10.0.0.9"}),
        &["0A000009: Reservation Token cannot be empty!", "0A000009: Reservation Strategy cannot be empty!"],
    );
    refuses(Kind::Reservation, json!({"Token": "x"}), &["reservations: Empty key not allowed"]);
    refuses(Kind::Reservation, json!({"Addr": "10.0.0"}), &["Addr: invalid IP address: 10.0.0"]);
}

#[test]
fn roles_and_tenants() {
    refuses(
        Kind::Role,
        json!({"Name": "rr", "Claims": [{"scope": "bar", "action": "bar"}]}),
        &["rr: No such scope 'bar'", "rr: No such action 'bar'"],
    );
    refuses(
        Kind::Tenant,
        json!({"Name": "tt", "Members": {"frobs": []}}),
        &["tt: Invalid Member type frobs"],
    );
}

#[test]
fn jobs() {
    let job = |machine: String, state: &str| json!({"Machine": machine, "State": state, "Uuid": id(7)});
    refuses(Kind::Job, job(id(1), "fred"), &[&format!("{}: Invalid State `fred`", id(7))]);
    refuses(Kind::Job, job(id(5), "created"), &[&format!("Machine {} does not exist", id(5))]);
}

#[test]
fn deletes_of_what_is_used() {
    let mut tx = furnished();
    create(
        &mut tx,
        Kind::Stage,
        json!({"Name": "user", "BootEnv": "dead", "Tasks": ["task1"], "Profiles": ["jill"]}),
    );
    create(&mut tx, Kind::User, json!({"Name": "ann", "Roles": ["ops"]}));
    create(&mut tx, Kind::Role, json!({"Name": "ops"}));
    create(&mut tx, Kind::Template, json!({"ID": "common", "Contents": "x"}));
    create(&mut tx, Kind::Task, json!({"Name": "rendering", "Templates": [{"Name": "x", "ID": "common"}]}));
    let rows: Vec<(Kind, &str, Vec<String>)> = vec![
        (Kind::BootEnv, "dead", vec!["Bootenv dead in use by Stage user".into()]),
        (
            Kind::BootEnv,
            "local",
            vec![
                "BootEnv local is the active defaultBootEnv, cannot remove it".into(),
                "Bootenv local in use by Machine bob".into(),
                "Bootenv local in use by Stage local".into(),
            ],
        ),
        (
            Kind::Stage,
            "none",
            vec!["Stage none in use by Machine bob".into(), "Stage none in use by Workflow good".into()],
        ),
        (
            Kind::Task,
            "task1",
            vec!["stages:user still uses task1".into(), format!("machines:{} still uses task1", id(1))],
        ),
        (
            Kind::Profile,
            "jill",
            vec![
                format!("Machine {} is using profile jill", id(1)),
                "Stage user is using profile jill".into(),
            ],
        ),
        (Kind::Profile, "global", vec!["Profile global is the global profile, you cannot delete it".into()]),
        (Kind::Role, "ops", vec!["In use by User ann".into()]),
        (Kind::Template, "common", vec!["Templates[0]: No common template for common".into()]),
        (
            Kind::Subnet,
            "aa",
            vec!["Reservation 192.168.124.5 is scoped for Subnet aa, cannot delete.".into()],
        ),
        (Kind::Role, "superuser", vec!["In use by User rocketskates".into()]),
        (Kind::Stage, "local", vec!["readonly: local".into()]),
    ];
    for (kind, key, expected) in rows {
        let error = tx.delete(kind, key).unwrap_err();
        assert_eq!(messages(error), expected, "{kind}/{key}");
    }
}

#[test]
fn the_last_superuser_stays_one() {
    let mut tx = draft();
    let save = |tx: &mut Tx, name: &str, hash: &[u8]| {
        let roles = vec!["superuser".to_owned()];
        tx.save(&User {
            name: name.to_owned(),
            roles,
            password_hash: Bytes(hash.to_vec()),
            ..User::default()
        })
        .unwrap();
    };
    let demote = Patch::parse(json!([{"op": "replace", "path": "/Roles", "value": []}])).unwrap();
    save(&mut tx, "rocketskates", b"hash");
    save(&mut tx, "nobody", b"");
    let text = "User rocketskates is the last one of the store with a password and a role that allows everything (* * *): \
                nobody could log in to manage this server. Give another user both first";
    assert_eq!(messages(tx.delete(Kind::User, "rocketskates").unwrap_err()), [text]);
    assert_eq!(messages(tx.patch(Kind::User, "rocketskates", &demote).unwrap_err()), [text]);
    tx.delete(Kind::User, "nobody").unwrap();
    // With a second one either may go, and then the other stays.
    save(&mut tx, "ann", b"hash");
    tx.patch(Kind::User, "rocketskates", &demote).unwrap();
    assert!(tx.delete(Kind::User, "ann").is_err());
    tx.delete(Kind::User, "rocketskates").unwrap();
}

/// Whatever takes the last one's rights away is refused, not only a change of the user.
#[test]
fn a_role_that_allows_everything_counts_by_what_it_allows() {
    let mut tx = draft();
    let everything = json!([{"scope": "*", "action": "*", "specific": "a, *"}]);
    tx.create(Kind::Role, json!({"Name": "boss", "Claims": everything})).unwrap();
    let user = |name: &str, role: &str, hash: &[u8]| User {
        name: name.to_owned(),
        roles: vec![role.to_owned()],
        password_hash: Bytes(hash.to_vec()),
        ..User::default()
    };
    tx.save(&user("rocketskates", "superuser", b"hash")).unwrap();
    tx.save(&user("ann", "boss", b"hash")).unwrap();
    tx.delete(Kind::User, "rocketskates").unwrap();
    for claims in [json!([]), json!([{"scope": "machines", "action": "*", "specific": "*"}])] {
        let before = tx.view().clone();
        let weaker = Patch::parse(json!([{"op": "replace", "path": "/Claims", "value": claims}])).unwrap();
        let refused = messages(tx.patch(Kind::Role, "boss", &weaker).unwrap_err());
        assert!(refused[0].starts_with("User ann is the last one"), "{refused:?}");
        assert_eq!(tx.view().record(Kind::Role, "boss"), before.record(Kind::Role, "boss"));
    }
    // A pack's user is no help, for packs go.
    let pack = json!({"meta": {"Name": "people"}, "sections": {"users": {"joe": user("joe", "superuser", b"hash")}}});
    let (view, _) = tx.view().put_layer(gantry_model::Layer::from_value(pack).unwrap(), 9).unwrap();
    let mut tx = Tx::new(view, tx.now().clone());
    assert!(tx.delete(Kind::User, "ann").is_err());
    tx.purge(Kind::User, "ann");
    assert!(tx.view().record(Kind::User, "ann").is_some() && tx.edits().is_empty());
}

#[test]
fn no_pack_brings_the_role_superuser() {
    for overwritable in [false, true] {
        let meta = json!({"Name": "mine", "Overwritable": overwritable});
        let pack = json!({"meta": meta, "sections": {"roles": {"superuser": {"Name": "superuser"}}}});
        let layer = gantry_model::Layer::from_value(pack).unwrap();
        let told = messages(gantry_model::View::base().put_layer(layer, 1).unwrap_err());
        let want =
            "roles:superuser in layer dynamic-mine would change the built-in role of layer basic-BasicStore";
        assert!(told.len() == 1 && told[0].contains(want), "{told:?}");
    }
}

#[test]
fn a_replaced_user_keeps_the_password_that_nobody_was_shown() {
    let mut tx = draft();
    tx.save(&User { name: "ann".to_owned(), password_hash: Bytes(b"hash".to_vec()), ..User::default() })
        .unwrap();
    let shown = tx.get(Kind::User, "ann").unwrap().wire_value();
    assert!(shown.get("PasswordHash").is_none());
    let stored = tx.put(Kind::User, "ann", shown).unwrap();
    assert_eq!(stored.typed::<User>().password_hash.0, b"hash");
}

#[test]
fn a_subnet_that_gives_nobody_an_address_needs_no_time_for_it() {
    let mut tx = draft();
    let subnet =
        |field: &str| json!({"Name": "net1", "Subnet": "10.0.0.0/24", "ActiveLeaseTime": 30, field: true});
    for field in ["OnlyReservations", "Proxy"] {
        create(&mut tx, Kind::Subnet, subnet(field));
        tx.delete(Kind::Subnet, "net1").unwrap();
    }
    let mut giving = subnet("Enabled");
    giving["ActiveStart"] = "10.0.0.10".into();
    giving["ActiveEnd"] = "10.0.0.20".into();
    let refused = messages(tx.create(Kind::Subnet, giving).unwrap_err());
    assert_eq!(refused, ["net1: ActiveLeaseTime must be greater than or equal to 60 seconds, not 30"]);
}
