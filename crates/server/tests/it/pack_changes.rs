//! A pack that changes while machines run its workflow: no job is lost, every script is whole and of one version.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, ask};

const TASKS: usize = 12;
const MACHINES: usize = 6;

/// The pack in a version: each script names it twice, once through a common template.
fn pack(version: &str) -> Value {
    let script = format!("{version} {{{{template \"common.tmpl\" .}}}} for {{{{.Machine.Name}}}}");
    let tasks: serde_json::Map<String, Value> = (0..TASKS)
        .map(|n| {
            let name = format!("task{n}");
            (name.clone(), json!({"Name": name, "Templates": [{"Name": "run.sh", "Contents": script}]}))
        })
        .collect();
    let names: Vec<&String> = tasks.keys().collect();
    json!({"meta": {"Name": "flow", "Version": version}, "sections": {
        "templates": {"common.tmpl": {"ID": "common.tmpl", "Contents": version}},
        "stages": {"ss": {"Name": "ss", "Tasks": names}},
        "workflows": {"ww": {"Name": "ww", "Stages": ["ss"]}},
        "tasks": tasks,
    }})
}

/// Runs jobs of a machine as an agent does, until there are none; answers what each script was.
async fn agent(client: gantry_client::Client, machine: String) -> Vec<(String, String)> {
    let mut ran = Vec::new();
    loop {
        let reply = ask(&client, Method::POST, "/jobs", Some(json!({"Machine": machine}))).await;
        if reply.status == 204 {
            return ran;
        }
        assert_eq!(reply.status, 201, "{}", reply.text());
        let job = reply.json();
        let path = format!("/jobs/{}", job["Uuid"].as_str().unwrap());
        let state = |state: &str| Some(json!([{"op": "replace", "path": "/State", "value": state}]));
        if job["State"] != "finished" {
            assert_eq!(ask(&client, Method::PATCH, &path, state("running")).await.status, 200);
            let actions = ask(&client, Method::GET, &format!("{path}/actions"), None).await;
            assert_eq!(actions.status, 200, "{}", actions.text());
            for action in actions.json().as_array().unwrap() {
                let text = action["Content"].as_str().unwrap().to_owned();
                ran.push((job["Task"].as_str().unwrap().to_owned(), text));
            }
            assert_eq!(ask(&client, Method::PATCH, &path, state("finished")).await.status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_run_on_while_their_pack_is_replaced_and_rolled_back() {
    let server = Server::start().await;
    assert_eq!(server.post("/contents", pack("v1.0.0")).await.status, 201);
    let mut agents = tokio::task::JoinSet::new();
    for n in 0..MACHINES {
        let made = server.create("machines", json!({"Name": format!("m{n}"), "Workflow": "ww"})).await;
        agents.spawn(agent(server.client.clone(), made["Uuid"].as_str().unwrap().to_owned()));
    }
    let mut current = 0;
    while current < 3 || !agents.is_empty() {
        // Replaced, replaced, rolled back, and so on until every machine is done.
        current += 1;
        let version = ["v1.0.0", "v2.0.0", "v1.1.0"][current % 3];
        assert_eq!(server.put("/contents/flow", pack(version)).await.status, 200);
        while let Some(ran) = agents.try_join_next() {
            let ran = ran.unwrap();
            let mut tasks: Vec<&str> = ran.iter().map(|(task, _)| task.as_str()).collect();
            tasks.sort_unstable();
            let mut wanted: Vec<String> = (0..TASKS).map(|n| format!("task{n}")).collect();
            wanted.sort_unstable();
            assert_eq!(tasks, wanted, "every task once");
            for (_, text) in ran {
                let words: Vec<&str> = text.split(' ').collect();
                assert_eq!(words[0], words[1], "a script is of one version: {text}");
            }
        }
    }
    for machine in server.get("/machines").await.json().as_array().unwrap() {
        assert_eq!(
            (&machine["WorkflowComplete"], &machine["Available"]),
            (&json!(true), &json!(true)),
            "{machine}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_the_text_of_the_pack_that_is_there_when_it_asks() {
    let server = Server::start().await;
    assert_eq!(server.post("/contents", pack("v1.0.0")).await.status, 201);
    let machine = server.create("machines", json!({"Name": "m1", "Workflow": "ww"})).await;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    let job = loop {
        let job = server.post("/jobs", json!({"Machine": machine["Uuid"]})).await.json();
        if job["State"] != "finished" {
            break job;
        }
    };
    let actions = format!("/jobs/{}/actions", job["Uuid"].as_str().unwrap());
    for version in ["v1.0.0", "v2.0.0", "v1.0.0"] {
        assert_eq!(server.put("/contents/flow", pack(version)).await.status, 200);
        let text = server.get(&actions).await.json()[0]["Content"].as_str().unwrap().to_owned();
        assert_eq!(text, format!("{version} {version} for m1"));
    }
    // Without its pack the machine says what it misses, and the job stays.
    assert_eq!(server.delete("/contents/flow").await.status, 204);
    let without = server.get(&path).await.json();
    assert_eq!(without["Available"], false);
    for missing in ["Workflow ww does not exist", "Stage ss does not exist"] {
        assert!(without["Errors"].to_string().contains(missing), "{}", without["Errors"]);
    }
    let refused = server.get(&actions).await;
    assert!(refused.error().contains("does not exist"), "{}", refused.error());
    assert_eq!(
        server.get(&format!("/jobs/{}", job["Uuid"].as_str().unwrap())).await.json()["State"],
        job["State"]
    );
    // It comes back, and the same job goes on.
    assert_eq!(server.post("/contents", pack("v2.0.0")).await.status, 201);
    assert_eq!(server.get(&path).await.json()["Available"], true);
    assert_eq!(server.get(&actions).await.json()[0]["Content"], "v2.0.0 v2.0.0 for m1");
}
