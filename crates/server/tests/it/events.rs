//! The event stream.

use gantry_client::Waited;
use serde_json::{Value, json};
use std::time::Duration;

use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_in_order_with_who_did_them() {
    let server = Server::start().await;
    let mut events = server.client.events(None).await.unwrap();
    events.register("profiles.*.*").await.unwrap();
    server.create("profiles", json!({ "Name": "prof1" })).await;
    server.patch("/profiles/prof1", json!([{ "op": "add", "path": "/Description", "value": "new" }])).await;
    server.machine("unheard").await;
    server.delete("/profiles/prof1").await;
    let mut seen = Vec::new();
    let mut last = 0;
    for _ in 0..3 {
        let event = events.next().await.unwrap();
        assert!(event.revision > last);
        last = event.revision;
        assert_eq!((event.key.as_str(), event.principal.as_str()), ("prof1", "user:rocketskates"));
        assert_eq!(event.object["Name"], "prof1");
        seen.push((event.action, event.original["Description"].clone()));
    }
    let want = [("create", Value::Null), ("update", json!("")), ("delete", Value::Null)];
    assert_eq!(seen, want.map(|(action, original)| (action.to_owned(), original)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_resumes_where_it_was_cut_off() {
    let server = Server::start().await;
    let mut events = server.client.events(None).await.unwrap();
    events.register("profiles.*.*").await.unwrap();
    server.create("profiles", json!({ "Name": "one-profile" })).await;
    let revision = events.next().await.unwrap().revision;
    drop(events);
    server.create("profiles", json!({ "Name": "two-profile" })).await;
    let mut again = server.client.events(Some(revision)).await.unwrap();
    again.register("profiles.*.*").await.unwrap();
    assert_eq!(again.next().await.unwrap().key, "two-profile");
}

/// With filters that come one after another the first event could be judged by the first filter alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_with_several_filters_resumes_with_all_of_them() {
    let server = Server::start().await;
    let revision = server.core().state.view().revision();
    server.create("params", json!({ "Name": "one-param" })).await;
    server.create("profiles", json!({ "Name": "one-profile" })).await;
    server.create("tasks", json!({ "Name": "one-task" })).await;
    let filters = ["profiles.*.*", "tasks.create,save.one\\1task", "params.*.one-param"];
    let mut events = server.client.resume(revision, &filters).await.unwrap();
    for key in ["one-param", "one-profile"] {
        assert_eq!(events.next().await.unwrap().key, key);
    }
    server.create("tasks", json!({ "Name": "one.task" })).await;
    assert_eq!(events.next().await.unwrap().key, "one.task");
}

/// Seen on the 2019 server: a websocket reader that stalled lost events without being told.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_is_too_late_is_told_the_gap_and_goes_on() {
    let server = Server::start().await;
    let mut stale = server.client.events(Some(0)).await.unwrap();
    // More changes than the history holds, in few transactions.
    for round in 0..18 {
        let written = server.core().write::<(), gantry_model::Error>("test", "save", move |tx| {
            for n in 0..1_000 {
                let profile = gantry_model::Profile { name: format!("p-{round}-{n}"), ..Default::default() };
                tx.save(&profile)?;
            }
            Ok(())
        });
        written.await.unwrap();
    }
    stale.register("profiles.*.*").await.unwrap();
    let gap = stale.next().await.unwrap();
    assert_eq!((gap.r#type.as_str(), gap.action.as_str()), ("gap", "lost"));
    assert_eq!(gap.object["After"], 0);
    let until = gap.object["Until"].as_u64().unwrap();
    assert_eq!(until, gap.revision);
    server.create("profiles", json!({ "Name": "after-the-gap" })).await;
    let next = stale.next().await.unwrap();
    assert_eq!((next.key.as_str(), next.revision > until), ("after-the-gap", true));
}

/// As above, with a reader who registered, then read nothing for a while: every change comes, or a gap says which did not.
#[tokio::test(flavor = "multi_thread")]
async fn a_registered_reader_who_stalls_misses_nothing_untold() {
    let server = Server::start().await;
    let mut events = server.client.events(None).await.unwrap();
    events.register("profiles.*.*").await.unwrap();
    // More bytes than the connection and the history hold together.
    for round in 0..40 {
        let written = server.core().write::<(), gantry_model::Error>("test", "save", move |tx| {
            for n in 0..100 {
                let (name, description) = (format!("p-{round}-{n}"), "x".repeat(8 << 10));
                tx.save(&gantry_model::Profile { name, description, ..Default::default() })?;
            }
            Ok(())
        });
        written.await.unwrap();
    }
    let mut last = 0;
    let gap = loop {
        let event = events.next().await.unwrap();
        if event.r#type == "gap" {
            break event;
        }
        assert!(event.revision == last || event.revision == last + 1 || last == 0, "a hole after {last}");
        assert_ne!(event.key, "p-39-99", "all was held for a reader who did not read");
        last = event.revision;
    };
    assert_eq!(gap.object["After"], last, "the gap begins where the reader was");
    server.create("profiles", json!({ "Name": "after-the-gap" })).await;
    let next = events.next().await.unwrap();
    assert_eq!((next.key.as_str(), next.revision), ("after-the-gap", gap.revision + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn posted_events_and_log_lines_reach_who_registered() {
    let server = Server::start().await;
    let mut events = server.client.events(None).await.unwrap();
    events.register("beeblebrox.*.*").await.unwrap();
    events.register("log.audit.frontend").await.unwrap();
    let posted = json!({ "type": "beeblebrox", "Action": "a", "KEY": "x.y", "Principal": "forged", "Object": { "n": 1 }, "Time": null });
    assert_eq!(server.post("/events", posted).await.status, 204);
    let (mut posted, mut logged) = (None, None);
    while posted.is_none() || logged.is_none() {
        let event = events.next().await.unwrap();
        match event.r#type.as_str() {
            "beeblebrox" => posted = Some(event),
            _ => logged = Some(event),
        }
    }
    let posted = posted.unwrap();
    assert_eq!((posted.principal.as_str(), posted.key.as_str()), ("user:rocketskates", "x.y"));
    let text = logged.unwrap().object["Message"].as_str().unwrap().to_owned();
    assert_eq!(text, "Authenticated user rocketskates from 127.0.0.1");
}

/// The order and the names of api.md §16.1.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_machines_tell_each_step() {
    let server = Server::start().await;
    server.create("tasks", json!({ "Name": "task1" })).await;
    let body = json!({ "Name": "m1", "Tasks": ["task1", "task1"] });
    let machine = server.create("machines", body).await["Uuid"].as_str().unwrap().to_owned();
    let mut events = server.client.events(None).await.unwrap();
    events.register("machines.*.*").await.unwrap();
    events.register("jobs.*.*").await.unwrap();
    let mut steps = async |count: usize| {
        let mut seen = Vec::new();
        for _ in 0..count {
            let event = events.next().await.unwrap();
            seen.push(format!("{}.{} {}", event.r#type, event.action, event.object["Current"]));
        }
        seen
    };
    let job = server.post("/jobs", json!({ "Machine": machine })).await.json();
    assert_eq!(steps(2).await, ["jobs.create true", "machines.update null"]);
    let done = json!([{ "op": "replace", "path": "/State", "value": "failed" }]);
    server.patch(&format!("/jobs/{}", job["Uuid"].as_str().unwrap()), done).await;
    assert_eq!(steps(1).await, ["jobs.update true"]);
    server.post("/jobs", json!({ "Machine": machine })).await;
    assert_eq!(steps(3).await, ["jobs.save false", "jobs.create true", "machines.update null"]);
    server.delete(&format!("/machines/{machine}")).await;
    assert_eq!(steps(2).await, ["jobs.save false", "machines.delete null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_what_they_may_not_see() {
    let server = Server::start().await;
    let own = server.machine("own").await;
    let token =
        server.get(&format!("/machines/{own}/token")).await.json()["Token"].as_str().unwrap().to_owned();
    let mut events = server.as_token(&token).events(None).await.unwrap();
    events.register("*.*.*").await.unwrap();
    server.machine("other").await;
    server.create("users", json!({ "Name": "secret-user" })).await;
    server
        .patch(&format!("/machines/{own}"), json!([{ "op": "add", "path": "/Meta/a", "value": "b" }]))
        .await;
    let first = events.next().await.unwrap();
    assert_eq!((first.r#type.as_str(), first.key), ("machines", own));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_object_is_as_wanted() {
    let server = Server::start().await;
    let uuid = server.machine("m1").await;
    let wait = async |test: fn(&Value) -> bool, timeout| {
        server.client.wait_for("machines", "Name:m1", timeout, test).await.unwrap()
    };
    let change = json!([{ "op": "replace", "path": "/Description", "value": "done" }]);
    let path = format!("/machines/{uuid}");
    let (waited, _) = tokio::join!(
        wait(|machine| machine["Description"] == "done", Duration::from_secs(60)),
        server.patch(&path, change)
    );
    assert!(matches!(waited, Waited::Complete(machine) if machine["Description"] == "done"));
    let never = wait(|machine| machine["Description"] == "never", Duration::from_millis(20)).await;
    assert!(matches!(never, Waited::Timeout(_)));
}
