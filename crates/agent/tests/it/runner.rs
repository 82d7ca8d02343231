//! Whole sessions: the runner against the API, with scripts that really run.

use super::api::{Api, Task};
use gantry_agent::http::Endpoint;
use gantry_agent::runner::{Config, Mode, run_with};
use gantry_agent::secret::Secret;
use gantry_agent::session::{Input, Settings};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gantry-agent-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config(api: &Api, dir: &TempDir) -> Config {
    let nic = dir.path().join("root/sys/class/net/eth0");
    std::fs::create_dir_all(nic.join("device")).expect("nic");
    std::fs::write(nic.join("address"), "52:54:00:01:00:01\n").expect("mac");
    Config {
        endpoint: Endpoint { url: api.server.url(), pin: None },
        settings: Settings { token: Secret::new("unknown"), oneshot: true, ..Settings::default() },
        credentials: String::new(),
        mode: Mode::Service,
        state_dir: dir.path().join("state"),
        runner_dir: dir.path().join("jobs"),
        root: dir.path().join("root"),
        bootif: Some("52:54:00:01:00:01".into()),
        milestones: vec![("pid1".into(), 1.5)],
    }
}

fn run(api: &Api, dir: &TempDir) {
    let (inputs, inbox) = mpsc::channel();
    run_with(&config(api, dir), inputs, &inbox);
}

fn script(text: &str) -> String {
    format!("#!/bin/sh\n{text}\n")
}

fn one(name: &'static str, text: &str) -> Task {
    (name, vec![("script.sh", "", script(text))])
}

