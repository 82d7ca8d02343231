//! Who am I, and the boot trace.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, ask, eventually, raw, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_finds_itself_by_mac_uuid_or_hardware() {
    let server = Server::start().await;
    let body = json!({ "Name": "m1", "HardwareAddrs": ["52:54:00:00:00:01"],
        "Fingerprint": { "SystemUUID": "su", "CloudInstanceID": "cloud" } });
    let uuid = server.create("machines", body).await["Uuid"].clone();
    server.machine("decoy").await;
    let whoami = async |body| server.post("/whoami", body).await.json()["Result"].clone();
    let by_mac = whoami(json!({ "MacAddrs": ["52:54:00:00:00:01".to_uppercase()] })).await;
    assert_eq!((&by_mac["Uuid"], &by_mac["Score"]), (&uuid, &json!(100)));
    let by_uuid = whoami(json!({ "OnDiskUUID": uuid })).await;
    assert_eq!((&by_uuid["Uuid"], &by_uuid["Score"]), (&uuid, &json!(1000)));
    let by_cloud = whoami(json!({ "Fingerprint": { "CloudInstanceID": "cloud" } })).await;
    assert_eq!(by_cloud["Uuid"], uuid);
    assert_eq!(
        whoami(json!({ "Fingerprint": { "SystemUUID": "su" } })).await,
        json!({}),
        "50 points are too few"
    );
    let machine = server.as_token(by_mac["Token"].as_str().unwrap());
    let path = format!("/machines/{}", uuid.as_str().unwrap());
    assert!(machine.exists(&path).await.unwrap(), "the token acts as the machine");
}

