//! Content packs over the API: refused with all their faults, replaced under running machines, looked at before they come.

use gantry_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

#[expect(clippy::needless_pass_by_value, reason = "callers write the value in place")]
fn pack(name: &str, sections: Value) -> Value {
    json!({ "meta": { "Name": name }, "sections": sections })
}

async fn call(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, gantry_api::Error> {
    match client.call(method, path, &[], body).await {
        Ok(value) => Ok(value),
        Err(gantry_client::Error::Refused(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

async fn done(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Value {
    call(client, method, path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pack_is_refused_with_all_its_faults_and_changes_nothing() {
    let server = Server::start().await;
    let broken = pack(
        "broken",
        json!({
            "templates": { "ok.tmpl": { "ID": "ok.tmpl", "Contents": "x" }, "bad.tmpl": { "ID": "bad.tmpl", "Contents": "a\n{{ if }}" } },
            "tasks": { "tt": { "Name": "tt", "Templates": [{ "Name": "one", "Contents": "x" }, { "Name": "two", "Contents": "y\nz\n{{nope}}" }] } },
            "bootenvs": { "be": { "Name": "be", "OS": { "Name": "o" }, "BootParams": "{{" } },
        }),
    );
    let error = call(&server.client, Method::POST, "/contents", Some(&broken)).await.unwrap_err();
    assert_eq!((error.code, error.key.as_str()), (422, "broken"));
    let faults: Vec<String> = error
        .faults
        .iter()
        .map(|fault| format!("{}/{} {}:{}", fault.section, fault.key, fault.field, fault.line))
        .collect();
    assert_eq!(
        faults,
        ["templates/bad.tmpl Contents:2", "bootenvs/be BootParams:1", "tasks/tt Templates/1/Contents:3"]
    );
    assert_eq!(error.messages.len(), 3);
    assert_eq!(call(&server.client, Method::GET, "/contents/broken", None).await.unwrap_err().code, 404);
    assert_eq!(call(&server.client, Method::GET, "/templates/ok.tmpl", None).await.unwrap_err().code, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_every_sort_are_told_at_once() {
    let server = Server::start().await;
    let mut broken = pack(
        "broken",
        json!({
            "profiles": { "pp": { "Name": "pp", "Params": [], "Description": 1 } },
            "tasks": {
                "tt": { "Name": "tt", "Templates": [{ "Name": "x", "Contents": "x" }, { "Name": 2, "Contents": 3 }] },
                "uu": { "Name": "uu", "Templates": [{ "Name": "x", "Contents": "{{nope}}" }, { "Name": "y", "ID": "gone" }] },
            },
            "stages": { "none": { "Name": "none" }, "bad\\name": { "Name": "bad\\name" } },
        }),
    );
    broken["meta"]["Prerequisites"] = "absent: >=1.0".into();
    let error = call(&server.client, Method::POST, "/contents", Some(&broken)).await.unwrap_err();
    let mut faults: Vec<String> =
        error.faults.iter().map(|fault| format!("{}/{} {}", fault.section, fault.key, fault.field)).collect();
    faults.sort();
    assert_eq!(
        faults,
        [
            "meta/ ",
            "profiles/pp Description",
            "profiles/pp Params",
            "stages/bad\\name ",
            "tasks/tt Templates/1/Contents",
            "tasks/tt Templates/1/Name",
            "tasks/uu Templates/0/Contents",
            "tasks/uu Templates/1",
        ],
        "{:?}",
        error.messages
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_come_go_and_return_while_machines_use_them() {
    let server = Server::start().await;
    let client = &server.client;
    let version = |text: &str| {
        pack(
            "flow",
            json!({
                "tasks": { "tt": { "Name": "tt", "Templates": [{ "Name": "x.sh", "Contents": text }] } },
                "stages": { "ss": { "Name": "ss", "Tasks": ["tt"] } },
                "workflows": { "ww": { "Name": "ww", "Stages": ["ss"] } },
            }),
        )
    };
    done(client, Method::POST, "/contents", Some(&version("echo one"))).await;
    let machine =
        done(client, Method::POST, "/machines", Some(&json!({ "Name": "m1", "Workflow": "ww" }))).await;
    let uuid = machine["Uuid"].as_str().unwrap().to_owned();
    let path = format!("/machines/{uuid}");
    // A job is made of the first version, and runs the second.
    let job = loop {
        let job = done(client, Method::POST, "/jobs", Some(&json!({ "Machine": uuid }))).await;
        if job["Task"] == "tt" {
            break job;
        }
        let state = json!([{ "op": "replace", "path": "/State", "value": "finished" }]);
        done(client, Method::PATCH, &format!("/jobs/{}", job["Uuid"].as_str().unwrap()), Some(&state)).await;
    };
    done(client, Method::PUT, "/contents/flow", Some(&version("echo two"))).await;
    let actions =
        done(client, Method::GET, &format!("/jobs/{}/actions", job["Uuid"].as_str().unwrap()), None).await;
    assert_eq!(actions[0]["Content"], "echo two");
    assert_eq!(done(client, Method::GET, &path, None).await["Available"], true);
    // Gone: the machine says what it misses; back: it is well again.
    done(client, Method::DELETE, "/contents/flow", None).await;
    let machine = done(client, Method::GET, &path, None).await;
    assert_eq!(machine["Available"], false);
    assert!(machine["Errors"].to_string().contains("Stage ss does not exist"), "{}", machine["Errors"]);
    done(client, Method::POST, "/contents", Some(&version("echo one"))).await;
    assert_eq!(done(client, Method::GET, &path, None).await["Available"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn prerequisites_versions_and_features_are_checked_in_both_directions() {
    let server = Server::start().await;
    let client = &server.client;
    let with = |name: &str, version: &str, needs: &str, features: &str| json!({ "meta": { "Name": name, "Version": version, "Prerequisites": needs, "RequiredFeatures": features } });
    let refusal = async |method: Method, path: &str, body: Option<Value>| {
        call(client, method, path, body.as_ref()).await.unwrap_err().messages
    };
    let upper = || {
        with(
            "upper",
            "v1.0.0",
            "lower: >=2.0.0, BasicStore: >=4.6.0, rackn-license",
            "sprig, multiarch fsm-runner",
        )
    };
    assert_eq!(
        refusal(Method::POST, "/contents", Some(upper())).await,
        ["Layer upper has lower as a prerequisite, but lower does not exist!"]
    );
    done(client, Method::POST, "/contents", Some(&with("lower", "v1.9.0", "", ""))).await;
    assert_eq!(
        refusal(Method::POST, "/contents", Some(upper())).await,
        ["Layer upper prerequisite test on lower failed"]
    );
    done(client, Method::PUT, "/contents/lower", Some(&with("lower", "v2.1.0-beta", "", ""))).await;
    done(client, Method::POST, "/contents", Some(&upper())).await;
    assert_eq!(
        refusal(Method::PUT, "/contents/lower", Some(with("lower", "v1.0.0", "", ""))).await,
        ["Layer upper prerequisite test on lower failed"]
    );
    assert_eq!(
        refusal(Method::DELETE, "/contents/lower", None).await,
        ["Layer upper has lower as a prerequisite, but lower does not exist!"]
    );
    assert_eq!(
        refusal(Method::POST, "/contents", Some(with("odd", "1.2.foo", "", "teleport"))).await,
        [
            "Layer odd: invalid version 1.2.foo: Invalid character(s) found in patch number \"foo\"",
            "Content layer odd requires feature teleport, but dr-provision does not provide it",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_the_store_give_way_only_when_asked_to() {
    let server = Server::start().await;
    let client = &server.client;
    done(client, Method::POST, "/profiles", Some(&json!({ "Name": "own", "Description": "mine" }))).await;
    let taken = pack("taker", json!({ "profiles": { "own": { "Name": "own", "Description": "theirs" } } }));
    let error = call(client, Method::POST, "/contents", Some(&taken)).await.unwrap_err();
    assert_eq!(
        error.messages,
        ["profiles:own in layer dynamic-taker would override layer writable-BackingStore"]
    );
    let replace = [("replaceWritable", "true")];
    client.call(Method::POST, "/contents", &replace, Some(&taken)).await.unwrap();
    let profile = done(client, Method::GET, "/profiles/own", None).await;
    assert_eq!((&profile["Description"], &profile["ReadOnly"]), (&json!("theirs"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_packs_are_sealed_at_rest_and_plain_on_the_way() {
    let server = Server::start().await;
    let client = &server.client;
    let secret = pack(
        "vault",
        json!({
            "params": { "pw": { "Name": "pw", "Secure": true, "Schema": { "type": "string" } } },
            "profiles": { "pp": { "Name": "pp", "Params": { "pw": "open sesame", "plain": 1 } } },
        }),
    );
    done(client, Method::POST, "/contents", Some(&secret)).await;
    let shown = done(client, Method::GET, "/profiles/pp/params/pw", None).await;
    assert!(shown.get("Payload").is_some(), "{shown}");
    let opened =
        client.call(Method::GET, "/profiles/pp/params/pw", &[("decode", "true")], None).await.unwrap();
    assert_eq!(opened, "open sesame");
    let back = done(client, Method::GET, "/contents/vault", None).await;
    assert_eq!(back["sections"]["profiles"]["pp"]["Params"], json!({ "pw": "open sesame", "plain": 1 }));
    // And it can be put back as it was downloaded.
    done(client, Method::PUT, "/contents/vault", Some(&back)).await;
    let wrong = pack("wrong", json!({ "profiles": { "qq": { "Name": "qq", "Params": { "pw": 5 } } } }));
    let error = call(client, Method::POST, "/contents", Some(&wrong)).await.unwrap_err();
    assert_eq!(
        error.messages,
        ["Key 'pw': invalid val: (root): Invalid type. Expected: string, given: integer"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_sealed_when_their_parameter_becomes_secure() {
    let server = Server::start().await;
    let client = &server.client;
    let mut events = server.core().state.subscribe(None);
    done(client, Method::POST, "/params", Some(&json!({ "Name": "later", "Schema": { "type": "string" } })))
        .await;
    done(client, Method::POST, "/profiles", Some(&json!({ "Name": "holder", "Params": { "later": "x" } })))
        .await;
    let carried = pack(
        "carrier",
        json!({ "profiles": { "carried": { "Name": "carried", "Params": { "later": "y" } } } }),
    );
    done(client, Method::POST, "/contents", Some(&carried)).await;
    let secure = json!([{ "op": "replace", "path": "/Secure", "value": true }]);
    done(client, Method::PATCH, "/params/later", Some(&secure)).await;
    for (profile, value) in [("holder", "x"), ("carried", "y")] {
        let path = format!("/profiles/{profile}/params/later");
        while done(client, Method::GET, &path, None).await.get("Payload").is_none() {
            events.next().await.unwrap();
        }
        assert_eq!(client.call(Method::GET, &path, &[("decode", "true")], None).await.unwrap(), value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_looked_at_before_it_is_made() {
    let server = Server::start().await;
    let client = &server.client;
    let version = |text: &str| {
        pack(
            "site",
            json!({
                "stages": { "ss": { "Name": "ss", "Templates": [{ "Name": "motd", "Path": "{{.Machine.Path}}/motd", "Contents": text }] } },
            }),
        )
    };
    done(client, Method::POST, "/contents", Some(&version("welcome\nto {{.Param \"site\"}}\n"))).await;
    done(client, Method::POST, "/profiles", Some(&json!({ "Name": "north", "Params": { "site": "north" } })))
        .await;
    for name in ["m1", "m2", "m3"] {
        let profiles: &[&str] = if name == "m3" { &[] } else { &["north"] };
        let machine = json!({ "Name": name, "Stage": "ss", "Profiles": profiles });
        done(client, Method::POST, "/machines", Some(&machine)).await;
    }
    let check = async |body: &Value, more: &[(&str, &str)]| {
        let query = [&[("check", "true")], more].concat();
        client.call(Method::POST, "/contents", &query, Some(body)).await.unwrap()
    };
    let report = check(&version("welcome\nat {{.Param \"site\"}}\n"), &[]).await;
    // The third machine has no such parameter, before as after.
    assert_eq!(
        (&report["ChangedFiles"], &report["ChangedMachines"], &report["Failed"]),
        (&json!(2), &json!(2), &json!(1))
    );
    assert_eq!(report["Changes"][0]["Diff"], "  welcome\n- to north\n+ at north");
    assert_eq!(report["Changes"][0]["Machines"], 2);
    let finding = &report["Findings"][0];
    assert_eq!(
        (&finding["Object"], &finding["Template"], &finding["Line"]),
        (&json!("stages/ss"), &json!("motd"), &json!(2))
    );
    assert_eq!((&finding["Pack"], &finding["Param"]), (&json!("site"), &json!("site (not set)")));
    // A profile alone, as a pack of one object.
    let profile =
        pack("look", json!({ "profiles": { "north": { "Name": "north", "Params": { "site": "south" } } } }));
    let report = check(&profile, &[("replaceWritable", "true")]).await;
    assert_eq!(report["Changes"][0]["Diff"], "  welcome\n- to north\n+ to south");
    assert_eq!(done(client, Method::GET, "/profiles/north", None).await["Params"]["site"], "north");
    assert_eq!(call(client, Method::GET, "/contents/look", None).await.unwrap_err().code, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_shown_with_where_they_come_from() {
    let server = Server::start().await;
    let client = &server.client;
    done(client, Method::POST, "/params", Some(&json!({ "Name": "xx", "Schema": { "default": 0 } }))).await;
    done(client, Method::POST, "/profiles", Some(&json!({ "Name": "inner", "Params": { "xx": 2 } }))).await;
    done(client, Method::POST, "/profiles", Some(&json!({ "Name": "outer", "Profiles": ["inner"] }))).await;
    let machine = json!({ "Name": "m1", "Profiles": ["outer"], "Params": { "xx": 1 } });
    done(client, Method::POST, "/machines", Some(&machine)).await;
    let query = [("origin", "true"), ("params", "xx")];
    let found = client.call(Method::GET, "/machines/Name:m1/params", &query, None).await.unwrap();
    assert_eq!(
        found,
        json!({ "xx": [
            { "Origin": "machine", "Value": 1 },
            { "Origin": "profile outer > inner", "Value": 2 },
            { "Origin": "default of the parameter", "Value": 0 },
        ] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_without_its_kernel_is_not_available_until_the_file_comes() {
    let server = Server::start().await;
    let client = &server.client;
    let env = json!({
        "Name": "tiny", "OS": { "Name": "files" }, "Kernel": "vmlinuz", "Initrds": ["initrd"],
        "Templates": [{ "Name": "ipxe", "Path": "{{.Machine.Path}}/ipxe", "Contents": "x" }],
    });
    let made = done(client, Method::POST, "/bootenvs", Some(&env)).await;
    assert_eq!(
        made["Errors"],
        json!([
            "bootenv: tiny: missing kernel vmlinuz (/files/vmlinuz) for arch amd64",
            "bootenv: tiny: missing initrd initrd (/files/initrd) for arch amd64",
        ])
    );
    let machine = json!({ "Name": "m1", "BootEnv": "tiny" });
    let error = call(client, Method::POST, "/machines", Some(&machine)).await.unwrap_err();
    assert_eq!(error.messages, ["BootEnv tiny is not available"]);
    let mut events = server.core().bus.listen();
    let mut heard = async move |key: String| loop {
        let event = events.recv().await.unwrap();
        if event.action == "save" && event.key == key {
            return event.object["Available"].clone();
        }
    };
    for file in ["vmlinuz", "initrd"] {
        let upload = client.request(Method::POST, &format!("/files/{file}"), &[]);
        client.send(upload.header("content-type", "application/octet-stream").body("x")).await.unwrap();
    }
    assert_eq!(done(client, Method::GET, "/bootenvs/tiny", None).await["Available"], true);
    assert_eq!(heard("tiny".to_owned()).await, false, "the kernel alone is not enough");
    assert_eq!(heard("tiny".to_owned()).await, true);
    let made = done(client, Method::POST, "/machines", Some(&machine)).await;
    client.send(client.request(Method::DELETE, "/files/initrd", &[])).await.unwrap();
    assert_eq!(heard("tiny".to_owned()).await, false);
    assert_eq!(heard(made["Uuid"].as_str().unwrap().to_owned()).await, false);
    let machine = done(client, Method::GET, "/machines/Name:m1", None).await;
    assert_eq!(
        (&machine["Available"], &machine["Errors"]),
        (&json!(false), &json!(["BootEnv tiny is not available"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_pack_shadows_what_the_server_brings() {
    let server = Server::start().await;
    let client = &server.client;
    let ours = done(client, Method::GET, "/bootenvs/sledgehammer", None).await;
    assert_eq!((&ours["Bundle"], &ours["ReadOnly"]), (&json!("core"), &json!(true)));
    let theirs = pack(
        "theirs",
        json!({
            "bootenvs": { "sledgehammer": { "Name": "sledgehammer", "OS": { "Name": "other" } } },
            "templates": { "setup.tmpl": { "ID": "setup.tmpl", "Contents": "theirs" } },
        }),
    );
    done(client, Method::POST, "/contents", Some(&theirs)).await;
    assert_eq!(done(client, Method::GET, "/bootenvs/sledgehammer", None).await["Bundle"], "theirs");
    assert_eq!(done(client, Method::GET, "/templates/setup.tmpl", None).await["Contents"], "theirs");
    done(client, Method::DELETE, "/contents/theirs", None).await;
    assert_eq!(done(client, Method::GET, "/bootenvs/sledgehammer", None).await, ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_part_of_the_server_is_not_removed() {
    let server = Server::start().await;
    for name in ["BasicStore", "BackingStore"] {
        let refused = server.delete(&format!("/contents/{name}")).await;
        assert_eq!(refused.error(), format!("404 DELETE: contents/{name}: readonly: {name}"));
    }
    let missing = server.delete("/contents/nosuch").await;
    assert_eq!(missing.error(), "404 DELETE: contents/nosuch: No such content store");
    assert_eq!(server.get("/contents").await.json()[0]["meta"]["Version"], "0.0.0");
    let long = server.post("/contents", json!({ "meta": { "Name": "n".repeat(2_000) } })).await;
    assert_eq!(
        (long.status, long.text().contains("Name has 2000 bytes, at most 255")),
        (422, true),
        "{}",
        long.text()
    );
}

/// What no program reads any more keeps nobody from the server on which it can be mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pack_or_object_is_set_aside_named_and_can_be_replaced_or_removed() {
    use gantry_store::{Commit, Embedded, Key, Options, Store as _, Value as Bytes};
    let server = Server::start_with(&[]).await;
    assert_eq!(server.post("/profiles", json!({ "Name": "good" })).await.status, 201);
    let file = server.core().config.data_root.clone().unwrap().join("gantry.db");
    let folder = server.stop().await;
    let store = Embedded::open(&file, Options::default()).unwrap();
    let damage = [("profiles/bad", "1 {"), ("_packs/junk", "junk"), ("_packs/scrap", "scrap")];
    let changes =
        damage.map(|(key, value)| (Key::new(key).unwrap(), Some(Bytes::new(value.as_bytes()).unwrap())));
    let commit = Commit { changes: changes.into_iter().collect(), ..Commit::default() };
    store.submit(vec![commit]).await.unwrap();
    drop(store);

    let server = Server::start_in(folder, &[]).await;
    assert_eq!(server.get("/profiles/good").await.status, 200);
    let faults = || async { server.get("/info").await.json()["errors"].as_array().unwrap().len() };
    assert_eq!(faults().await, 3);
    let told = server.get("/info").await.json()["errors"].to_string();
    assert!(told.contains("profiles/bad cannot be read") && !told.contains("expected"), "{told}");
    let listed = server.get("/contents").await.json();
    let named = |name: &str| {
        let all = listed.as_array().unwrap().iter();
        let one = all.clone().find(|summary| summary["meta"]["Name"] == name).unwrap();
        one["Warnings"][0].as_str().unwrap().to_owned()
    };
    assert!(
        named("junk").starts_with("set aside, it cannot be read: content pack junk: "),
        "{}",
        named("junk")
    );
    assert!(named("BackingStore").contains("profiles/bad at revision "), "{}", named("BackingStore"));
    let log = server.get("/logs").await.text();
    assert!(log.contains("content pack scrap"), "{log}");

    assert_eq!(server.delete("/contents/junk").await.status, 204);
    let pack = json!({"meta": {"Name": "scrap"}, "sections": {"profiles": {"anew": {"Name": "anew"}}}});
    assert_eq!(server.put("/contents/scrap", pack).await.status, 200);
    assert_eq!(server.post("/profiles", json!({ "Name": "bad" })).await.status, 201);
    assert_eq!(faults().await, 0);
    assert_eq!(server.get("/profiles/anew").await.status, 200);
}

/// A name that is taken is said before anything else that may be wrong with the pack.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_whose_name_is_taken_is_a_conflict_whatever_is_in_it() {
    let server = Server::start().await;
    let pack = json!({"meta": {"Name": "taken"}, "sections": {}});
    assert_eq!(server.post("/contents", pack).await.status, 201);
    for (meta, name) in [
        (json!({ "Name": "taken" }), "taken"),
        (json!({ "name": " taken ", "Version": 5 }), "taken"),
        (json!({ "NAME": "BackingStore" }), "BackingStore"),
    ] {
        let faulty = json!({"meta": meta, "sections": {"profiles": {"x": {"Params": 5}}}});
        let error = server.post("/contents", faulty).await.error();
        assert_eq!(error, format!("409 POST: contents/{name}: Content {name} already exists"));
    }
    let again = json!({"meta": {"name": "taken"}, "sections": {}});
    assert_eq!(server.post("/contents", again).await.status, 409, "to create is not to replace");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_packs_of_one_name_that_come_at_the_same_moment_one_is_made() {
    let server = Server::start().await;
    let post = |number: usize| {
        let pack = json!({"meta": {"Name": "raced", "Version": format!("v0.0.{number}")}, "sections": {}});
        server.post("/contents", pack)
    };
    let answers = futures_util::future::join_all((0..16).map(post)).await;
    let made: Vec<usize> = (0..16).filter(|at| answers[*at].status == 201).collect();
    let refused = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((made.len(), refused), (1, 15));
    let version = server.get("/contents/raced").await.json()["meta"]["Version"].clone();
    assert_eq!(version, format!("v0.0.{}", made[0]), "and none of the others took its place");
    // Of those that replace a pack that goes meanwhile, each finds it or does not; none makes it again.
    let put = server.put("/contents/raced", json!({"meta": {"Name": "raced"}, "sections": {}}));
    let (put, gone) = tokio::join!(put, server.delete("/contents/raced"));
    assert!([200, 404].contains(&put.status) && gone.status == 204, "{} {}", put.status, gone.status);
    assert_eq!(server.get("/contents/raced").await.status, 404);
}
