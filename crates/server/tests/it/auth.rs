//! Who may do what: passwords, tokens, claims.

use gantry_client::Client;
use gantry_server::config::Config;
use gantry_server::recover;
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
    let empty = server.put("/users/bob/password", json!({ "Password": "" })).await;
    assert_eq!(empty.error(), "422 ValidationError: users/bob: the password is empty");
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

/// Whoever hands on a token with fewer rights keeps the rest to themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_makes_no_wider_one() {
    let server = Server::start().await;
    let claims = json!([{ "scope": "machines", "action": "list,get", "specific": "*" }]);
    server.create("roles", json!({ "Name": "reader", "Claims": claims })).await;
    server.create("users", json!({ "Name": "ann", "Roles": ["superuser", "reader"] })).await;
    server.put("/users/ann/password", json!({ "Password": "pw" })).await;
    let ann = server.as_user("ann", "pw");
    let issued = async |by: &Client, query: &str| {
        let reply = get(by, &format!("/users/ann/token?ttl=600{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        server.as_token(reply.json()["Token"].as_str().unwrap())
    };
    let prefs = async |by: &Client| get(by, "/prefs").await.status;
    let reader = issued(&ann, "&roles=reader").await;
    assert_eq!((prefs(&ann).await, prefs(&reader).await), (200, 403));
    assert_eq!(get(&reader, "/machines").await.status, 200);
    for query in ["", "&roles=superuser", "&roles=superuser,reader", "&scope=preferences&action=list"] {
        assert_eq!(prefs(&issued(&reader, query).await).await, 403, "{query}");
    }
    let again = issued(&reader, "&roles=superuser,reader").await;
    assert!(get(&again, "/machines/none").await.error().starts_with("404"), "a token renews itself");
    let word = json!({ "Password": "mine" });
    let refused = ask(&reader, Method::PUT, "/users/ann/password", Some(word)).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let narrow = issued(&ann, "&scope=users&action=token&specific=ann").await;
    assert_eq!(prefs(&issued(&narrow, "").await).await, 403, "claims are handed on, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_roles_and_rights_that_do_not_exist_is_refused() {
    let server = Server::start().await;
    let token = async |by: &Client, query: &str| get(by, &format!("/users/rocketskates/token?{query}")).await;
    for (query, words) in [
        ("roles=superusr", "Role superusr does not exist; did you mean `superuser`?"),
        ("roles=superuser,nosuchthing", "Role nosuchthing does not exist"),
        ("scope=nosuch&action=foo,get", "No such scope 'nosuch'\n  No such action 'foo'"),
        ("scope=machines,jbos&action=update:/Params", "No such scope 'jbos'"),
    ] {
        let refused = token(&server.client, query).await;
        let words = if words.contains('\n') { format!("\n  {words}") } else { format!(": {words}") };
        assert_eq!(refused.error(), format!("422 ValidationError: users/rocketskates{words}"), "{query}");
    }
    // What clients of DRP ask for.
    for query in [
        "roles=superuser",
        "scope=all&action=list&specific=asdgag",
        "scope=*&action=*&specific=*",
        "scope=machines,jobs&action=get,action:reboot,update:/Params",
        "scope=preferences&action=list,post",
        "scope=&action=&specific=&roles=",
    ] {
        assert_eq!(token(&server.client, query).await.status, 200, "{query}");
    }
    // Who may not see roles is not told which there are.
    server.create("users", json!({ "Name": "ann" })).await;
    server.put("/users/ann/password", json!({ "Password": "pw" })).await;
    let ann = server.as_user("ann", "pw");
    for role in ["superuser", "nosuchthing"] {
        assert_eq!(get(&ann, &format!("/users/ann/token?roles={role}")).await.status, 200, "{role}");
    }
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

/// Twenty wrong ones in a row, and then not even the right one is looked at for a while; whoever is not guessing notices nothing.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let server = Server::start().await;
    server.create("users", json!({ "Name": "ann", "Roles": ["superuser"] })).await;
    server.put("/users/ann/password", json!({ "Password": "pw" })).await;
    let minted = token(&server, "/users/rocketskates/token").await;
    // On a slow host some are forgiven while others are checked, so it may take more than twenty.
    let mut wrong = 0;
    let late = loop {
        let checks = server.core().passwords.slow_checks();
        let reply = get(&server.as_user("rocketskates", &wrong.to_string()), "/info").await;
        if reply.status == 429 {
            assert_eq!(server.core().passwords.slow_checks(), checks);
            break reply;
        }
        assert_eq!(reply.status, 403, "{}", reply.text());
        wrong += 1;
        assert!(wrong < 200, "nobody is slowed down");
    };
    assert!(wrong >= 20, "slowed down after {wrong}");
    assert!(late.error().contains("too many wrong passwords for this user from this address; try again in"));
    let wait: u64 = late.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(server.get("/info").await.status, 200, "a password that was right before");
    assert_eq!(get(&server.as_token(&minted), "/info").await.status, 200);
    assert_eq!(get(&server.as_user("ann", "pw"), "/info").await.status, 200);
    let page = server.plain(&server.metrics).await.text();
    assert!(page.contains("gantry_api_refused_logins_total{reason=\"too_many_guesses\"} 1\n"), "{page}");
}

/// Who is refused, from where and why is in the log; what they tried is not, and a flood adds lines to nothing that grows.
#[tokio::test(flavor = "multi_thread")]
async fn refused_logins_are_told_without_their_secrets() {
    let server = Server::start().await;
    let old = token(&server, "/users/rocketskates/token?ttl=-5").await;
    let strangers = [
        server.as_user("rocketskates", "my-secret-guess"),
        server.as_user("nobody\n2026 forged line", "my-secret-guess"),
        server.as_user(&"x".repeat(5_000), "my-secret-guess"),
        server.as_token("a.b.c"),
        server.as_token(&old),
    ];
    for stranger in &strangers {
        assert_eq!(get(stranger, "/info").await.status, 403);
    }
    let bare = format!("{}/api/v3/info", server.url);
    assert_eq!(server.plain(&bare).await.status, 401);
    let log = server.get("/logs").await.text();
    assert!(!log.contains("my-secret-guess") && !log.contains("a.b.c") && !log.contains(&old), "{log}");
    for line in [
        "Refused login of rocketskates from 127.0.0.1: wrong password".to_owned(),
        r"Refused login of nobody\\n2026 forged line from 127.0.0.1: no such user".to_owned(),
        format!("Refused login of {} from 127.0.0.1: no such user", "x".repeat(64)),
        "Refused login of somebody from 127.0.0.1: the token was not made here, or was altered".to_owned(),
        "Refused login of user:rocketskates from 127.0.0.1: the token has expired".to_owned(),
    ] {
        assert!(log.contains(&line), "{line}: {log}");
    }
    let metrics = async || server.plain(&server.metrics).await.text();
    let page = metrics().await;
    for (reason, count) in [
        ("wrong_password", 1),
        ("unknown_user", 2),
        ("foreign_token", 1),
        ("expired_token", 1),
        ("missing", 1),
    ] {
        let line = format!("gantry_api_refused_logins_total{{reason=\"{reason}\"}} {count}\n");
        assert!(page.contains(&line), "{line}: {page}");
    }
    for n in 0..50 {
        assert_eq!(get(&server.as_token(&format!("a.b.{n}")), "/info").await.status, 403);
    }
    assert_eq!(metrics().await.lines().count(), page.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_locks_everybody_out() {
    let server = Server::start().await;
    let gone = server.delete("/users/rocketskates").await;
    assert!(
        gone.error()
            .starts_with("422 ValidationError: users/rocketskates: User rocketskates is the last one")
    );
    let roles = json!([{ "op": "replace", "path": "/Roles", "value": [] }]);
    assert_eq!(server.patch("/users/rocketskates", roles.clone()).await.status, 422);
    let mut shown = server.get("/users/rocketskates").await.json();
    shown["Roles"] = json!([]);
    assert_eq!(server.put("/users/rocketskates", shown.clone()).await.status, 422);
    // Another superuser without a password is no help; with one, the first may go.
    server.create("users", json!({ "Name": "ann", "Roles": ["superuser"] })).await;
    assert_eq!(server.delete("/users/rocketskates").await.status, 422);
    server.put("/users/ann/password", json!({ "Password": "pw" })).await;
    assert_eq!(server.put("/users/rocketskates", shown).await.status, 200);
    assert_eq!(get(&server.as_user("rocketskates", "r0cketsk8ts"), "/machines").await.json(), json!([]));
    assert_eq!(
        ask(&server.as_user("ann", "pw"), Method::DELETE, "/users/rocketskates", None).await.status,
        200
    );
}

/// The ways around the user itself: packs, and a hash that is none.
#[tokio::test(flavor = "multi_thread")]
async fn no_pack_and_no_patch_locks_everybody_out() {
    let server = Server::start().await;
    let garbled = json!([{ "op": "replace", "path": "/PasswordHash", "value": "bm90aGluZw==" }]);
    let refused = server.patch("/users/rocketskates", garbled).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("is the last one of the store"), "{}", refused.text());
    let pack = |sections: Value| json!({ "meta": { "Name": "people" }, "sections": sections });
    let role = pack(json!({ "roles": { "superuser": { "Name": "superuser" } } }));
    let refused = server.post("/contents", role).await;
    assert!(refused.text().contains("would change the built-in role"), "{}", refused.text());
    let bare = pack(json!({ "users": { "rocketskates": { "Name": "rocketskates" } } }));
    for path in ["/contents?replaceWritable=true", "/contents?replaceWritable=true&check=true"] {
        let refused = server.post(path, bare.clone()).await;
        assert!(refused.text().contains("is the last one of the store"), "{path}: {}", refused.text());
    }
    // A superuser of a pack is no reason to let the stored one go: the pack may go, too.
    let stored = server.core().state.view().object::<gantry_model::User>("rocketskates").unwrap();
    let joe = gantry_model::User { name: "joe".into(), ..(*stored).clone() };
    let with_joe = pack(json!({ "users": { "joe": joe } }));
    assert_eq!(server.post("/contents", with_joe).await.status, 201);
    assert_eq!(server.delete("/users/rocketskates").await.status, 422);
    assert_eq!(server.delete("/contents/people").await.status, 204);
    assert_eq!(server.get("/users").await.json().as_array().unwrap().len(), 1);
    // A role of a pack that somebody's access rests on stays, and so does what it allows.
    let boss = |claims: Value| pack(json!({ "roles": { "boss": { "Name": "boss", "Claims": claims } } }));
    let all = json!([{ "scope": "*", "action": "*", "specific": "*" }]);
    assert_eq!(server.post("/contents", boss(all)).await.status, 201);
    let roles = json!([{ "op": "replace", "path": "/Roles", "value": ["boss"] }]);
    assert_eq!(server.patch("/users/rocketskates", roles).await.status, 200);
    for refused in
        [server.delete("/contents/people").await, server.put("/contents/people", boss(json!([]))).await]
    {
        assert!(refused.text().contains("is the last one of the store"), "{}", refused.text());
    }
    assert_eq!(server.get("/prefs").await.status, 200);
}

/// Hashes of passwords are in no answer, event or pack; DRP shows them in two of these.
#[tokio::test(flavor = "multi_thread")]
async fn password_hashes_are_shown_nowhere() {
    let server = Server::start().await;
    let mut events = server.client.events(None).await.unwrap();
    events.register("users.*.*").await.unwrap();
    server.create("users", json!({ "Name": "ann", "Roles": ["superuser"] })).await;
    let changed = server.put("/users/ann/password", json!({ "Password": "pw" })).await.text();
    let mut seen = vec![changed];
    for _ in 0..2 {
        seen.push(serde_json::to_string(&events.next().await.unwrap()).unwrap());
    }
    for path in ["/users", "/users/ann", "/contents/BackingStore", "/prefs", "/profiles", "/info", "/logs"] {
        seen.push(server.get(path).await.text());
    }
    let stored =
        server.core().state.view().object::<gantry_model::User>("ann").unwrap().password_hash.clone();
    assert!(stored.0.starts_with(b"$argon2id"));
    for text in seen {
        assert!(!text.contains("PasswordHash") && !text.contains("argon2"), "{text}");
    }
}

/// Whoever may write the store's file gets back in, and nobody gets in while a server has the store.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_can_be_recovered_on_its_host() {
    let server = Server::start_with(&[]).await;
    let config = server.core().config.clone();
    let old = token(&server, "/users/rocketskates/token").await;
    let word = json!({ "Password": "forgotten" });
    assert_eq!(server.put("/users/rocketskates/password", word).await.status, 200);
    let busy = recover::superuser(&config, "rocketskates").await.unwrap_err();
    assert!(busy.to_string().contains("is in use by another process"), "{busy}");
    let folder = server.stop().await;
    let first = recover::superuser(&config, "rocketskates").await.unwrap();
    let second = recover::superuser(&config, "ann").await.unwrap();
    let bad = recover::superuser(&config, "1:x").await.unwrap_err().to_string();
    assert!(bad.starts_with("user `1:x`: ") && bad.contains("Invalid Name `1:x`"), "{bad}");
    let server = Server::start_in(folder, &[]).await;
    for (user, word) in [("rocketskates", &first), ("ann", &second)] {
        assert_eq!(get(&server.as_user(user, word), "/prefs").await.status, 200, "{user}");
    }
    assert_eq!(get(&server.as_token(&old), "/info").await.status, 403, "old tokens have ended");
    let folder = server.stop().await;
    let pack = folder.path().join("weak");
    std::fs::create_dir_all(pack.join("roles")).unwrap();
    std::fs::write(pack.join("meta.yaml"), "Name: weak\n").unwrap();
    std::fs::write(pack.join("roles/superuser.yaml"), "Name: superuser\n").unwrap();
    let weak = Config { content: vec![pack], ..config.clone() };
    let no_help = recover::superuser(&weak, "ann").await.unwrap_err().to_string();
    assert!(
        no_help.contains("the role superuser would not help: it comes from content pack weak"),
        "{no_help}"
    );
    let server = Server::start_in(folder, &[]).await;
    assert_eq!(get(&server.as_user("ann", &second), "/prefs").await.status, 200, "nothing was written");
    let elsewhere = Config { data_root: Some(server.folder().join("nowhere")), ..config.clone() };
    let nothing = recover::superuser(&elsewhere, "ann").await.unwrap_err().to_string();
    assert!(nothing.contains("there is no store") && !server.folder().join("nowhere").exists(), "{nothing}");
    let memory = Config { data_root: None, ..config };
    assert!(matches!(recover::superuser(&memory, "ann").await, Err(recover::Error::Memory)));
}

/// Which object it is, only the body says.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_create_is_for_the_objects_that_it_names() {
    let server = Server::start().await;
    let claims = json!([
        { "scope": "profiles", "action": "create", "specific": "one-profile" },
        { "scope": "reservations", "action": "create", "specific": "C0A8640A" },
        { "scope": "stages", "action": "create", "specific": "" },
    ]);
    server.create("roles", json!({ "Name": "maker", "Claims": claims })).await;
    server.create("users", json!({ "Name": "bob", "Roles": ["maker"] })).await;
    server.put("/users/bob/password", json!({ "Password": "pw" })).await;
    let bob = server.as_user("bob", "pw");
    let make = async |kind: &str, body: Value| ask(&bob, Method::POST, &format!("/{kind}"), Some(body)).await;
    let other = make("profiles", json!({ "Name": "other-profile" })).await;
    let text = "403 AUTH\n  Cannot access /api/v3/profiles\n  Requires: profiles create other-profile";
    assert_eq!(other.error(), text);
    assert_eq!(make("profiles", json!({ "name": "one-profile" })).await.status, 201);
    let own = json!({ "Addr": "192.168.100.10", "Token": "t", "Strategy": "MAC" });
    assert_eq!(make("reservations", own).await.status, 201);
    assert_eq!(
        make("stages", json!({ "Name": "any-stage" })).await.status,
        403,
        "no specific covers nothing"
    );
    let none = make("tasks", json!({ "Name": "task1" })).await;
    assert!(none.error().ends_with("Requires: tasks create"), "{}", none.text());
}
