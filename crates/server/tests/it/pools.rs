//! Moves of machines between pools.

use serde_json::{Value, json};

use crate::harness::{Reply, Server, ask};

/// `name status allocated` of each machine in an answer.
fn told(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let member = |one: &Value| {
        let text = |field: &str| one[field].as_str().unwrap().to_owned();
        format!("{} {} {}", text("Name"), text("Status"), one["Allocated"])
    };
    let mut members: Vec<String> = reply.json().as_array().unwrap().iter().map(member).collect();
    members.sort();
    members
}

async fn rack(server: &Server) {
    for name in ["m1", "m2", "m3"] {
        server.machine(name).await;
    }
    let pool = json!({ "Id": "lab", "AllocateActions": { "AddParameters": { "owner": "nobody" } } });
    server.create("pools", pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_go_into_a_pool_are_allocated_released_and_leave() {
    let server = Server::start().await;
    rack(&server).await;
    assert_eq!(server.get("/pools-active").await.json(), json!(["default"]));
    let named = json!({ "pool/machine-list": ["Name:m1", "Name:m2"] });
    let added = server.post("/pools/lab/addMachines", named).await;
    assert_eq!(told(&added), ["m1 Free false", "m2 Free false"]);
    assert_eq!(server.get("/pools-active").await.json(), json!(["default", "lab"]));
    let wish =
        json!({ "pool/count": 1, "pool/filter": ["Name=m2"], "pool/add-parameters": { "owner": "ann" } });
    assert_eq!(told(&server.post("/pools/lab/allocateMachines", wish).await), ["m2 InUse true"]);
    assert_eq!(server.get("/machines/Name:m2/params/owner").await.json(), json!("ann"));
    let status = server.get("/pools/lab/status").await.json();
    assert_eq!((&status["Free"][0]["Name"], &status["InUse"][0]["Name"]), (&json!("m1"), &json!("m2")));
    // All or nothing: one of the two is not free, so neither leaves.
    let both = json!({ "pool/machine-list": ["Name:m1", "Name:m2"] });
    let refused = server.post("/pools/lab/removeMachines", both.clone()).await;
    let text = refused.error();
    assert!(
        text.starts_with(
            "409 POST: pools/lab\n  1 machines of pool lab can be removed, 2 are needed: nothing was changed"
        ),
        "{text}"
    );
    assert!(
        text.contains("Machine m2 cannot be removed: its PoolStatus is InUse, it must be Free"),
        "{text}"
    );
    assert_eq!(told(&server.post("/machines/Name:m2/releaseToPool", json!({})).await), ["m2 Free false"]);
    let out = server.post("/pools/lab/removeMachines", both).await;
    assert_eq!(told(&out), ["m1 Free false", "m2 Free false"]);
    assert_eq!(server.get("/pools-active").await.json(), json!(["default"]));
    assert_eq!(server.get("/pools/nosuch/status").await.status, 404);
    let none = server.post("/pools/lab/addMachines", json!({})).await;
    assert_eq!(
        (none.status, none.text().contains("pool/machine-list, pool/count or pool/all-machines")),
        (400, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_with_a_workflow_is_over_when_that_is_complete() {
    let server = Server::start().await;
    rack(&server).await;
    server.create("tasks", json!({ "Name": "task1" })).await;
    server.create("stages", json!({ "Name": "stage1", "Tasks": ["task1"] })).await;
    server.create("workflows", json!({ "Name": "wf", "Stages": ["stage1"] })).await;
    let wish = json!({ "pool/machine-list": ["Name:m1"], "pool/workflow": "wf" });
    assert_eq!(told(&server.post("/pools/default/allocateMachines", wish).await), ["m1 Building true"]);
    let uuid = server.get("/machines/Name:m1").await.json()["Uuid"].clone();
    let status = async || server.get("/machines/Name:m1").await.json()["PoolStatus"].clone();
    let work = async |state: Value| {
        let path = format!("/machines/{}", uuid.as_str().unwrap());
        server.patch(&path, json!([{ "op": "replace", "path": "/Runnable", "value": true }])).await;
        let job = server.post("/jobs", json!({ "Machine": uuid })).await;
        if job.status == 204 {
            return;
        }
        let mut ops = vec![json!({ "op": "replace", "path": "/State", "value": "running" })];
        let path = format!("/jobs/{}", job.json()["Uuid"].as_str().unwrap());
        assert_eq!(server.patch(&path, json!(ops)).await.status, 200);
        ops = state
            .as_object()
            .unwrap()
            .iter()
            .map(|(field, value)| json!({ "op": "replace", "path": format!("/{field}"), "value": value }))
            .collect();
        assert_eq!(server.patch(&path, json!(ops)).await.status, 200);
    };
    // Markers of the list are jobs of their own; the task fails, and whoever mends it lets the move go on.
    while server.get("/machines/Name:m1").await.json()["CurrentJob"] == json!("")
        || status().await == json!("Building")
    {
        work(json!({ "State": "failed", "ExitState": "failed" })).await;
    }
    assert_eq!(status().await, json!("HoldBuild"));
    while server.get("/machines/Name:m1").await.json()["WorkflowComplete"] == json!(false) {
        work(json!({ "State": "finished", "ExitState": "complete" })).await;
    }
    assert_eq!(status().await, json!("InUse"));
    let wait = json!({ "pool/machine-list": ["Name:m1"], "pool/workflow": "wf", "pool/wait-timeout": "1m" });
    let release = async { told(&server.post("/pools/default/releaseMachines", wait).await) };
    let agent = async {
        while status().await != json!("Free") {
            work(json!({ "State": "finished", "ExitState": "complete" })).await;
        }
    };
    assert_eq!(tokio::join!(release, agent).0, ["m1 Free false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_moves_machines_that_they_may_not_change() {
    let server = Server::start().await;
    rack(&server).await;
    let claims = json!([{ "scope": "pools", "action": "*", "specific": "*" }]);
    server.create("roles", json!({ "Name": "pools-only", "Claims": claims })).await;
    server.create("users", json!({ "Name": "bob", "Roles": ["pools-only"] })).await;
    server.put("/users/bob/password", json!({ "Password": "pw" })).await;
    let bob = server.as_user("bob", "pw");
    let wish = json!({ "pool/count": 1 });
    let refused = ask(&bob, reqwest::Method::POST, "/pools/default/allocateMachines", Some(wish)).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("0 machines of pool default can be allocated"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_machine_is_left_out_and_one_named_twice_counts_once() {
    let server = Server::start().await;
    rack(&server).await;
    let lock = json!([{ "op": "replace", "path": "/Locked", "value": true }]);
    assert_eq!(server.patch("/machines/Name:m1", lock).await.status, 200);
    let uuid = server.get("/machines/Name:m2").await.json()["Uuid"].clone();
    let twice = json!({ "pool/machine-list": ["Name:m2", uuid], "pool/count": 2, "pool/minimum": 2 });
    let refused = server.post("/pools/default/allocateMachines", twice).await;
    assert!(refused.error().contains("1 machines of pool default can be allocated"), "{}", refused.text());
    let taken = server.post("/pools/default/allocateMachines", json!({ "pool/count": 2 })).await;
    assert_eq!(told(&taken), ["m2 InUse true", "m3 InUse true"]);
    let none = server.post("/pools/default/allocateMachines", json!({ "pool/count": 1 })).await;
    let text = none.error();
    assert!(text.contains("Machine m1 cannot be allocated: it is locked"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workflow_does_not_free_a_machine_that_is_being_released() {
    let server = Server::start().await;
    rack(&server).await;
    server.create("tasks", json!({ "Name": "erase" })).await;
    server.create("stages", json!({ "Name": "wipe", "Tasks": ["erase"] })).await;
    server.create("workflows", json!({ "Name": "erase-all", "Stages": ["wipe"] })).await;
    server.create("stages", json!({ "Name": "idle" })).await;
    server.create("workflows", json!({ "Name": "look", "Stages": ["idle"] })).await;
    for (machine, foreign) in [("m1", "look"), ("m2", "")] {
        let path = format!("/machines/Name:{machine}");
        let wish = json!({ "pool/machine-list": [format!("Name:{machine}")] });
        server.post("/pools/default/allocateMachines", wish).await;
        let release = format!("{path}/releaseToPool");
        let wish = json!({ "pool/workflow": "erase-all" });
        assert_eq!(told(&server.post(&release, wish).await), [format!("{machine} Destroying true")]);
        let set = json!([{ "op": "replace", "path": "/Workflow", "value": foreign }]);
        assert_eq!(server.patch(&path, set).await.status, 200);
        let mut shown = server.get(&path).await.json();
        for _ in 0..4 {
            server.patch(&path, json!([{ "op": "replace", "path": "/Runnable", "value": true }])).await;
            server.post("/jobs", json!({ "Machine": shown["Uuid"] })).await;
        }
        // A client that does not know the field puts the machine back without it.
        shown = server.get(&path).await.json();
        assert_eq!(shown["WorkflowComplete"], true);
        assert_eq!((&shown["PoolStatus"], &shown["PoolAllocated"]), (&json!("HoldDestroy"), &json!(true)));
        shown.as_object_mut().unwrap().remove("PoolWorkflow");
        let put = server.put(&format!("/machines/{}", shown["Uuid"].as_str().unwrap()), shown).await.json();
        assert_eq!(put["PoolWorkflow"], "erase-all");
        let by_force = server.post(&format!("{release}?force=true"), json!({})).await;
        assert_eq!(told(&by_force), [format!("{machine} Free false")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_release_a_machine_may_not_change_it_by_that() {
    let server = Server::start().await;
    rack(&server).await;
    let wish = json!({ "pool/machine-list": ["Name:m1"] });
    server.post("/pools/default/allocateMachines", wish).await;
    let claims = json!([{ "scope": "machines", "action": "releaseToPool,get", "specific": "*" }]);
    server.create("roles", json!({ "Name": "releaser", "Claims": claims })).await;
    server.create("users", json!({ "Name": "bob", "Roles": ["releaser"] })).await;
    server.put("/users/bob/password", json!({ "Password": "pw" })).await;
    let bob = server.as_user("bob", "pw");
    let release = async |wish: Value| {
        ask(&bob, reqwest::Method::POST, "/machines/Name:m1/releaseToPool", Some(wish)).await
    };
    for (wish, right) in [
        (json!({ "pool/workflow": "x" }), "update:/Workflow"),
        (json!({ "pool/add-profiles": ["x"] }), "update:/Profiles"),
        (json!({ "pool/remove-parameters": ["x"] }), "update:/Params"),
    ] {
        let refused = release(wish).await;
        assert_eq!((refused.status, refused.text().contains(right)), (403, true), "{}", refused.text());
    }
    assert_eq!(told(&release(json!({ "pool/wait-timeout": "1s" })).await), ["m1 Free false"]);
}
