//! The real binary, killed in the middle of a job: its successor cleans up and the task runs again.

#[expect(dead_code, reason = "shared with the tests of the library, which use more of it")]
#[path = "../../../crates/agent/tests/it/api.rs"]
mod api;
#[expect(dead_code, reason = "as above")]
#[path = "../../../crates/agent/tests/it/server.rs"]
mod server;

use api::Api;
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(api: &Api, dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_gantry-agent"))
        .args(["run", "--config", "/nonexistent", "--state"])
        .arg(dir)
        .env("RS_ENDPOINT", api.server.url())
        .env("RS_TOKEN", "machine")
        .env("RS_UUID", "m-1")
        .stderr(Stdio::null())
        .spawn()
        .expect("agent")
}

/// Waits for a condition, at most a minute.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

#[test]
fn a_killed_agents_job_is_failed_and_its_task_runs_again() {
    let dir = std::env::temp_dir().join(format!("gantry-agent-killed-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("folder");
    let mark = dir.join("mark");
    let text = format!("#!/bin/sh\n[ -s {0} ] && exit 0\necho $$ > {0}\nsleep 600\n", mark.display());
    let pid = dir.join("daemon");
    let daemon =
        format!("#!/bin/sh\nsetsid sleep 600 < /dev/null > /dev/null 2>&1 &\necho $! > {}\n", pid.display());
    let tasks = vec![("daemon", vec![("script", "", daemon)]), ("long", vec![("script", "", text)])];
    let api = Api::start(tasks);
    api.state().create(&json!({"Name": "node", "HardwareAddrs": []}));

    let mut first = start(&api, &dir);
    until("the script begins", || std::fs::read_to_string(&mark).is_ok_and(|text| text.ends_with('\n')));
    let script = std::fs::read_to_string(&mark).expect("mark").trim().to_owned();
    first.kill().expect("kill");
    first.wait().expect("wait");
    assert!(is_alive(&script), "the script outlives its agent");
    assert_eq!(api.outcomes(), ["daemon=finished/complete", "long=running/"]);

    let mut second = start(&api, &dir);
    until("the task is finished", || {
        api.outcomes() == ["daemon=finished/complete", "long=failed/", "long=finished/complete"]
    });
    assert!(!is_alive(&script), "the orphan is gone");
    let daemon = std::fs::read_to_string(&pid).expect("pid").trim().to_owned();
    assert!(is_alive(&daemon), "what a finished job left behind lives on");
    // Ended by its number, for it is nobody's child any more.
    Command::new("kill").arg(&daemon).status().expect("kill");
    second.kill().expect("kill");
    second.wait().expect("wait");
    assert_eq!(api.state().machine["Runnable"], true);
    let _ = std::fs::remove_dir_all(&dir);
}
