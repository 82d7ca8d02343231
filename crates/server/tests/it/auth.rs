//! Who may do what: passwords, tokens, claims.

use gantry_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, ask};

async fn get(client: &Client, path: &str) -> Reply {
    ask(client, Method::GET, path, None).await
}

async fn token(server: &Server, path: &str) -> String {
    let reply = server.get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["Token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_apart() {
    let server = Server::start().await;
    let wrong = get(&server.as_user("rocketskates", "wrong"), "/info").await;
    assert_eq!(wrong.error(), "403 users: Access Denied");
    assert_eq!(get(&server.as_user("nobody", "x"), "/info").await.error(), "403 users: Access Denied");
    let junk = get(&server.as_token("junk"), "/info").await;
    assert_eq!((junk.status, &junk.json()["Model"]), (403, &json!("system")));
    assert!(!junk.text().contains("junk"), "the token is not echoed");
    assert_eq!(junk.header("www-authenticate"), "dr-provision");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_acts_until_its_user_s_password_changes() {
    let server = Server::start().await;
    server.create("users", json!({ "Name": "bob", "Roles": ["superuser"] })).await;
    assert_eq!(server.put("/users/bob/password", json!({ "Password": "pw" })).await.status, 200);
    let bob = server.as_user("bob", "pw");
    assert_eq!(get(&bob, "/machines").await.status, 200);
    let token = token(&server, "/users/bob/token?ttl=10m").await;
    let by_token = server.as_token(&token);
    assert_eq!(get(&by_token, "/machines").await.status, 200);
    assert_eq!(server.put("/users/bob/password", json!({ "Password": "new" })).await.status, 200);
    assert_eq!(get(&by_token, "/machines").await.error(), "403 AUTH: Validation failed");
    assert_eq!(get(&bob, "/machines").await.status, 403, "the remembered password is forgotten, too");
    assert_eq!(get(&server.as_user("bob", "new"), "/machines").await.status, 200);
    assert!(!server.get("/users/bob").await.text().contains("PasswordHash"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_or_altered_token_is_refused() {
    let server = Server::start().await;
    let old = token(&server, "/users/rocketskates/token?ttl=-5").await;
    let refused = get(&server.as_token(&old), "/info").await;
    assert!(refused.error().contains("Invalid Token :token is expired by"), "{}", refused.text());
    let good = token(&server, "/users/rocketskates/token").await;
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    for bad in [format!("{head}.{body}x.{signature}"), format!("{head}.{body}."), format!("{head}.{body}")] {
        assert_eq!(get(&server.as_token(&bad), "/info").await.status, 403, "{bad}");
    }
    server.post("/prefs", json!({ "baseTokenSecret": "0123456789abcdef0123456789abcdef" })).await;
    assert_eq!(get(&server.as_token(&good), "/info").await.status, 403, "a new base secret ends all tokens");
    assert_eq!(server.get("/users/rocketskates/token?ttl=cow").await.status, 400);
    assert_eq!(server.get("/users/greg/token").await.error(), "404 GET: users/greg: Not Found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_roles_sees_an_empty_house() {
    let server = Server::start().await;
    server.create("users", json!({ "Name": "bob" })).await;
    server.put("/users/bob/password", json!({ "Password": "pw" })).await;
    server.machine("m1").await;
    let bob = server.as_user("bob", "pw");
    assert_eq!(get(&bob, "/machines").await.json(), json!([]));
    assert_eq!(get(&bob, "/users/bob").await.status, 200);
    assert_eq!(get(&bob, "/machines/Name:m1").await.error(), "404 GET: machines/Name:m1: Not Found");
    let made = ask(&bob, Method::POST, "/machines", Some(json!({ "Name": "m2" }))).await;
    let text = "403 AUTH\n  Cannot access /api/v3/machines\n  Requires: machines create";
    assert_eq!(made.error(), text);
    assert_eq!(get(&bob, "/prefs").await.status, 403);
    assert_eq!(get(&bob, "/logs").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_reach_as_far_as_they_say() {
    let server = Server::start().await;
    let uuid = server.machine("m1").await;
    let claims = json!([{ "scope": "machines", "action": "get,update:/Params", "specific": uuid }]);
    server.create("roles", json!({ "Name": "params-only", "Claims": claims })).await;
    server.create("users", json!({ "Name": "bob", "Roles": ["params-only"] })).await;
    server.put("/users/bob/password", json!({ "Password": "pw" })).await;
    let bob = server.as_user("bob", "pw");
    let patch = async |path: &str, pointer: &str, value: Value| {
        let body = json!([{ "op": "add", "path": pointer, "value": value }]);
        ask(&bob, Method::PATCH, path, Some(body)).await
    };
    let machine = format!("/machines/{uuid}");
    assert_eq!(patch(&machine, "/Params/one", json!(1)).await.status, 200);
    let denied = patch("/machines/Name:m1", "/Description", json!("x")).await;
    let text = "403 AUTH\n  Cannot access /api/v3/machines/Name:m1\n  Requires: machines patch Name:m1";
    assert_eq!(denied.error(), text);
    assert_eq!(ask(&bob, Method::POST, &format!("{machine}/params/two"), Some(json!(2))).await.status, 200);
    assert_eq!(ask(&bob, Method::DELETE, &machine, None).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_tokens_reach_their_own_machine() {
    let server = Server::start().await;
    let (own, other) = (server.machine("own").await, server.machine("other").await);
    let machine = server.as_token(&token(&server, &format!("/machines/{own}/token?ttl=1h")).await);
    assert_eq!(get(&machine, "/machines/Name:own").await.status, 200);
    assert_eq!(get(&machine, &format!("/machines/{other}")).await.status, 404);
    assert_eq!(get(&machine, "/machines").await.json(), json!([]));
    assert_eq!(get(&machine, "/info").await.status, 200);
    let runnable = json!([{ "op": "replace", "path": "/Runnable", "value": false }]);
    let change = async |uuid: &str| {
        ask(&machine, Method::PATCH, &format!("/machines/{uuid}"), Some(runnable.clone())).await.status
    };
    assert_eq!((change(&own).await, change(&other).await), (200, 404));
    let job = async |uuid: &str| {
        ask(&machine, Method::POST, "/jobs", Some(json!({ "Machine": uuid }))).await.status
    };
    assert_eq!(job(&other).await, 403);
    assert_eq!(ask(&machine, Method::DELETE, &format!("/machines/{own}"), None).await.status, 403);
    assert_eq!(ask(&machine, Method::POST, "/machines", Some(json!({ "Name": "x" }))).await.status, 403);
    server
        .patch(
            &format!("/machines/{own}"),
            json!([{ "op": "replace", "path": "/Secret", "value": "changed" }]),
        )
        .await;
    assert_eq!(get(&machine, "/info").await.status, 403, "a new machine secret ends its tokens");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_machine_may_register_look_and_no_more() {
    let server = Server::start().await;
    let known = server.machine("known").await;
    let unknown = gantry_server::tokens::unknown(&server.core().state.view(), 600);
    let unknown = server.as_token(&unknown);
    let made = ask(&unknown, Method::POST, "/machines", Some(json!({ "Name": "fresh" }))).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(get(&unknown, "/machines").await.json().as_array().unwrap().len(), 2);
    assert_eq!(get(&unknown, "/info").await.status, 200);
    assert_eq!(ask(&unknown, Method::POST, "/whoami", Some(json!({}))).await.status, 200);
    assert_eq!(get(&unknown, "/files/nosuch").await.error(), "404 GET: files//nosuch: Not a regular file");
    let patch = json!([{ "op": "replace", "path": "/Name", "value": "stolen" }]);
    assert_eq!(ask(&unknown, Method::PATCH, &format!("/machines/{known}"), Some(patch)).await.status, 403);
    assert_eq!(get(&unknown, "/users").await.json(), json!([]));
    assert_eq!(get(&unknown, "/files").await.status, 403);
    server.post("/prefs", json!({ "systemGrantorSecret": "another" })).await;
    assert_eq!(get(&unknown, "/info").await.status, 403, "a new grantor secret ends what the server granted");
}

/// Seen on the 2019 server: a password on every request cost 50 ms of processor time each.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_on_every_request_is_checked_slowly_only_once() {
    let server = Server::start().await;
    let slow = || server.core().passwords.slow_checks();
    for _ in 0..50 {
        assert_eq!(server.get("/info").await.status, 200);
    }
    assert_eq!(slow(), 1);
    // A wrong one is never remembered, and a changed one is not taken for the old.
    for _ in 0..3 {
        assert_eq!(get(&server.as_user("rocketskates", "guess"), "/info").await.status, 403);
    }
    assert_eq!(slow(), 4);
    let word = json!({ "Password": "another" });
    assert_eq!(server.put("/users/rocketskates/password", word).await.status, 200);
    assert_eq!(server.get("/info").await.status, 403);
    for _ in 0..3 {
        assert_eq!(get(&server.as_user("rocketskates", "another"), "/info").await.status, 200);
    }
    assert_eq!(slow(), 6);
}
