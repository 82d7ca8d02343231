//! The machine agent against the real server: over TLS, with its events, through a restart and through a stall.
//!
//! The server is a process of its own, so that it can be killed and stopped; the agent's session runs in a thread, as a
//! service of an installed system would, on a made-up machine.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gantry_agent::http::stream::Events;
use gantry_agent::http::{Client, Endpoint};
use gantry_agent::runner::{Config, Mode, run_with};
use gantry_agent::secret::Secret;
use gantry_agent::session::{Input, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{GANTRY, run};

const UUID: &str = "6d1f2c3a-5b4e-4d7f-8a9b-0c1d2e3f4a5b";
const DEADLINE: Duration = Duration::from_secs(60);

/// A server whose state outlives its process.
struct Real {
    base: TempDir,
    child: Child,
    port: String,
}

impl Real {
    fn start() -> Self {
        let base = tempfile::tempdir().unwrap();
        let (child, port) = serve(base.path(), "0");
        Self { base, child, port }
    }

    fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        (self.child, self.port) = serve(self.base.path(), &self.port);
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// The output of a client command that must succeed.
    fn tell(&self, args: &[&str]) -> String {
        let ran = run(Path::new(GANTRY), args, &[("RS_ENDPOINT", &self.endpoint())]);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        ran.out
    }

    fn get(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.tell(args)).unwrap()
    }

    fn create(&self, kind: &str, object: &Value) {
        self.tell(&[kind, "create", &object.to_string()]);
    }

    /// A task whose script is `text`, alone in a stage and a workflow of the same name.
    fn offer(&self, name: &str, text: &str) {
        let script = json!({"Name": "script", "Contents": format!("#!/bin/sh\n{text}\n")});
        self.create("tasks", &json!({"Name": name, "Templates": [script]}));
        self.create("stages", &json!({"Name": name, "Tasks": [name]}));
        self.create("workflows", &json!({"Name": name, "Stages": [name]}));
    }

    fn token(&self) -> Secret {
        let answer = self.get(&["machines", "token", UUID]);
        Secret::new(answer["Token"].as_str().unwrap())
    }

    /// `task=state` of every job, oldest first.
    fn jobs(&self) -> Vec<String> {
        let mut jobs = self.get(&["jobs", "list"]).as_array().unwrap().clone();
        jobs.retain(|job| !job["Task"].as_str().unwrap().contains(':'));
        jobs.sort_by_key(|job| job["StartTime"].to_string());
        jobs.iter()
            .map(|job| format!("{}={}", job["Task"].as_str().unwrap(), job["State"].as_str().unwrap()))
            .collect()
    }

    fn log(&self, task: &str) -> String {
        let jobs = self.get(&["jobs", "list"]);
        let job = jobs.as_array().unwrap().iter().find(|job| job["Task"] == task).unwrap();
        self.tell(&["jobs", "log", job["Uuid"].as_str().unwrap()])
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(base: &Path, port: &str) -> (Child, String) {
    let mut command = Command::new(GANTRY);
    command.env_clear().args(["serve", "--listen", "127.0.0.1", "--disable-dhcp", "--cert-type", "P256"]);
    command.arg("--base-root").arg(base).args(["--api-port", port]);
    for port in ["--static-port", "--static-secure-port", "--metrics-port", "--tftp-port"] {
        command.args([port, "0"]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let port = ready.split_whitespace().find_map(|word| word.strip_prefix("api=")).unwrap().to_owned();
    (child, port)
}

/// A running agent; told to end with the value.
struct Agent {
    inputs: Sender<Input>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Agent {
    fn start(server: &Real) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let card = root.join("sys/class/net/eth0");
        std::fs::create_dir_all(card.join("device")).unwrap();
        std::fs::write(card.join("address"), "52:54:00:01:00:01\n").unwrap();
        let config = Config {
            endpoint: Endpoint { url: server.endpoint(), pin: None },
            settings: Settings {
                uuid: UUID.to_owned(),
                token: server.token(),
                token_lasts: true,
                skip_power: true,
                ..Settings::default()
            },
            credentials: String::new(),
            mode: Mode::Service,
            state_dir: folder.path().join("state"),
            runner_dir: folder.path().join("jobs"),
            root,
            bootif: None,
            milestones: Vec::new(),
        };
        let (inputs, inbox) = mpsc::channel();
        let own = inputs.clone();
        let thread = std::thread::spawn(move || {
            let _ = run_with(&config, own, &inbox);
        });
        Self { inputs, thread: Some(thread), folder }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Stop);
        let _ = self.inputs.send(Input::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn machine() -> Value {
    json!({"Name": "node", "Uuid": UUID, "HardwareAddrs": ["52:54:00:01:00:01"]})
}

/// Looks until it holds, at most a minute.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn field_of_machine(server: &Real, field: &str) -> Value {
    server.get(&["machines", "show", UUID])[field].clone()
}

#[test]
fn the_event_stream_says_when_the_machine_changes() {
    let server = Real::start();
    server.create("machines", &machine());
    let client = Client::new(Endpoint { url: server.endpoint(), pin: None }, server.token());
    let filters = ["update", "save"].map(|action| format!("machines.{action}.{UUID}"));
    let mut events = Events::open(&client, &filters, DEADLINE).unwrap();
    server.create("machines", &json!({"Name": "somebody-else"}));
    server.tell(&["machines", "update", UUID, r#"{"Description": "changed"}"#]);
    let event = events.next(Instant::now() + DEADLINE).unwrap().unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((event["Type"].as_str(), event["Key"].as_str()), (Some("machines"), Some(UUID)), "{event:#}");
    assert_eq!(event["Object"]["Description"], "changed");
}

#[test]
fn an_agent_that_waits_is_woken_by_work_and_by_a_server_that_was_killed() {
    let mut server = Real::start();
    server.create("machines", &machine());
    server.offer("one", "echo one; cat /proc/self/environ | tr '\\0' '\\n' | grep -c RS_TOKEN");
    server.offer("two", "echo two");
    let _agent = Agent::start(&server);
    server.tell(&["machines", "workflow", UUID, "one"]);
    until("the first workflow is done", || field_of_machine(&server, "WorkflowComplete") == true);
    assert!(server.log("one").contains("\none\n1\n"), "{}", server.log("one"));

    server.kill();
    server.start_again();
    server.tell(&["machines", "workflow", UUID, "two"]);
    until("the second workflow is done", || server.jobs() == ["one=finished", "two=finished"]);
}

#[test]
fn a_job_goes_on_while_its_server_stalls_or_is_dead_and_nothing_of_its_log_is_lost() {
    let mut server = Real::start();
    server.create("machines", &machine());
    let agent = Agent::start(&server);
    let steps = agent.folder.path().join("steps");
    std::fs::create_dir(&steps).unwrap();
    // Every step waits for the test's leave, then writes many lines.
    let script = format!(
        "cd {}\nfor step in 1 2 3 4; do touch at-$step; while [ ! -e go-$step ]; do sleep 0.02; done\n\
         for n in $(seq 500); do echo line $step $n; done; done",
        steps.display()
    );
    server.offer("talks", &script);
    server.tell(&["machines", "workflow", UUID, "talks"]);
    let at = |step: u32| until(&format!("step {step}"), || steps.join(format!("at-{step}")).exists());
    let go = |step: u32| std::fs::write(steps.join(format!("go-{step}")), "").unwrap();

    at(1);
    server.signal("-STOP");
    go(1);
    at(2);
    server.signal("-CONT");
    go(2);
    at(3);
    server.kill();
    go(3);
    at(4);
    server.start_again();
    go(4);
    until("the job is done", || server.jobs() == ["talks=finished"]);

    let log = server.log("talks");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> =
        (1..=4).flat_map(|step| (1..=500).map(move |n| format!("line {step} {n}"))).collect();
    assert_eq!(lines, expected, "each line once and in order");
}
