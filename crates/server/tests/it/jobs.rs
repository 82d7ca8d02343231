//! Jobs and their logs, as an agent uses them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, ask, raw, send};

/// A machine whose list is two tasks.
async fn two_tasks(server: &Server) -> String {
    let template = json!([{ "Name": "t.sh", "Contents": "#!/bin/sh\necho {{.Machine.Name}}\n" }]);
    for name in ["task1", "task2"] {
        server.create("tasks", json!({ "Name": name, "Templates": template })).await;
    }
    let body = json!({ "Name": "worker", "Tasks": ["task1", "task2"] });
    server.create("machines", body).await["Uuid"].as_str().unwrap().to_owned()
}

async fn ask_for_work(server: &Server, machine: &str) -> Reply {
    server.post("/jobs", json!({ "Machine": machine })).await
}

async fn report(server: &Server, job: &Value, state: &str) -> Reply {
    let path = format!("/jobs/{}", job["Uuid"].as_str().unwrap());
    server.patch(&path, json!([{ "op": "replace", "path": "/State", "value": state }])).await
}

async fn append(server: &Server, job: &str, text: &str, offset: Option<u64>) -> Reply {
    let request = raw(&server.client, Method::PUT, &format!("/jobs/{job}/log"));
    let request = request.header("content-type", "application/octet-stream").body(text.to_owned());
    send(match offset {
        Some(offset) => request.header("x-gantry-log-offset", offset),
        None => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_follow_the_list_to_its_end() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    for task in ["task1", "task2"] {
        let made = ask_for_work(&server, &machine).await;
        assert_eq!((made.status, &made.json()["Task"]), (201, &json!(task)), "{}", made.text());
        let busy = ask_for_work(&server, &machine).await;
        let text = format!("409 Conflict: Machine {machine} already has running or created job");
        assert_eq!(busy.error(), text);
        let job = made.json();
        for state in ["running", "finished"] {
            let reported = report(&server, &job, state).await;
            assert_eq!(
                (reported.status, &reported.json()["State"]),
                (200, &json!(state)),
                "{}",
                reported.text()
            );
        }
    }
    let done = ask_for_work(&server, &machine).await;
    assert_eq!((done.status, done.bytes.len()), (204, 0));
    assert!(done.header("content-type").starts_with("application/json"));
    let machine = server.get(&format!("/machines/{machine}")).await.json();
    assert_eq!((&machine["WorkflowComplete"], &machine["CurrentTask"]), (&json!(true), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_work_that_cannot_be_met_are_refused() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    assert_eq!(server.post("/jobs", json!({})).await.status, 400);
    let nobody = "00000000-0000-4000-8000-000000000001";
    let missing = ask_for_work(&server, nobody).await;
    assert_eq!(missing.error(), format!("422 ValidationError: Machine {nobody} does not exist"));
    let pause = json!([{ "op": "replace", "path": "/Runnable", "value": false }]);
    server.patch(&format!("/machines/{machine}"), pause).await;
    let paused = ask_for_work(&server, &machine).await;
    assert_eq!(paused.error(), format!("409 Conflict: Machine {machine} is not runnable"));
    assert_eq!(server.get("/jobs/john/log").await.error(), "404 ValidationError: Job john does not exist");
    assert_eq!(
        server.get("/jobs/john/actions").await.error(),
        "404 ValidationError: Job john does not exist"
    );
}

/// A refused ask once left a finished job behind, each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_stops_before_an_environment_that_is_not_available() {
    let server = Server::start().await;
    server.create("bootenvs", json!({ "Name": "strangers", "OnlyUnknown": true })).await;
    let machine = server.machine("worker").await;
    let list = json!([{ "op": "add", "path": "/Tasks", "value": ["bootenv:strangers"] }]);
    assert_eq!(server.patch(&format!("/machines/{machine}"), list).await.status, 200);
    let reason = "BootEnv strangers does not allow Machine assignments, it has the OnlyUnknown flag.";
    assert_eq!(ask_for_work(&server, &machine).await.error(), format!("409 Conflict: {reason}"));
    let again = ask_for_work(&server, &machine).await;
    assert_eq!(again.error(), format!("409 Conflict: Machine {machine} is not runnable"));
    assert_eq!(server.get("/jobs").await.json(), json!([]));
    let trace = server.get(&format!("/machines/{machine}/trace")).await;
    assert!(trace.text().contains(&format!("stopped: {reason}")), "{}", trace.text());
}

/// Rights of a task: a token beside the machine's own, for the agent's eyes, until the job ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_rights_of_its_own_has_a_token_until_it_ends() {
    let server = Server::start().await;
    let other = server.machine("other").await;
    let claims = json!([{ "scope": "machines", "action": "get", "specific": "*" }]);
    server.create("tasks", json!({ "Name": "task1", "ExtraClaims": claims })).await;
    let machine =
        server.create("machines", json!({ "Name": "worker", "Tasks": ["task1"] })).await["Uuid"].clone();
    let machine = machine.as_str().unwrap();
    let token = server.get(&format!("/machines/{machine}/token")).await.json()["Token"].clone();
    let agent = server.as_token(token.as_str().unwrap());
    let as_agent = async |method, path: &str, body| ask(&agent, method, path, body).await;
    let job = as_agent(Method::POST, "/jobs", Some(json!({ "Machine": machine }))).await.json();
    let path = format!("/jobs/{}", job["Uuid"].as_str().unwrap());
    let elevated = server.as_token(job["Token"].as_str().unwrap());
    let sees = async |client: &_| ask(client, Method::GET, &format!("/machines/{other}"), None).await.status;
    assert_eq!((sees(&agent).await, sees(&elevated).await), (404, 200));
    assert!(
        as_agent(Method::GET, &path, None).await.json()["Token"].is_string(),
        "an agent that starts again"
    );
    let shown = server.get(&path).await.json();
    assert_eq!((&shown["Token"], &shown["ExtraClaims"]), (&Value::Null, &claims), "not for others");
    assert!(!server.get("/jobs").await.text().contains("Token"));
    let more = json!([{ "op": "replace", "path": "/ExtraClaims", "value": [{ "scope": "*", "action": "*", "specific": "*" }] }]);
    as_agent(Method::PATCH, &path, Some(more)).await;
    assert_eq!(server.get(&path).await.json()["ExtraClaims"], claims, "nobody gives himself more");
    report(&server, &job, "running").await;
    assert_eq!(sees(&elevated).await, 200);
    report(&server, &job, "finished").await;
    assert_eq!((sees(&agent).await, sees(&elevated).await), (404, 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_is_tried_again_after_a_pause() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    server.post(&format!("/machines/{machine}/params/task-retry"), json!({ "task1": 1 })).await;
    let first = ask_for_work(&server, &machine).await.json();
    let failed = report(&server, &first, "failed").await.json();
    let second = ask_for_work(&server, &machine).await;
    assert_eq!((second.status, &second.json()["Previous"]), (201, &first["Uuid"]), "{}", second.text());
    let time = |job: &Value, field: &str| job[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let pause = time(&second.json(), "StartTime").duration_since(time(&failed, "EndTime"));
    assert!(pause.as_secs() >= 2, "{pause}");
    report(&server, &second.json(), "running").await;
    let over = json!([{ "op": "replace", "path": "/State", "value": "failed" }, { "op": "replace", "path": "/ExitState", "value": "failed" }]);
    server.patch(&format!("/jobs/{}", second.json()["Uuid"].as_str().unwrap()), over).await;
    let trace = server.get(&format!("/machines/{machine}/trace")).await.text();
    let told = |text: &str| assert_eq!(trace.matches(text).count(), 1, "{text}: {trace}");
    told("job for task1 is failed; attempt 2 follows after 2 s");
    told("job for task1 is failed (failed); the machine is not runnable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_left_behind_says_so_in_its_log_and_in_the_trace() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json()["Uuid"].as_str().unwrap().to_owned();
    let back = json!([{ "op": "replace", "path": "/CurrentTask", "value": -1 }]);
    server.patch(&format!("/machines/{machine}"), back).await;
    let next = ask_for_work(&server, &machine).await;
    assert_eq!((next.status, &next.json()["Previous"]), (201, &json!(job)), "{}", next.text());
    assert_eq!(server.get(&format!("/jobs/{job}")).await.json()["State"], "failed");
    let log = server.get(&format!("/jobs/{job}/log")).await.text();
    let left = "Failed: the task list has left this job behind, and its runner asked for other work.";
    assert_eq!(log.lines().collect::<Vec<_>>(), [format!("Log for Job: {job}").as_str(), left]);
    let trace = server.get(&format!("/machines/{machine}/trace")).await.text();
    let told = "job for task1 is failed: the task list has left it behind";
    assert_eq!(trace.matches(told).count(), 1, "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_say_the_same_at_once_are_one_line_of_the_trace() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json();
    let reports = (0..8).map(|_| report(&server, &job, "running"));
    for reply in futures_util::future::join_all(reports).await {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let trace = server.get(&format!("/machines/{machine}/trace")).await.text();
    assert_eq!(trace.matches("job for task1 is running").count(), 1, "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_stopped_before_a_task_says_by_what() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    server.post(&format!("/machines/{machine}/params/task-stop-at"), json!(["task1"])).await;
    assert_eq!(ask_for_work(&server, &machine).await.status, 204);
    let trace = server.get(&format!("/machines/{machine}/trace")).await;
    assert!(trace.text().contains("stopped before task1: task-stop-at names it"), "{}", trace.text());
}

/// Any machine's token may ask for work, and names the job: it must not be able to name another machine's.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_never_made_over_another() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let victim = ask_for_work(&server, &machine).await.json();
    let other =
        server.create("machines", json!({ "Name": "other", "Tasks": ["task1"] })).await["Uuid"].clone();
    let body = json!({ "Machine": other, "Uuid": victim["Uuid"] });
    let refused = server.post("/jobs", body).await;
    let key = victim["Uuid"].as_str().unwrap();
    assert_eq!(refused.error(), format!("409 Conflict: Job {key} already exists"));
    assert_eq!(server.get(&format!("/jobs/{key}")).await.json(), victim);
    let machine = server.get(&format!("/machines/{}", other.as_str().unwrap())).await.json();
    assert_eq!(machine["CurrentJob"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_rendered_for_the_machine() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json();
    let actions = server.get(&format!("/jobs/{}/actions", job["Uuid"].as_str().unwrap())).await;
    assert_eq!(actions.status, 200, "{}", actions.text());
    assert_eq!(actions.json()[0]["Content"], "#!/bin/sh\necho worker\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_grows_by_appends_and_a_repeated_one_is_harmless() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json()["Uuid"].as_str().unwrap().to_owned();
    let head = format!("Log for Job: {job}\n");
    assert_eq!(append(&server, &job, "one\n", None).await.status, 204);
    let offset = (head.len() + 4) as u64;
    for _ in 0..2 {
        let reply = append(&server, &job, "two\n", Some(offset)).await;
        assert_eq!(
            (reply.status, reply.header("x-gantry-log-size")),
            (204, (offset + 4).to_string().as_str())
        );
    }
    let log = server.get(&format!("/jobs/{job}/log")).await;
    assert_eq!(log.text(), format!("{head}one\ntwo\n"));
    assert_eq!(append(&server, &job, "hole", Some(9_999)).await.status, 409);
    assert_eq!(append(&server, &job, "other", Some(offset)).await.status, 409);
    let part = raw(&server.client, Method::GET, &format!("/jobs/{job}/log")).header("range", "bytes=-4");
    let part = send(part).await;
    assert_eq!((part.status, part.text().as_str()), (206, "two\n"));
    let wrong =
        raw(&server.client, Method::PUT, &format!("/jobs/{job}/log")).header("content-type", "text/plain");
    let text = "415 API ERROR: job log put must have content-type application/octet-stream";
    assert_eq!(send(wrong.body("x")).await.error(), text);
}

/// The lines of the server's log about a job's log, oldest first.
async fn appended(server: &Server, job: &str) -> Vec<String> {
    let lines = server.get("/logs").await.json();
    let texts = lines.as_array().unwrap().iter().filter_map(|line| line["Message"].as_str());
    let about = format!("Job {job}: ");
    texts.filter_map(|text| text.strip_prefix(&about)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_append_is_one_line_of_the_servers_log() {
    let server = Server::start().await;
    server.post("/prefs", json!({ "debugFrontend": "debug" })).await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json()["Uuid"].as_str().unwrap().to_owned();
    append(&server, &job, "one\n", None).await;
    append(&server, &job, &"x".repeat(600_000), None).await;
    let want = ["50 bytes appended to log", "4 bytes appended to log", "600000 bytes appended to log"];
    assert_eq!(appended(&server, &job).await, want);
}

/// The first line is written after the job is made: what a server that was killed in between left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_first_line_gets_it_back() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json()["Uuid"].as_str().unwrap().to_owned();
    let file = server.folder().join("job-logs").join(&job);
    let head = format!("Log for Job: {job}\n");
    std::fs::remove_file(&file).unwrap();
    let length = server.head(&format!("/jobs/{job}/log")).await;
    assert_eq!(length.header("content-length"), head.len().to_string());
    std::fs::remove_file(&file).unwrap();
    append(&server, &job, "one\n", None).await;
    assert_eq!(server.get(&format!("/jobs/{job}/log")).await.text(), format!("{head}one\n"));
}

/// Seen on the 2019 server: one client that stalls in the middle of a job-log upload froze the whole API.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_log_upload_holds_up_nobody() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json()["Uuid"].as_str().unwrap().to_owned();
    let (sender, body) = crate::hostile::dripping();
    let request = raw(&server.client, Method::PUT, &format!("/jobs/{job}/log"));
    let stalled = tokio::spawn(send(request.header("content-type", "application/octet-stream").body(body)));
    sender.send("half a line".into()).await.unwrap();
    // The upload is under way and silent; everything else goes on, the same log included.
    assert_eq!(append(&server, &job, "from another\n", None).await.status, 204);
    assert_eq!(server.get("/machines").await.status, 200);
    assert_eq!(
        server
            .patch("/profiles/global", json!([{ "op": "add", "path": "/Meta/a", "value": "b" }]))
            .await
            .status,
        200
    );
    assert!(!stalled.is_finished());
    drop(sender);
    assert_eq!(stalled.await.unwrap().status, 204);
    assert!(server.get(&format!("/jobs/{job}/log")).await.text().ends_with("from another\nhalf a line"));
}

/// Seen on the 2019 server: file handles of job logs leaked.
#[tokio::test(flavor = "multi_thread")]
async fn logs_leave_no_file_handle_behind() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json()["Uuid"].as_str().unwrap().to_owned();
    let folder = server.folder().to_owned();
    for _ in 0..20 {
        append(&server, &job, "line\n", None).await;
        server.get(&format!("/jobs/{job}/log")).await;
    }
    let open =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    let leaked: Vec<_> =
        open.filter(|path| path.starts_with(folder.join("job-logs")) && path.ends_with(&job)).collect();
    assert_eq!(leaked, Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_takes_its_log_along() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let job = ask_for_work(&server, &machine).await.json();
    report(&server, &job, "failed").await;
    let key = job["Uuid"].as_str().unwrap();
    assert_eq!(server.delete(&format!("/jobs/{key}")).await.status, 200);
    let file = server.folder().join("job-logs").join(key);
    drop(server.stop().await);
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_jobs_are_purged_with_their_logs() {
    let server = Server::start().await;
    let machine = two_tasks(&server).await;
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let job = ask_for_work(&server, &machine).await.json();
        append(&server, job["Uuid"].as_str().unwrap(), "hello\n", None).await;
        report(&server, &job, "finished").await;
        jobs.push(job["Uuid"].clone());
    }
    assert_eq!(server.delete("/jobs").await.json(), json!([]), "without a limit everything stays");
    let dry = server.delete("/jobs?jobsToKeep=1&dryrun=true").await;
    assert_eq!(dry.json(), json!([jobs[0]]));
    assert_eq!(server.get("/jobs").await.json().as_array().unwrap().len(), 2);
    server.post("/prefs", json!({ "jobsToKeep": "1" })).await;
    assert_eq!(server.delete("/jobs").await.json(), json!([jobs[0]]));
    let left = server.get("/jobs").await.json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["Uuid"]), (1, &jobs[1]));
    server.delete(&format!("/machines/{machine}")).await;
    assert_eq!(server.delete("/jobs?machine=missing").await.json(), json!([jobs[1]]));
    let bad = server.delete("/jobs?jobsToKeep=cow").await;
    assert_eq!(
        bad.error(),
        "400 DELETE: jobs: jobsToKeep is `cow`; it must be a number of jobs, or 0 for all"
    );
    assert_eq!(server.delete("/jobs?machine=nosuch").await.error(), "404 DELETE: machines/nosuch: Not Found");
}