/// No machine has so many; who sends them wants to keep the server busy.
#[tokio::test(flavor = "multi_thread")]
async fn whoami_takes_as_much_hardware_as_a_machine_has() {
    let server = Server::start().await;
    let many = vec!["52:54:00:00:00:01"; 4097];
    let refused = server.post("/whoami", json!({ "MacAddrs": many })).await;
    assert_eq!(refused.error(), "400 POST: MacAddrs has 4097 entries; at most 4096 are possible");
    let refused = server.post("/whoami", json!({ "Fingerprint": { "MemoryIds": many } })).await;
    let text = "400 POST: Fingerprint.MemoryIds has 4097 entries; at most 4096 are possible";
    assert_eq!(refused.error(), text);
    let long = server.post("/whoami", json!({ "OnDiskUUID": "x".repeat(1 << 20) })).await;
    assert_eq!(long.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_has_the_words_of_people() {
    let server = Server::start().await;
    server.create("stages", json!({ "Name": "one" })).await;
    server.create("tasks", json!({ "Name": "task1" })).await;
    let uuid = server.machine("m1").await;
    let path = format!("/machines/{uuid}");
    for (field, value) in [
        ("Address", json!("192.0.2.7")),
        ("Address", json!("192.0.2.8")),
        ("Stage", json!("one")),
        ("Tasks", json!(["task1"])),
    ] {
        let patch = json!([{ "op": "add", "path": format!("/{field}"), "value": value }]);
        assert_eq!(server.patch(&path, patch).await.status, 200, "{field}");
    }
    let job = server.post("/jobs", json!({ "Machine": uuid })).await.json();
    let finished = json!([{ "op": "replace", "path": "/State", "value": "finished" }]);
    server.patch(&format!("/jobs/{}", job["Uuid"].as_str().unwrap()), finished).await;
    assert_eq!(server.post("/jobs", json!({ "Machine": uuid })).await.status, 204);
    let trace = server.get(&format!("{path}/trace")).await.json();
    let texts: Vec<&str> =
        trace.as_array().unwrap().iter().map(|entry| entry["Text"].as_str().unwrap()).collect();
    assert_eq!(texts[1..4], ["address 192.0.2.7", "address 192.0.2.7 -> 192.0.2.8", "stage none -> one"]);
    assert_eq!(texts.last(), Some(&"no task left: stage one, bootenv local"), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_tells_what_happened_in_order() {
    let server = Server::start().await;
    server.create("tasks", json!({ "Name": "task1" })).await;
    let uuid = server.machine("m1").await;
    server
        .patch(&format!("/machines/{uuid}"), json!([{ "op": "add", "path": "/Tasks", "value": ["task1"] }]))
        .await;
    server.post("/jobs", json!({ "Machine": uuid })).await;
    let trace = server.get("/machines/Name:m1/trace").await.json();
    let texts: Vec<&str> =
        trace.as_array().unwrap().iter().map(|entry| entry["Text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["registered as m1, bootenv local", "job for task1 handed out"]);
    let since = trace[1]["Seq"].to_string();
    let path = format!("/machines/{uuid}/trace?since={since}&wait=1m");
    let (news, _) = tokio::join!(server.get(&path), server.post("/whoami", json!({ "OnDiskUUID": uuid })));
    assert_eq!(news.json()[0]["Text"], "asks who it is");
    assert_eq!(server.get("/machines/nosuch/trace").await.error(), "404 GET: machines/nosuch: Not Found");
    // Firmware that has asked for an address, or for files, is found by what it is known by.
    for stranger in ["52-54-00-00-00-01", "192.0.2.1"] {
        assert_eq!(server.get(&format!("/machines/{stranger}/trace")).await.json(), json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_with_its_machine() {
    let server = Server::start().await;
    let mac = "52:54:00:00:00:07";
    let uuid =
        server.create("machines", json!({ "Name": "m1", "HardwareAddrs": [mac] })).await["Uuid"].clone();
    let path = format!("/machines/{mac}/trace");
    assert_eq!(server.get(&path).await.json().as_array().unwrap().len(), 1);
    assert_eq!(server.delete(&format!("/machines/{}", uuid.as_str().unwrap())).await.status, 200);
    eventually(async || (server.get(&path).await.json() == json!([])).then_some(())).await;
}

/// Doubles and stale addresses are common: who removes the stale one does not mean the history of the other.
#[tokio::test(flavor = "multi_thread")]
async fn the_trace_under_a_mac_that_another_machine_has_stays() {
    let server = Server::start().await;
    let (shared, own) = ("52:54:00:00:00:08", "52:54:00:00:00:09");
    server.create("machines", json!({ "Name": "live", "HardwareAddrs": [shared] })).await;
    let stale = json!({ "Name": "stale", "HardwareAddrs": [own, shared] });
    let uuid = server.create("machines", stale).await["Uuid"].clone();
    let path = |mac: &str| format!("/machines/{mac}/trace");
    assert_eq!(server.delete(&format!("/machines/{}", uuid.as_str().unwrap())).await.status, 200);
    eventually(async || (server.get(&path(own)).await.json() == json!([])).then_some(())).await;
    let kept = server.get(&path(shared)).await.json();
    assert_eq!(kept[0]["Text"], "registered as live, bootenv local");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_tells_of_its_machine_is_in_the_trace() {
    let server = Server::start().await;
    let (own, other) = (server.machine("own").await, server.machine("other").await);
    let token = server.get(&format!("/machines/{own}/token")).await.json()["Token"].clone();
    let agent = server.as_token(token.as_str().unwrap());
    let post = async |key: &str, action: &str| {
        let event = json!({ "Type": "trace", "Action": action, "Key": key,
            "Object": { "Mode": "discovery", "Kernel": "6.1", "Uptime": 4.2, "Milestones": [{ "Name": "pid1", "Uptime": 1.5 }] } });
        let body = ask(&agent, Method::POST, "/events", Some(event)).await;
        assert_eq!(body.status, 204, "{}", body.text());
    };
    for action in ["checkin", "kexec", "somersault"] {
        post(&own, action).await;
    }
    post(&other, "poweroff").await;
    let trace = async |key: &str| server.get(&format!("/machines/{key}/trace")).await.json();
    let texts = |trace: &Value| -> Vec<Value> {
        trace.as_array().unwrap().iter().map(|entry| entry["Text"].clone()).collect()
    };
    let seen = trace(&own).await;
    let after = "out of the discovery OS, 4.2 s after its kernel's start";
    let check_in = after.replace("out of", "check-in from");
    assert_eq!(
        texts(&seen)[1..],
        [json!(check_in), json!(format!("kexec {after}"))],
        "in order, and nothing that nobody knows"
    );
    assert_eq!(seen[1]["Data"]["Milestones"], json!([{ "Name": "pid1", "Uptime": 1.5 }]));
    assert_eq!(texts(&trace(&other).await).len(), 1, "nobody speaks for another machine");
}

/// A rack that is powered on together: each machine registers, asks for work, logs, reports and is traced. Nothing may fail.
#[tokio::test(flavor = "multi_thread")]
async fn many_machines_register_and_work_at_once() {
    let server = Server::start().await;
    let template =
        json!([{ "Name": "t.sh", "Contents": "#!/bin/sh\necho {{.Machine.Name}} {{.Param \"rack\"}}\n" }]);
    server.create("params", json!({ "Name": "rack", "Schema": { "type": "string" } })).await;
    server.create("tasks", json!({ "Name": "task1", "Templates": template })).await;
    server.create("stages", json!({ "Name": "stage1", "Tasks": ["task1"] })).await;
    server.create("workflows", json!({ "Name": "flow", "Stages": ["stage1"] })).await;
    server.post("/prefs", json!({ "defaultWorkflow": "flow" })).await;
    let unknown = gantry_server::tokens::unknown(&server.core().state.view(), 600);
    let machines = (0..24).map(|number| boot(&server, &unknown, number));
    futures_util::future::join_all(machines).await;
    let done = server.get("/machines?WorkflowComplete=true&limit=0").await;
    assert_eq!(done.header("x-drp-list-filter-count"), "24");
    assert_eq!(server.core().metrics.incidents.get(), 0);
}

/// The calls of an agent from its first to the end of its workflow.
async fn boot(server: &Server, unknown: &str, number: usize) {
    let call = async |token: &str, method: Method, path: String, body: Option<Value>| {
        let reply = ask(&server.as_token(token), method.clone(), &path, body).await;
        assert!(reply.status < 400, "{method} {path}: {} {}", reply.status, reply.text());
        if reply.bytes.is_empty() { Value::Null } else { reply.json() }
    };
    let mac = format!("52:54:00:00:01:{number:02x}");
    let whoami = json!({ "MacAddrs": [mac] });
    assert_eq!(
        call(unknown, Method::POST, "/whoami".into(), Some(whoami.clone())).await["Result"],
        json!({})
    );
    let body = json!({ "Name": format!("m{number}"), "HardwareAddrs": [mac], "Params": { "rack": "r1" } });
    call(unknown, Method::POST, "/machines".into(), Some(body)).await;
    let known = call(unknown, Method::POST, "/whoami".into(), Some(whoami)).await;
    let (uuid, token) =
        (known["Result"]["Uuid"].clone(), known["Result"]["Token"].as_str().unwrap().to_owned());
    loop {
        let job = call(&token, Method::POST, "/jobs".into(), Some(json!({ "Machine": uuid }))).await;
        let Some(key) = job["Uuid"].as_str() else { break };
        let actions = call(&token, Method::GET, format!("/jobs/{key}/actions"), None).await;
        assert_eq!(actions[0]["Content"], format!("#!/bin/sh\necho m{number} r1\n"));
        let log = raw(&server.as_token(&token), Method::PUT, &format!("/jobs/{key}/log"));
        let log = log.header("content-type", "application/octet-stream").body("a line\n");
        assert_eq!(send(log).await.status, 204);
        for state in ["running", "finished"] {
            let report = json!([{ "op": "replace", "path": "/State", "value": state }]);
            call(&token, Method::PATCH, format!("/jobs/{key}"), Some(report)).await;
        }
    }
    let trace = call(&token, Method::GET, format!("/machines/{}/trace", uuid.as_str().unwrap()), None).await;
    assert!(trace.as_array().unwrap().len() >= 4, "{trace}");
}
