//! Digital Rebar's own command line against the server.
//!
//! `DRPCLI` names the program, built from Digital Rebar's sources by whoever runs these tests; without it they are ignored. What it
//! changes is looked at through our command line too, so that both sides agree on the wire.

mod foreign;
mod keys;
mod pools;

use std::path::Path;

use serde_json::{Value, json};

use self::foreign::{Drpcli, names};

/// Creates, lists, changes in both ways and destroys one object; `change` is a text field.
fn live_and_die(drpcli: &Drpcli, kind: &str, id: &str, create: &Value, change: &str) {
    let made = drpcli.json(&[kind, "create", &create.to_string()]);
    assert_eq!(drpcli.json(&[kind, "show", id]), made, "{kind}");
    assert_eq!(drpcli.ours(&[kind, "show", id])[change], made[change], "{kind}");
    assert!(drpcli.json(&[kind, "list"]).as_array().unwrap().iter().any(|each| each[change] == made[change]));
    let updated = drpcli.json(&[kind, "update", id, &json!({ change: "updated" }).to_string()]);
    assert_eq!(updated[change], "updated", "{kind}");
    let patch = json!([
        { "op": "test", "path": format!("/{change}"), "value": "updated" },
        { "op": "replace", "path": format!("/{change}"), "value": "patched" },
    ]);
    drpcli.tell(&[kind, "patch", id, &patch.to_string()]);
    assert_eq!(drpcli.ours(&[kind, "show", id])[change], "patched", "{kind}");
    let again = drpcli.refused(&[kind, "patch", id, &patch.to_string()]);
    assert!(again.contains("Test op failed"), "{kind}: {again}");
    drpcli.tell(&[kind, "exists", id]);
    assert!(drpcli.tell(&[kind, "destroy", id]).starts_with("Deleted "), "{kind}");
    assert!(drpcli.refused(&[kind, "show", id]).contains("Not Found"), "{kind}");
    assert!(drpcli.server.ask(&[kind, "show", id]).err.contains("Not Found"), "{kind}");
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_objects_live_and_die() {
    let drpcli = Drpcli::start();
    let subnet = json!({
        "Name": "s1", "Subnet": "192.0.2.0/24", "ActiveStart": "192.0.2.10", "ActiveEnd": "192.0.2.20", "Description": "d",
    });
    let reservation =
        json!({ "Addr": "192.0.2.99", "Token": "52:54:00:00:00:01", "Strategy": "MAC", "Description": "d" });
    let param = json!({ "Name": "net/dns", "Schema": { "type": "string" }, "Description": "d" });
    let named = |name: &str| json!({ "Name": name, "Description": "d" });
    let mut objects = vec![
        ("machines", "Name:m1", named("m1")),
        ("profiles", "p1", named("p1")),
        ("subnets", "s1", subnet),
        ("reservations", "192.0.2.99", reservation),
        ("params", "net/dns", param),
        ("templates", "t1", json!({ "ID": "t1", "Contents": "hello", "Description": "d" })),
        ("pools", "p1", json!({ "Id": "p1", "Description": "d" })),
        ("contexts", "c1", json!({ "Name": "c1", "Engine": "e1", "Image": "i1", "Description": "d" })),
        ("endpoints", "e1", json!({ "Id": "e1", "Description": "d" })),
        ("version_sets", "v1", json!({ "Id": "v1", "Description": "d" })),
    ];
    for kind in ["bootenvs", "stages", "tasks", "workflows", "roles", "tenants", "users"] {
        objects.push((kind, "x1", named("x1")));
    }
    for (kind, id, create) in &objects {
        live_and_die(&drpcli, kind, id, create, "Description");
    }
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_lists_counts_and_indexes_every_kind() {
    let drpcli = Drpcli::start();
    let kinds = [
        "bootenvs",
        "catalog_items",
        "contexts",
        "endpoints",
        "interfaces",
        "jobs",
        "leases",
        "machines",
        "params",
        "plugin_providers",
        "plugins",
        "pools",
        "profiles",
        "reservations",
        "roles",
        "stages",
        "subnets",
        "tasks",
        "templates",
        "tenants",
        "users",
        "version_sets",
        "workflows",
    ];
    for kind in kinds {
        let list = drpcli.json(&[kind, "list"]);
        let count = drpcli.tell(&[kind, "count"]);
        assert_eq!(list.as_array().unwrap().len().to_string(), count.trim(), "{kind}");
    }
    assert_eq!(drpcli.json(&["machines", "indexes"])["Name"]["Unique"], true);
    let objects = drpcli.json(&["objects", "list"]);
    assert!(objects.as_array().unwrap().contains(&json!("machines")), "{objects}");
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_filters_sorts_and_pages() {
    let drpcli = Drpcli::start();
    drpcli.tell(&["params", "create", r#"{"Name":"rack/unit","Schema":{"type":"integer"}}"#]);
    for (name, unit) in [("alpha", "3"), ("beta", "12"), ("gamma", "7")] {
        drpcli.tell(&["machines", "create", name]);
        drpcli.tell(&["machines", "set", &format!("Name:{name}"), "param", "rack/unit", "to", unit]);
    }
    let check = |filters: &[&str], want: &[&str]| {
        let found = drpcli.json(&[&["machines", "list"], filters].concat());
        assert_eq!(names(&found, "Name"), want, "{filters:?}");
    };
    check(&["Name=beta"], &["beta"]);
    check(&["Name", "Re", "^.*mma$"], &["gamma"]);
    check(&["rack/unit=Gt(3)", "sort=Name"], &["beta", "gamma"]);
    check(&["sort=Name", "reverse=true"], &["gamma", "beta", "alpha"]);
    check(&["sort=Name", "--limit", "1", "--offset", "1"], &["beta"]);
    assert_eq!(drpcli.tell(&["machines", "count", "Name=In(alpha,beta)"]).trim(), "2");
    let slim = drpcli.json(&["machines", "list", "Name=beta", "--slim", "Params"]);
    assert_eq!((&slim[0]["Params"], &slim[0]["Partial"]), (&json!({}), &json!(true)));
    assert!(drpcli.refused(&["machines", "list", "Bogus=1"]).contains("Filter not found: Bogus"));
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_parameters_and_meta() {
    let drpcli = Drpcli::start();
    drpcli.tell(&["machines", "create", "m1"]);
    let id = "Name:m1";
    drpcli.tell(&["machines", "set", id, "param", "site/name", "to", r#"{"a":[1,"x"]}"#]);
    assert_eq!(drpcli.ours(&["machines", "get", id, "param", "site/name"]), json!({ "a": [1, "x"] }));
    assert!(
        drpcli.refused(&["machines", "add", id, "param", "site/name", "to", "1"]).contains("already present")
    );
    drpcli.tell(&["machines", "add", id, "param", "site/other", "to", "5"]);
    drpcli.tell(&["machines", "remove", id, "param", "site/name"]);
    assert_eq!(drpcli.json(&["machines", "params", id]), json!({ "site/other": 5 }));
    drpcli.tell(&["machines", "params", id, r#"{"all/new":true}"#]);
    assert_eq!(drpcli.ours(&["machines", "params", id]), json!({ "all/new": true }));
    assert!(drpcli.refused(&["machines", "remove", id, "param", "no/such"]).contains("Not Found"));

    drpcli.tell(&["profiles", "set", "global", "param", "far/away", "to", "8"]);
    assert_eq!(drpcli.json(&["machines", "get", id, "param", "far/away"]), Value::Null);
    assert_eq!(drpcli.json(&["machines", "get", id, "param", "far/away", "--aggregate"]), json!(8));

    drpcli.tell(&["machines", "meta", "set", id, "key", "color", "to", "green"]);
    assert_eq!(drpcli.json(&["machines", "meta", "get", id, "color"]), json!("green"));
    assert_eq!(drpcli.ours(&["machines", "meta", id])["color"], "green");
}

/// The client seals the value itself with the key that the server gives it.
#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_seals_and_opens_secure_parameters() {
    let drpcli = Drpcli::start();
    drpcli.tell(&["machines", "create", "m1"]);
    drpcli.tell(&["params", "create", r#"{"Name":"root/word","Secure":true,"Schema":{"type":"string"}}"#]);
    drpcli.tell(&["machines", "set", "Name:m1", "param", "root/word", "to", "hush"]);
    let sealed = drpcli.json(&["machines", "get", "Name:m1", "param", "root/word"]);
    assert!(sealed["Payload"].is_string() && !sealed.to_string().contains("hush"), "{sealed}");
    assert_eq!(drpcli.json(&["machines", "get", "Name:m1", "param", "root/word", "--decode"]), json!("hush"));
    assert_eq!(drpcli.ours(&["machines", "get", "Name:m1", "param", "root/word", "--decode"]), json!("hush"));
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_waits_until_the_field_changes() {
    let drpcli = Drpcli::start();
    drpcli.tell(&["machines", "create", "m1"]);
    let mut waiting = drpcli.spawn(&["machines", "wait", "Name:m1", "Description", "done", "60"]);
    drpcli.ours(&["machines", "update", "Name:m1", "Description: not yet"]);
    assert!(waiting.child.try_wait().unwrap().is_none(), "it returned before the field changed");
    drpcli.ours(&["machines", "update", "Name:m1", "Description: done"]);
    assert_eq!(waiting.end().trim(), "complete");
    let timeout = drpcli.tell(&["machines", "wait", "Name:m1", "Description", "never", "1"]);
    assert_eq!(timeout.trim(), "timeout");
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_watches_events() {
    let drpcli = Drpcli::start();
    let mut watch = drpcli.spawn(&["events", "watch"]);
    watch.until(|event| event["Type"] == "websocket" && event["Action"] == "register");
    let made = drpcli.ours(&["machines", "create", "m1"]);
    let is = |event: &Value, kind: &str, action: &str| event["Type"] == kind && event["Action"] == action;
    let event = watch.until(|event| is(event, "machines", "create"));
    assert_eq!((&event["Key"], &event["Object"]["Name"]), (&made["Uuid"], &json!("m1")));
    assert_eq!(event["Principal"], "user:rocketskates");
    drpcli.tell(&["machines", "update", "Name:m1", r#"{"Description":"after"}"#]);
    let event = watch.until(|event| is(event, "machines", "update"));
    assert_eq!(
        (&event["Original"]["Description"], &event["Object"]["Description"]),
        (&json!(""), &json!("after"))
    );
    drpcli.tell(&["events", "post", r#"{"Type":"cow","Action":"moo","Key":"bessie"}"#]);
    assert_eq!(watch.until(|event| is(event, "cow", "moo"))["Key"], "bessie");
    drpcli.tell(&["machines", "destroy", "Name:m1"]);
    watch.until(|event| is(event, "machines", "delete"));
}

/// Its own agent runs a workflow of ours to its end, and the log of the task comes back.
#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_agent_runs_a_workflow() {
    let drpcli = Drpcli::start();
    let task = json!({ "Name": "greet", "Templates": [
        { "Name": "greet", "Contents": "#!/usr/bin/env bash\necho hello {{.Machine.Name}}\n" },
    ]});
    drpcli.tell(&["tasks", "create", &task.to_string()]);
    drpcli.tell(&["stages", "create", r#"{"Name":"greeting","Tasks":["greet"]}"#]);
    drpcli.tell(&["workflows", "create", r#"{"Name":"meet","Stages":["greeting"]}"#]);
    drpcli.tell(&["machines", "create", "m1"]);
    let machine = drpcli.json(&["machines", "workflow", "Name:m1", "meet"]);
    assert_eq!(machine["Tasks"], json!(["stage:greeting", "greet"]));
    let state = drpcli.home.path().join("agent");
    std::fs::create_dir(&state).unwrap();
    let uuid = machine["Uuid"].as_str().unwrap();
    drpcli.tell(&[
        "machines",
        "processjobs",
        uuid,
        "--oneshot",
        "--skip-power",
        "--state-dir",
        state.to_str().unwrap(),
    ]);
    let machine = drpcli.ours(&["machines", "show", uuid]);
    assert_eq!((&machine["WorkflowComplete"], &machine["Stage"]), (&json!(true), &json!("greeting")));
    let jobs = drpcli.json(&["machines", "inspect", "jobs", uuid]);
    assert_eq!((&jobs[0]["Task"], &jobs[0]["State"]), (&json!("greet"), &json!("finished")), "{jobs}");
    let log = drpcli.tell(&["machines", "currentlog", uuid]);
    assert!(log.contains("hello m1"), "{log}");
    assert_eq!(drpcli.json(&["jobs", "purge", "--jobs-to-keep", "1", "--dry-run"]), json!([]));
    drpcli.tell(&["machines", "deletejobs", uuid]);
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_content_packs() {
    let drpcli = Drpcli::start();
    let pack = |version: &str, value: &str| {
        format!(
            "meta:\n  Name: lab\n  Version: {version}\nsections:\n  profiles:\n    prof:\n      Name: prof\n      Params: {{ site/a: {value} }}\n"
        )
    };
    let first = drpcli.file("first.yaml", &pack("v1.0.0", "one"));
    let second = drpcli.file("second.yaml", &pack("v1.0.1", "two"));
    drpcli.tell(&["contents", "create", &first]);
    let profile = drpcli.ours(&["profiles", "show", "prof"]);
    assert_eq!((&profile["Bundle"], &profile["ReadOnly"]), (&json!("lab"), &json!(true)));
    assert!(drpcli.refused(&["profiles", "destroy", "prof"]).contains("readonly"));
    drpcli.tell(&["contents", "update", "lab", &second]);
    assert_eq!(drpcli.ours(&["profiles", "get", "prof", "param", "site/a"]), json!("two"));
    assert_eq!(drpcli.json(&["contents", "show", "lab"])["meta"]["Version"], "v1.0.1");
    drpcli.tell(&["contents", "upload", &first]);
    assert_eq!(drpcli.ours(&["profiles", "get", "prof", "param", "site/a"]), json!("one"));
    drpcli.tell(&["contents", "exists", "lab"]);
    let clash = drpcli.file("clash.yaml", &pack("v1.0.0", "three").replace("Name: lab", "Name: other"));
    drpcli.refused(&["contents", "create", &clash]);
    assert_eq!(drpcli.ask(&["contents", "exists", "other"]).status, 1);
    drpcli.tell(&["contents", "destroy", "lab"]);
    assert!(drpcli.refused(&["profiles", "show", "prof"]).contains("Not Found"));
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_files_and_isos() {
    let drpcli = Drpcli::start();
    let source = drpcli.file("source", "payload");
    for (kind, name) in [("files", "dir/x"), ("isos", "x.iso")] {
        assert_eq!(drpcli.json(&[kind, "upload", &source, "as", name])["Size"], 7);
        let sum = drpcli.tell(&[kind, "exists", name]);
        assert!(sum.contains("239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e5"), "{sum}");
        assert_eq!(drpcli.tell(&[kind, "download", name]), "payload");
        let target = drpcli.home.path().join("target");
        drpcli.tell(&[kind, "download", name, "to", target.to_str().unwrap()]);
        assert_eq!(std::fs::read(&target).unwrap(), b"payload");
        let list =
            if kind == "files" { drpcli.json(&[kind, "list", "dir"]) } else { drpcli.json(&[kind, "list"]) };
        assert_eq!(list, json!([Path::new(name).file_name().unwrap().to_str().unwrap()]));
        drpcli.tell(&[kind, "destroy", name]);
        drpcli.refused(&[kind, "download", name]);
    }
    let template = drpcli.file("template", "Hello {{.Machine.Name}}");
    drpcli.tell(&["templates", "upload", &template, "as", "greeting"]);
    assert_eq!(drpcli.ours(&["templates", "show", "greeting"])["Contents"], "Hello {{.Machine.Name}}");
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_users_roles_and_tokens() {
    let drpcli = Drpcli::start();
    drpcli.tell(&["machines", "create", "m1"]);
    drpcli.tell(&[
        "roles",
        "create",
        r#"{"Name":"looker","Claims":[{"Scope":"machines","Action":"list,get","Specific":"*"}]}"#,
    ]);
    drpcli.tell(&["users", "create", r#"{"Name":"bob","Roles":["looker"]}"#]);
    drpcli.tell(&["users", "password", "bob", "secret99"]);
    let as_bob = ["-x", "-U", "bob", "-P", "secret99"];
    assert_eq!(names(&drpcli.json(&[&as_bob[..], &["machines", "list"]].concat()), "Name"), ["m1"]);
    assert_eq!(drpcli.json(&[&as_bob[..], &["profiles", "list"]].concat()), json!([]));
    let denied = drpcli.refused(&[&as_bob[..], &["machines", "destroy", "Name:m1"]].concat());
    assert!(denied.contains("Requires: machines delete Name:m1"), "{denied}");
    assert!(
        drpcli.refused(&["-x", "-U", "bob", "-P", "wrong", "machines", "list"]).contains("Access Denied")
    );
    let token = drpcli.json(&["users", "token", "bob", "ttl", "60"]);
    let with_token = ["-T", token["Token"].as_str().unwrap(), "machines", "list"];
    assert_eq!(names(&drpcli.json(&with_token), "Name"), ["m1"]);
    drpcli.tell(&["users", "password", "bob", "another9"]);
    drpcli.refused(&with_token);
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_subnets_have_words_of_their_own() {
    let drpcli = Drpcli::start();
    let subnet = json!({ "Name": "s1", "Subnet": "192.0.2.0/24", "ActiveStart": "192.0.2.10", "ActiveEnd": "192.0.2.20" });
    drpcli.tell(&["subnets", "create", &subnet.to_string()]);
    drpcli.tell(&["subnets", "range", "s1", "192.0.2.30", "192.0.2.60"]);
    drpcli.tell(&["subnets", "leasetimes", "s1", "120", "7300"]);
    drpcli.tell(&["subnets", "nextserver", "s1", "192.0.2.1"]);
    drpcli.tell(&["subnets", "pickers", "s1", "none,nextFree"]);
    drpcli.tell(&["subnets", "set", "s1", "option", "6", "to", "192.0.2.53"]);
    assert!(drpcli.tell(&["subnets", "get", "s1", "option", "6"]).contains("192.0.2.53"));
    let shown = drpcli.ours(&["subnets", "show", "s1"]);
    let field = |name: &str| shown[name].clone();
    assert_eq!((field("ActiveStart"), field("ActiveEnd")), (json!("192.0.2.30"), json!("192.0.2.60")));
    assert_eq!((field("ActiveLeaseTime"), field("ReservedLeaseTime")), (json!(120), json!(7300)));
    assert_eq!((field("NextServer"), field("Pickers")), (json!("192.0.2.1"), json!(["none", "nextFree"])));
}

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_the_server_itself() {
    let drpcli = Drpcli::start();
    assert_eq!(drpcli.json(&["info", "get"])["version"], "v4.8.0");
    assert_eq!(drpcli.json(&["info", "status"])["API"]["Alive"], true);
    assert_eq!(drpcli.json(&["prefs", "set", "debugDhcp", "info"])["debugDhcp"], "info");
    assert_eq!(drpcli.ours(&["prefs", "list"])["debugDhcp"], "info");
    assert!(drpcli.refused(&["prefs", "set", "bogus", "1"]).contains("Unknown Preference bogus"));
    assert_eq!(drpcli.json(&["system", "actions"]), json!([]));
    assert!(drpcli.refused(&["system", "action", "x"]).contains("GET: profiles/global: x: Not Found"));
    assert!(
        drpcli
            .refused(&["system", "runaction", "x"])
            .contains("INVOKE: system/global: Action x on system: Not Found")
    );
    let mut watch = drpcli.spawn(&["events", "watch"]);
    watch.until(|event| event["Type"] == "websocket");
    drpcli.refused(&["-x", "-P", "wrong", "info", "get"]);
    let line = watch.until(|event| event["Type"] == "log");
    assert_eq!((&line["Action"], &line["Key"]), (&json!("warn"), &json!("frontend")));
    let lines = drpcli.json(&["logs", "get"]);
    assert!(lines.as_array().unwrap().contains(&line["Object"]), "{lines}");
}
