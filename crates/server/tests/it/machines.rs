//! Who am I, and the boot trace.

use serde_json::json;

use crate::harness::Server;

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