/// What the scripts printed, without the lines around it.
fn output(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| {
            !["Starting task", "Running ", "Command exited", "Task w:", "Writing "]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .collect()
}

#[test]
fn a_machine_from_birth_to_the_end_of_its_workflow() {
    let files = vec![
        ("conf", "etc/my.conf", "value=7".to_owned()),
        (
            "show",
            "",
            script(
                "cat etc/my.conf; echo; echo $RS_UUID $RS_TOKEN $RS_TASK; basename $PWD; test -r helper && echo helper; echo err >&2",
            ),
        ),
    ];
    let api = Api::start(vec![("first", files), one("second", "command -v drpcli | grep -c tools")]);
    let dir = TempDir::new();
    run(&api, &dir);
    assert_eq!(api.outcomes(), ["first=finished/complete", "second=finished/complete"]);
    assert_eq!(output(&api.log(1)), ["value=7", "m-1 lasting first", "first-job-1", "helper", "err"]);
    assert_eq!(output(&api.log(2)), ["1"]);
    let state = api.state();
    assert_eq!(state.machine["Name"], "d52-54-00-01-00-01");
    assert_eq!(state.machine["HardwareAddrs"], json!(["52:54:00:01:00:01"]));
    assert_eq!(state.params["gantry-inventory"]["Nics"][0]["Name"], "eth0");
    assert_eq!(state.params["last-boot-macaddr"], "01-52-54-00-01-00-01");
    assert!(state.params.contains_key("gohai-inventory"));
    let event = &state.events[0];
    assert_eq!(
        (event["Type"].as_str(), event["Action"].as_str(), event["Key"].as_str()),
        (Some("trace"), Some("checkin"), Some("m-1"))
    );
    assert_eq!(event["Object"]["Milestones"][0], json!({"Name": "pid1", "Uptime": 1.5}));
    assert_eq!(state.tokens.first().map(String::as_str), Some("Bearer unknown"));
    assert_eq!(state.tokens.last().map(String::as_str), Some("Bearer lasting"));
    assert!(
        std::fs::read_dir(dir.path().join("jobs"))
            .expect("jobs")
            .flatten()
            .all(|entry| entry.file_name() == "tools" || entry.file_name() == ".sock"),
        "task folders are removed"
    );
}

#[test]
fn tasks_run_where_runner_tmpdir_says_and_reach_the_api_through_a_socket() {
    let text = "echo $RS_RUNNER_DIR; echo $TMPDIR; dirname $PWD; command -v drpcli; \
        curl -s --unix-socket $RS_LOCAL_PROXY -H \"Authorization: Bearer $RS_TOKEN\" http://localhost/api/v3/machines/$RS_UUID | grep -c m-1";
    let api = Api::start(vec![one("where", text)]);
    let dir = TempDir::new();
    let base = dir.path().join("scratch/tmp");
    api.state().params.insert("runner-tmpdir".into(), json!(base));
    run(&api, &dir);
    let own = base.join("gantry-runner-m-1").display().to_string();
    let drpcli = format!("{own}/tools/drpcli");
    assert_eq!(output(&api.log(1)), [own.as_str(), &own, &own, &drpcli, "1"]);
}

#[test]
fn a_log_arrives_once_even_when_answers_get_lost() {
    let text = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.02; done";
    let api = Api::start(vec![one("talk", text)]);
    {
        let mut state = api.state();
        state.lose_answers = vec![("PUT", "/log", 3), ("PATCH", "/jobs/", 2), ("POST", "/jobs", 1)];
        state.drop_requests = vec![("GET", "/tasks/", 2), ("POST", "/whoami", 1)];
    }
    let dir = TempDir::new();
    run(&api, &dir);
    assert_eq!(api.outcomes(), ["talk=finished/complete"]);
    let log = api.log(1);
    let expected: Vec<String> = (0..40).map(|i| format!("line {i}")).collect();
    assert_eq!(output(&log), expected);
    assert!(log.ends_with("Task w:s:talk finished\n"), "{log}");
}

#[test]
fn failures_say_why_and_stop_the_machine() {
    let cases = [
        ("exit 3", "failed/failed", "Command exited with status 3"),
        ("kill -9 $$", "failed/failed", "Command killed by signal 9"),
        ("exit 128", "incomplete/complete", "Command exited with status 128"),
        ("exit 16", "finished/stop", "Command exited with status 16"),
    ];
    for (text, outcome, line) in cases {
        let api = Api::start(vec![one("task", text), one("never", "true")]);
        let dir = TempDir::new();
        run(&api, &dir);
        assert_eq!(api.outcomes(), [format!("task={outcome}")], "{text}");
        assert!(api.log(1).contains(line), "{text}: {}", api.log(1));
        assert_eq!(api.state().machine["Runnable"], false, "{text}");
    }
}

#[test]
fn a_daemon_left_behind_does_not_hold_up_the_job() {
    let api = Api::start(vec![one("daemon", "sleep 30 & echo started")]);
    let dir = TempDir::new();
    let begin = std::time::Instant::now();
    run(&api, &dir);
    assert_eq!(api.outcomes(), ["daemon=finished/complete"]);
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    let running = gantry_agent::session::journal::Run::Running("job-1".into());
    gantry_agent::runner::orphans::kill(&dir.path().join("state"), &running);
}

#[test]
fn stop_kills_the_script_and_leaves_the_job_incomplete() {
    let api = Api::start(vec![one("long", "echo begun; sleep 600")]);
    let dir = TempDir::new();
    let (inputs, inbox) = mpsc::channel();
    let stop = inputs.clone();
    let state = api.state.clone();
    std::thread::spawn(move || {
        loop {
            let begun = state
                .lock()
                .expect("state")
                .logs
                .values()
                .any(|log| String::from_utf8_lossy(log).contains("begun"));
            if begun {
                let _ = stop.send(Input::Stop);
                return;
            }
            std::thread::yield_now();
        }
    });
    run_with(&config(&api, &dir), inputs, &inbox);
    assert_eq!(api.outcomes(), ["long=incomplete/complete"]);
    assert_eq!(api.state().machine["Runnable"], true);
    // The next agent continues the same job.
    api.state().tasks[0].1[0].2 = script("echo again");
    run(&api, &dir);
    assert_eq!(api.outcomes(), ["long=finished/complete"]);
    assert!(api.log(1).contains("Interrupted") && api.log(1).contains("again"), "{}", api.log(1));
}
