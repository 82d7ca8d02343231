//! The generic verbs, for every kind that has them, from one table.

use gantry_model::Kind;
use serde_json::{Value, json};

use crate::harness::Server;

/// A body for each kind that can be created; what it is changed in; what it must be.
fn samples() -> Vec<(Kind, Value)> {
    vec![
        (Kind::BootEnv, json!({ "Name": "env1", "OS": { "Name": "os1" } })),
        (
            Kind::CatalogItem,
            json!({ "Id": "item1", "Type": "catalog_items", "Name": "x", "ContentType": "DRP" }),
        ),
        (Kind::Context, json!({ "Name": "ctx1", "Engine": "podman" })),
        (Kind::Endpoint, json!({ "Id": "end1" })),
        (Kind::Machine, json!({ "Name": "machine1", "Uuid": "3e7031fc-3062-45f1-835c-92541bc9cbd3" })),
        (Kind::Param, json!({ "Name": "net/param1", "Schema": { "type": "string" } })),
        (Kind::Plugin, json!({ "Name": "plug1", "Provider": "none-yet" })),
        (Kind::Pool, json!({ "Id": "pool1" })),
        (Kind::Profile, json!({ "Name": "prof1", "Params": { "units": 1 } })),
        (Kind::Reservation, json!({ "Addr": "192.168.100.10", "Token": "t1", "Strategy": "MAC" })),
        (
            Kind::Role,
            json!({ "Name": "role1", "Claims": [{ "scope": "machines", "action": "get", "specific": "*" }] }),
        ),
        (Kind::Stage, json!({ "Name": "stage1" })),
        (
            Kind::Subnet,
            json!({
                "Name": "net1", "Subnet": "192.168.100.1/24", "ActiveStart": "192.168.100.20",
                "ActiveEnd": "192.168.100.30", "ActiveLeaseTime": 60, "ReservedLeaseTime": 7200, "Strategy": "MAC",
            }),
        ),
        (Kind::Task, json!({ "Name": "task1" })),
        (Kind::Template, json!({ "ID": "tmpl1", "Contents": "hello" })),
        (Kind::Tenant, json!({ "Name": "tenant1" })),
        (Kind::User, json!({ "Name": "user1" })),
        (Kind::VersionSet, json!({ "Id": "set1" })),
        (Kind::Workflow, json!({ "Name": "flow1" })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_has_the_generic_verbs() {
    let server = Server::start().await;
    let samples = samples();
    let creatable: Vec<Kind> =
        Kind::ALL.iter().copied().filter(|kind| kind.spec().verbs.create && *kind != Kind::Job).collect();
    let sampled: Vec<Kind> = samples.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(creatable, sampled, "a kind without a sample is a kind without a test");
    for (kind, body) in samples {
        walk(&server, kind, body).await;
    }
}

/// Create, refuse a second, read, list, head, patch, meta, put, delete, gone.
async fn walk(server: &Server, kind: Kind, body: Value) {
    let prefix = kind.prefix();
    let made = server.create(prefix, body.clone()).await;
    let field = kind.spec().key_field;
    let key = match kind {
        Kind::Reservation => "C0A8640A".to_owned(),
        _ => made[field].as_str().unwrap().to_owned(),
    };
    let path = format!("/{prefix}/{key}");
    assert_eq!(made["Validated"], true, "{prefix}");
    assert_eq!(made["Errors"], json!([]), "{prefix}");

    let again = server.post(&format!("/{prefix}"), body).await;
    assert_eq!(again.error(), format!("409 CREATE: {prefix}/{key}: already exists"));

    let read = server.get(&path).await;
    assert_eq!((read.status, read.json()), (200, made.clone()), "{prefix}");
    assert!(read.text().ends_with('\n'));
    let listed = server.get(&format!("/{prefix}?Key={key}")).await;
    assert_eq!(listed.json(), json!([made]), "{prefix}");
    assert_eq!(listed.header("x-drp-list-filter-count"), "1");
    assert_eq!(server.head(&path).await.status, 200);
    assert_eq!(server.head(&format!("/{prefix}/no-such-key")).await.status, 404);
    assert_eq!(
        server.get(&format!("/{prefix}/Key:nosuch")).await.error(),
        format!("404 GET: {prefix}/Key:nosuch: Not Found")
    );

    let patched =
        server.patch(&path, json!([{ "op": "add", "path": "/Meta/color", "value": "green" }])).await;
    assert_eq!((patched.status, &patched.json()["Meta"]["color"]), (200, &json!("green")), "{prefix}");
    let meta = server.get(&format!("/meta/{prefix}/{key}")).await.json();
    assert_eq!(meta["color"], "green", "{prefix}");
    let failed = server.patch(&path, json!([{ "op": "test", "path": "/Meta/color", "value": "red" }])).await;
    assert_eq!((failed.status, &failed.json()["Type"]), (409, &json!("PATCH")), "{prefix}");
    assert_eq!(failed.json()["Messages"][0], "Patch error at line 0: Test op failed.");

    let put = server.put(&path, made.clone()).await;
    assert_eq!((put.status, put.json()), (200, made.clone()), "{prefix}: {}", put.text());
    let deleted = server.delete(&path).await;
    assert_eq!((deleted.status, deleted.json()), (200, made), "{prefix}");
    assert_eq!(server.delete(&path).await.error(), format!("404 DELETE: {prefix}/{key}: Not Found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_without_a_verb_have_no_route() {
    let server = Server::start().await;
    for kind in Kind::ALL.iter().filter(|kind| !kind.spec().verbs.create && kind.spec().verbs.read) {
        let reply = server.post(&format!("/{}", kind.prefix()), json!({})).await;
        assert_eq!(reply.error(), format!("404 POST: /api/v3/{}: No route", kind.prefix()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_are_refused_with_the_reference_s_words() {
    let server = Server::start().await;
    let check = async |path: &str, body: Value, want: &str| {
        assert_eq!(server.post(path, body).await.error(), want);
    };
    check("/profiles", json!({}), "400 CREATE: profiles: Empty key not allowed").await;
    let nameless = server.post("/machines", json!({})).await;
    assert_eq!(
        (nameless.status, &nameless.json()["Type"]),
        (422, &json!("ValidationError")),
        "{}",
        nameless.text()
    );
    let text = crate::harness::raw(&server.client, reqwest::Method::POST, "/profiles")
        .header("content-type", "text/plain");
    let text = crate::harness::send(text.body("{}")).await;
    assert_eq!(text.error(), "400 POST: Invalid content type: text/plain");
    let cut = crate::harness::raw(&server.client, reqwest::Method::POST, "/profiles");
    let cut = crate::harness::send(cut.header("content-type", "application/json").body("{\"Name\":")).await;
    assert_eq!(cut.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn numeric_parameters_match_in_list_filters() {
    let server = Server::start().await;
    server.create("params", json!({ "Name": "rack-units", "Schema": { "type": "integer" } })).await;
    for (name, units) in [("a1", 1), ("b2", 2), ("c10", 10)] {
        server.create("machines", json!({ "Name": name, "Params": { "rack-units": units } })).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let list = server.get(&format!("/machines?{query}&sort=Name")).await;
        assert_eq!(list.status, 200, "{}", list.text());
        list.json().as_array().unwrap().iter().map(|m| m["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("rack-units=2").await, ["b2"]);
    assert_eq!(names("rack-units=Gt(1)").await, ["b2", "c10"]);
    assert_eq!(names("rack-units=Between(1,2)").await, ["a1", "b2"]);
    assert_eq!(names("Name=Re(^c)").await, ["c10"]);
    assert_eq!(names("limit=1&offset=1").await, ["b2"]);
    assert_eq!(server.get("/machines?nosuch=1").await.error(), "406 GET: machines: Filter not found: nosuch");
    assert_eq!(server.get("/machines?limit=-1").await.error(), "406 GET: machines: Limit cannot be negative");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_sub_resources() {
    let server = Server::start().await;
    let uuid = server.machine("m1").await;
    let params = "/machines/Name:m1/params";
    assert_eq!(server.get(&format!("{params}/net/x")).await.json(), Value::Null);
    assert_eq!(server.post(&format!("{params}/net/x"), json!([1])).await.json(), json!([1]));
    assert_eq!(server.get(params).await.json(), json!({ "net/x": [1] }));
    let patch = json!([{ "op": "replace", "path": "/net~1x", "value": 5 }]);
    assert_eq!(server.patch(params, patch).await.json(), json!({ "net/x": 5 }));
    assert_eq!(server.post(params, json!({ "flag": true })).await.json(), json!({ "flag": true }));
    assert_eq!(server.delete(&format!("{params}/flag")).await.json(), true);
    assert_eq!(server.delete(&format!("{params}/flag")).await.error(), "404 DELETE: params/flag: Not Found");
    assert_eq!(
        server.post("/machines/nosuch/params/flag", json!(1)).await.error(),
        "404 POST: machines/nosuch: Not Found"
    );
    server
        .create("params", json!({ "Name": "limited", "Schema": { "type": "string", "default": "d" } }))
        .await;
    let wrong = server.post(&format!("/machines/{uuid}/params/limited"), json!(5)).await;
    assert_eq!((wrong.status, &wrong.json()["Type"]), (409, &json!("POST")), "{}", wrong.text());
    server.post("/profiles/global/params/inherited", json!("g")).await;
    let one = server.get(&format!("{params}/limited?aggregate=true")).await.json();
    assert_eq!(one, "d", "the schema's default");
    assert_eq!(server.get(&format!("{params}?aggregate=true")).await.json(), json!({ "inherited": "g" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_packs_are_read_only() {
    let server = Server::start().await;
    assert_eq!(server.delete("/bootenvs/local").await.status, 409, "the stage of that name uses it");
    assert_eq!(server.delete("/roles/superuser").await.status, 409, "the first user has it");
    let deleted = server.delete("/params/pxelinux-local-boot").await;
    assert_eq!(deleted.error(), "404 DELETE: params/pxelinux-local-boot: readonly: pxelinux-local-boot");
    let patch = json!([{ "op": "add", "path": "/Description", "value": "x" }]);
    assert_eq!(server.patch("/stages/local", patch).await.error(), "400 PATCH: stages/local: local");
    assert_eq!(server.get("/stages/local").await.json()["Bundle"], "BasicStore");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_changes_with_the_object_and_a_reader_may_wait_for_it() {
    let server = Server::start().await;
    server.create("profiles", json!({ "Name": "prof1" })).await;
    let tag = server.head("/profiles/prof1").await.header("etag").to_owned();
    assert!(!tag.is_empty());
    let conditional = async |wait: &'static str| {
        let request = crate::harness::raw(&server.client, reqwest::Method::GET, "/profiles/prof1");
        crate::harness::send(request.header("if-none-match", &tag).header("prefer", wait)).await
    };
    assert_eq!(conditional("").await.status, 304);
    assert_eq!(conditional("wait=10ms").await.status, 304);
    let change = json!([{ "op": "add", "path": "/Description", "value": "new" }]);
    let (waited, changed) = tokio::join!(conditional("wait=1m"), server.patch("/profiles/prof1", change));
    assert_eq!((waited.status, changed.status), (200, 200));
    assert_eq!(waited.json()["Description"], "new");
    assert_ne!(waited.header("etag"), tag);
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_are_set_all_or_none() {
    let server = Server::start().await;
    let refused =
        server.post("/prefs", json!({ "knownTokenTimeout": "5", "unknownTokenTimeout": "illegal" })).await;
    let text = "400 POST: prefs: unknownTokenTimeout: strconv.Atoi: parsing \"illegal\": invalid syntax";
    assert_eq!(refused.error(), text);
    assert_eq!(server.get("/prefs").await.json()["knownTokenTimeout"], "3600");
    let set = server.post("/prefs", json!({ "knownTokenTimeout": "5" })).await;
    assert_eq!((set.status, &set.json()["knownTokenTimeout"]), (201, &json!("5")));
    assert_eq!(
        server.post("/prefs", json!({ "greg": "1" })).await.error(),
        "400 POST: prefs: Unknown Preference greg"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_pack_comes_and_goes_whole() {
    let server = Server::start().await;
    let pack = json!({ "meta": { "Name": "pack1", "Version": "v1.0.0" },
        "sections": { "profiles": { "from-pack": { "Name": "from-pack" } } } });
    let made = server.post("/contents", pack.clone()).await;
    assert_eq!((made.status, &made.json()["Counts"]["profiles"]), (201, &json!(1)), "{}", made.text());
    assert_eq!(server.get("/profiles/from-pack").await.json()["Bundle"], "pack1");
    assert_eq!(server.post("/contents", pack.clone()).await.status, 409);
    assert_eq!(server.put("/contents/other", pack).await.status, 400);
    let empty = json!({ "meta": { "Name": "pack1" }, "sections": {} });
    assert_eq!(server.put("/contents/pack1", empty).await.status, 200);
    assert_eq!(server.get("/profiles/from-pack").await.status, 404);
    assert_eq!(server.delete("/contents/pack1").await.status, 204);
    assert_eq!(
        server.delete("/contents/pack1").await.error(),
        "404 DELETE: contents/pack1: No such content store"
    );
    let names: Vec<Value> = server
        .get("/contents")
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["meta"]["Name"].clone())
        .collect();
    assert_eq!((&names[0], names.last().unwrap()), (&json!("BackingStore"), &json!("BasicStore")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_restart() {
    let server = Server::start_with(&[]).await;
    let uuid = server.machine("kept").await;
    let again = Server::start_in(server.stop().await, &[]).await;
    assert_eq!(again.get("/machines/Name:kept").await.json()["Uuid"], *uuid);
}

#[tokio::test(flavor = "multi_thread")]
async fn info_and_indexes_describe_the_server() {
    let server = Server::start().await;
    let info = server.get("/info").await.json();
    assert_eq!(
        (&info["id"], &info["version"], &info["address"]),
        (&json!("Fred"), &json!("v4.8.0"), &json!("127.0.0.1"))
    );
    assert!(info["features"].as_array().unwrap().contains(&json!("sane-exit-codes")));
    assert_eq!(info["stats"][0]["name"], "machines.count");
    let index = server.get("/indexes/machines/Name").await.json();
    assert_eq!(index, json!({ "Type": "string", "Unique": true, "Unordered": false, "Regex": true }));
    assert_eq!(
        server.get("/indexes/machines/nosuch").await.error(),
        "404 GET: index get: not found: machines/nosuch"
    );
    assert!(server.get("/objects").await.json().as_array().unwrap().contains(&json!("machines")));
}

/// The command line of v4 crashes on a list whose answer lacks the counts.
#[tokio::test(flavor = "multi_thread")]
async fn every_list_has_its_counts() {
    let server = Server::start().await;
    for kind in Kind::ALL.iter().filter(|kind| kind.spec().verbs.read) {
        let reply = server.get(&format!("/{kind}")).await;
        let length = reply.json().as_array().unwrap().len().to_string();
        for header in ["x-drp-list-count", "x-drp-list-total-count", "x-drp-list-filter-count"] {
            assert_eq!(reply.header(header), length, "{kind} {header}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_as_a_whole_has_actions_too() {
    let server = Server::start().await;
    assert_eq!(server.get("/system/actions").await.json(), json!([]));
    let one = server.get("/system/actions/x").await;
    assert_eq!(one.error(), "404 GET: profiles/global: x: Not Found");
    let run = server.post("/system/actions/x", json!({})).await;
    assert_eq!(run.error(), "400 INVOKE: system/global: Action x on system: Not Found");
}

/// A value that its option cannot carry is refused when it is written, not left out of every answer.
#[tokio::test(flavor = "multi_thread")]
async fn dhcp_options_are_judged_before_they_are_stored() {
    let server = Server::start().await;
    let subnet = |options: Value| json!({ "Name": "lab", "Subnet": "10.1.0.0/24", "ActiveStart": "10.1.0.10", "ActiveEnd": "10.1.0.20", "Options": options });
    for (code, value, why) in [
        (
            6,
            "dns.example",
            "option 6: `dns.example` is no value for it: want IPv4 addresses separated by commas",
        ),
        (26, "70000", "option 26: `70000` is no value for it: want a number up to 65535"),
        (255, "1", "option 255: codes are 1 to 254"),
        (15, "{{if}}", "template: option 15:1: missing value for if"),
    ] {
        let refused = server.post("/subnets", subnet(json!([{ "Code": code, "Value": value }]))).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains(&format!("Options: {why}")), "{}", refused.text());
    }
    let good = json!([{ "Code": 3, "Value": "" }, { "Code": 6, "Value": "10.1.0.1, 10.1.0.2" }, { "Code": 15, "Value": "{{index . 12}}.example" }]);
    server.create("subnets", subnet(good)).await;
    let worse = json!([{ "op": "add", "path": "/Options/-", "value": { "Code": 3, "Value": "router" } }]);
    assert_eq!(server.patch("/subnets/lab", worse).await.status, 422);
    let many = vec![json!({ "Code": 15, "Value": "x" }); 255];
    let refused =
        server.patch("/subnets/lab", json!([{ "op": "replace", "path": "/Options", "value": many }])).await;
    let why = "are too many; at most 254 are possible, one for each code";
    assert!(refused.status == 422 && refused.text().contains(why), "{}", refused.text());
}
