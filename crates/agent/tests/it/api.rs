//! The API as far as the agent uses it, in memory: one machine, tasks in a row, logs with offsets.

use super::server::{Request, Response, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A task: its name and its actions (name, path, content).
pub(crate) type Task = (&'static str, Vec<(&'static str, &'static str, String)>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) machine: Value,
    pub(crate) jobs: BTreeMap<String, Value>,
    pub(crate) logs: BTreeMap<String, Vec<u8>>,
    pub(crate) params: BTreeMap<String, Value>,
    pub(crate) events: Vec<Value>,
    pub(crate) tasks: Vec<Task>,
    /// Method and path of every request, in order.
    pub(crate) seen: Vec<String>,
    pub(crate) tokens: Vec<String>,
    /// Requests that are carried out but not answered: counts down, by method and part of the path.
    pub(crate) lose_answers: Vec<(&'static str, &'static str, usize)>,
    /// Requests that are dropped: as above.
    pub(crate) drop_requests: Vec<(&'static str, &'static str, usize)>,
}

/// The server and its state.
pub(crate) struct Api {
    pub(crate) server: Server,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Api {
    pub(crate) fn start(tasks: Vec<Task>) -> Self {
        let state = Arc::new(Mutex::new(State { tasks, ..State::default() }));
        let shared = state.clone();
        let server = Server::start(move |request| shared.lock().expect("state").handle(&request));
        Self { server, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("state")
    }

    /// The log of the n-th job, without the server's first line.
    pub(crate) fn log(&self, job: usize) -> String {
        let text = String::from_utf8(self.state().logs[&format!("job-{job}")].clone()).expect("text");
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }

    /// `task=state/exit` of every job, in order.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let text = |job: &Value, field: &str| job[field].as_str().unwrap_or_default().to_owned();
        let state = self.state();
        state
            .jobs
            .values()
            .map(|job| format!("{}={}/{}", text(job, "Task"), text(job, "State"), text(job, "ExitState")))
            .collect()
    }
}

/// True when a row fits; rows that are used up vanish.
fn counts_down(rows: &mut Vec<(&'static str, &'static str, usize)>, request: &Request) -> bool {
    let found =
        rows.iter_mut().find(|(method, part, _)| *method == request.method && request.path.contains(part));
    let Some(row) = found else { return false };
    row.2 -= 1;
    rows.retain(|row| row.2 > 0);
    true
}

impl State {
    fn handle(&mut self, request: &Request) -> Response {
        let path = request.path.trim_start_matches("/api/v3/").to_owned();
        self.seen.push(format!("{} {path}", request.method));
        self.tokens.push(request.header("authorization").to_owned());
        if counts_down(&mut self.drop_requests, request) {
            return Response::hang_up();
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let bare = path.split('?').next().unwrap_or_default().to_owned();
        let parts: Vec<&str> = bare.split('/').collect();
        let response = self.route(request, &parts, &body);
        if counts_down(&mut self.lose_answers, request) { Response::hang_up() } else { response }
    }

    fn route(&mut self, request: &Request, parts: &[&str], body: &Value) -> Response {
        let ok = |value: &Value| Response::json(200, value);
        match (request.method.as_str(), parts) {
            ("POST", ["whoami"]) if self.machine.is_null() => ok(&json!({"Result": {}})),
            ("POST", ["whoami"]) => ok(&json!({"Result": {"Score": 100, "Uuid": "m-1", "Token": "machine"}})),
            ("GET", ["machines"]) => ok(&json!([])),
            ("POST", ["machines"]) => self.create(body),
            ("GET", ["machines", _]) => ok(&self.machine),
            ("GET", ["machines", _, "token"]) => ok(&json!({"Token": "lasting"})),
            ("PATCH", ["machines", _, "params"]) => {
                for op in body.as_array().into_iter().flatten() {
                    let name = op["path"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
                    self.params.insert(name, op["value"].clone());
                }
                ok(&json!({}))
            }
            ("GET", ["machines", _, "params", name]) if self.params.contains_key(*name) => {
                ok(&self.params[*name])
            }
            ("PATCH", ["machines", _]) => patch(&mut self.machine, body),
            ("POST", ["jobs"]) => self.new_job(),
            ("GET", ["tasks", name]) => {
                ok(&json!({"Name": name, "Meta": {"feature-flags": "sane-exit-codes"}}))
            }
            ("GET", ["jobs", id]) => ok(&self.jobs[*id]),
            ("PATCH", ["jobs", id]) => {
                let job = self.jobs.get_mut(*id).expect("job");
                let answer = patch(job, body);
                if job["ExitState"] == "failed" {
                    self.machine["Runnable"] = false.into();
                }
                answer
            }
            ("GET", ["jobs", id, "actions"]) => ok(&self.actions(id)),
            ("HEAD", ["jobs", id, "log"]) => Response {
                code: 200,
                headers: vec![("Content-Length".into(), self.logs[*id].len().to_string())],
                ..Response::default()
            },
            ("PUT", ["jobs", id, "log"]) => {
                self.append(id, request);
                Response::json(204, &Value::Null)
            }
            ("POST", ["events"]) => {
                self.events.push(body.clone());
                Response::json(204, &Value::Null)
            }
            _ => Response::json(404, &json!({"Type": request.method, "Messages": ["No route"], "Code": 404})),
        }
    }

    pub(crate) fn create(&mut self, body: &Value) -> Response {
        self.machine = body.clone();
        let more = json!({
            "Uuid": "m-1", "BootEnv": "discovery", "Stage": "s", "Workflow": "w", "Context": "", "CurrentJob": "",
            "Tasks": self.tasks.iter().map(|task| task.0).collect::<Vec<_>>(), "CurrentTask": -1,
            "Runnable": true, "Available": true, "WorkflowComplete": false, "Address": "",
        });
        for (name, value) in more.as_object().expect("object") {
            self.machine[name] = value.clone();
        }
        Response::json(201, &self.machine)
    }

    fn new_job(&mut self) -> Response {
        let refuse =
            |text: &str| Response::json(409, &json!({"Type": "Conflict", "Messages": [text], "Code": 409}));
        if self.machine["Runnable"] != true {
            return refuse("Machine m-1 is not runnable");
        }
        let last = self.machine["CurrentJob"].as_str().and_then(|id| self.jobs.get(id)).cloned();
        match last.as_ref().and_then(|job| job["State"].as_str()) {
            Some("created" | "running") => return refuse("Machine m-1 already has running or created job"),
            Some("incomplete") => return Response::json(202, &last.unwrap_or_default()),
            Some("failed") => {}
            _ => self.machine["CurrentTask"] = json!(self.machine["CurrentTask"].as_i64().unwrap_or(-1) + 1),
        }
        let index = self.machine["CurrentTask"].as_i64().unwrap_or(0) as usize;
        let Some(task) = self.tasks.get(index) else {
            self.machine["WorkflowComplete"] = json!(true);
            return Response::json(204, &Value::Null);
        };
        let id = format!("job-{}", self.jobs.len() + 1);
        let job = json!({"Uuid": id, "Machine": "m-1", "Task": task.0, "Stage": "s", "Workflow": "w", "Context": "", "State": "created", "ExitState": ""});
        self.machine["CurrentJob"] = json!(id);
        self.logs.insert(id.clone(), format!("Log for Job: {id}\n").into_bytes());
        self.jobs.insert(id, job.clone());
        Response::json(201, &job)
    }

    fn actions(&self, id: &str) -> Value {
        let name = self.jobs[id]["Task"].as_str().unwrap_or_default();
        let task = self.tasks.iter().find(|task| task.0 == name).expect("task");
        let all = task.1.iter().map(
            |(name, path, content)| json!({"Name": name, "Path": path, "Content": content, "Meta": null}),
        );
        all.collect()
    }

    /// Keeps of a piece what is not there yet.
    fn append(&mut self, id: &str, request: &Request) {
        let log = self.logs.get_mut(id).expect("log");
        let offset: usize = request.header("x-gantry-log-offset").parse().expect("our agent sends offsets");
        assert!(offset <= log.len(), "a gap in the log: {offset} after {}", log.len());
        log.extend_from_slice(request.body.get(log.len() - offset..).unwrap_or_default());
    }
}

fn patch(object: &mut Value, operations: &Value) -> Response {
    let mut new = object.clone();
    for op in operations.as_array().into_iter().flatten() {
        let name = op["path"].as_str().unwrap_or_default().trim_start_matches('/');
        if op["op"] == "test" && new[name] != op["value"] {
            return Response::json(
                409,
                &json!({"Type": "PATCH", "Messages": ["Test op failed."], "Code": 409}),
            );
        }
        new[name] = op["value"].clone();
    }
    *object = new;
    Response::json(200, object)
}
