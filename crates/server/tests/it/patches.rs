//! Patches: who may send which, and what they tell.

use gantry_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, ask};

async fn patch(client: &Client, path: &str, operations: Value) -> Reply {
    ask(client, Method::PATCH, path, Some(operations)).await
}

/// A patch that writes nothing needs the right to look, or any login could read any object by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_only_looks_needs_the_right_to_look() {
    let server = Server::start().await;
    let uuid = server.machine("m1").await;
    let stranger = gantry_server::tokens::unknown(&server.core().state.view(), 600);
    let stranger = server.as_token(&stranger);
    let look = || json!([{ "op": "test", "path": "/nosuch", "value": 1 }]);
    for path in
        ["/users/rocketskates", "/profiles/global", "/profiles/global/params", "/meta/profiles/global"]
    {
        for operations in [json!([]), look()] {
            let refused = patch(&stranger, path, operations).await;
            assert_eq!(refused.status, 404, "{path}: {}", refused.text());
            assert!(!refused.text().contains("Selector"), "{path}: {}", refused.text());
        }
    }
    let shown = server.get("/profiles/global").await.json();
    let put = ask(&stranger, Method::PUT, "/profiles/global", Some(shown)).await;
    assert_eq!(put.error(), "404 PUT: profiles/global: Not Found");
    let before = server.core().state.view().revision();
    let looked = patch(&stranger, &format!("/machines/{uuid}"), json!([])).await;
    assert_eq!((looked.status, &looked.json()["Name"]), (200, &json!("m1")), "it may get machines");
    let failed = patch(&server.client, "/profiles/global/params", look()).await;
    assert_eq!((failed.status, failed.text().contains("Selector nosuch")), (409, true), "{}", failed.text());
    let refused = patch(&server.client, "/users/rocketskates", look()).await;
    assert_eq!((refused.status, refused.text().contains("argon2")), (409, false), "{}", refused.text());
    assert_eq!(server.core().state.view().revision(), before, "nothing was committed");
}

/// Two kilobytes that would fill all memory, and a list that would be moved for minutes while every other write waits.
#[tokio::test(flavor = "multi_thread")]
async fn no_patch_eats_the_server() {
    let server = Server::start().await;
    let uuid = server.machine("m1").await;
    let path = format!("/machines/{uuid}");
    let double = (0..64).map(|n| json!({ "op": "copy", "from": "", "path": format!("/Params/p{n}") }));
    let refused = server.patch(&path, double.collect()).await;
    assert_eq!((refused.status, refused.text().contains("copies and moves too much")), (409, true));
    let list = vec![json!({ "op": "add", "path": "/Tasks/0", "value": "t" }); 10_001];
    assert_eq!(server.patch(&path, list.into()).await.status, 400);
    assert_eq!(server.get(&path).await.status, 200);
}

/// What could be written but never be read again would end the server for good.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_nobody_could_read_are_refused() {
    let server = Server::start().await;
    let deep = (0..126).fold(json!(1), |inner, _| json!([inner]));
    let refused = server.post("/profiles/global/params/deep", deep).await;
    let text = "409 POST: profiles/global: the object is nested 128 deep, at most 100 are possible";
    assert_eq!(refused.error(), text);
    let large = server.post("/profiles/global/params/large", "x".repeat(4 << 20).into()).await;
    assert_eq!((large.status, large.text().contains("at most 4194240 are possible")), (409, true));
    let long = server.post("/profiles", json!({ "Name": "n".repeat(2_000) })).await;
    assert_eq!((long.status, long.text().contains("a name has at most 255")), (422, true), "{}", long.text());
    server.create("profiles", json!({ "Name": "still-well" })).await;
}

/// Back to the start is an update; to an entry of the list takes a right of its own, however it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_entered_in_the_middle_with_the_right_to_only() {
    let server = Server::start().await;
    server.create("tasks", json!({ "Name": "task1" })).await;
    let uuid =
        server.create("machines", json!({ "Name": "m1", "Tasks": ["task1", "task1"] })).await["Uuid"].clone();
    let path = format!("/machines/{}", uuid.as_str().unwrap());
    let claims = json!([{ "scope": "machines", "action": "get,update", "specific": "*" }]);
    server.create("roles", json!({ "Name": "editor", "Claims": claims })).await;
    server.create("users", json!({ "Name": "bob", "Roles": ["editor"] })).await;
    server.put("/users/bob/password", json!({ "Password": "pw" })).await;
    let bob = server.as_user("bob", "pw");
    for _ in 0..2 {
        let job = server.post("/jobs", json!({ "Machine": uuid })).await.json();
        let done = json!([{ "op": "replace", "path": "/State", "value": "finished" }]);
        server.patch(&format!("/jobs/{}", job["Uuid"].as_str().unwrap()), done).await;
    }
    let mut wanted = server.get(&path).await.json();
    wanted["CurrentTask"] = json!(0);
    let to = |place: i64| json!([{ "op": "replace", "path": "/CurrentTask", "value": place }]);
    let whole = json!([{ "op": "replace", "path": "", "value": wanted }]);
    let text = format!(
        "422 ValidationError: machines/{}: Cannot change CurrentTask from 1 to 0 (reposition not allowed)",
        uuid.as_str().unwrap()
    );
    assert_eq!(patch(&bob, &path, to(0)).await.error(), text);
    assert_eq!(patch(&bob, &path, whole).await.error(), text);
    assert_eq!(ask(&bob, Method::PUT, &path, Some(wanted)).await.error(), text);
    assert_eq!(patch(&bob, &path, to(-1)).await.status, 200);
    assert_eq!(server.get(&path).await.json()["CurrentTask"], -1);
}
