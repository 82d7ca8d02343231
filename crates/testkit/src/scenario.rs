//! A lab with a server in it, set up and ready for machines.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_client::{Client, Credentials, Endpoint};
use gantry_lab::{Config, Helper, Lab, Lifetime, Machine, Process, Program};
use http::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::artifacts::Artifacts;
use crate::error::{Doing, Error, Result};

/// The first user of a fresh server.
pub const USER: &str = "rocketskates";
/// That user's password on a fresh server.
pub const PASSWORD: &str = "r0cketsk8ts";

/// The server's address inside the lab.
const SERVER: &str = "192.168.124.1";
/// A server that has not answered by then has failed.
const START: Duration = Duration::from_secs(60);
/// What the server knows is looked at so often.
const LOOK: Duration = Duration::from_millis(250);
const SIGKILL: i32 = 9;

/// How a scenario begins.
#[derive(Clone, Debug)]
pub struct Options {
    /// The lab's name; a fresh one if there is none.
    pub name: Option<String>,
    /// Whether lab and server end with the [`Scenario`], or stay until somebody stops them.
    pub lifetime: Lifetime,
    /// Where the host reaches the API; port 0 takes a free one.
    pub api: SocketAddr,
    /// The workflow of machines that register.
    pub workflow: String,
    /// Parameters of all machines (profile `global`), by name.
    pub params: Vec<(String, Value)>,
}

impl Default for Options {
    /// An owned lab, a free port on the loopback, the workflow `discover`, and kernels that trust their timer: under software
    /// emulation on a busy host Linux's check of it fails and the machine panics.
    fn default() -> Self {
        Self {
            name: None,
            lifetime: Lifetime::Owned,
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            workflow: "discover".to_owned(),
            params: vec![("kernel-options".to_owned(), json!("quiet no_timer_check"))],
        }
    }
}

impl Options {
    /// The workflow `image-deploy`, with the disk image of a build.
    ///
    /// # Errors
    /// [`Error::Missing`] when no image was built.
    pub fn deploying(artifacts: &Artifacts) -> Result<Self> {
        let image = artifacts.image.as_ref().ok_or_else(|| Error::Missing("images/NAME.raw.zst".into()))?;
        let url = format!("{{{{ .ProvisionerURL }}}}/{}", image.served_as());
        let mut options = Self { workflow: "image-deploy".to_owned(), ..Self::default() };
        options.params.push(("image-deploy/image-url".to_owned(), json!(url)));
        options.params.push(("image-deploy/image-sha256".to_owned(), json!(image.sha256)));
        Ok(options)
    }
}

/// A lab with a running server.
#[derive(Debug)]
pub struct Scenario {
    // Dropped first, so that an owned server ends before its lab.
    server: Mutex<Process>,
    lab: Lab,
    client: Client,
    runtime: Runtime,
    listener: TcpListener,
    gantry: PathBuf,
    lifetime: Lifetime,
    url: String,
}

impl Scenario {
    /// Starts lab and server, and sets subnet, preferences and parameters.
    ///
    /// # Errors
    /// If the port is taken, the lab cannot be made, or the server does not start or refuses.
    pub fn start(artifacts: &Artifacts, options: &Options) -> Result<Self> {
        let listener = TcpListener::bind(options.api).doing(|| format!("listen on {}", options.api))?;
        let address = listener.local_addr().doing(|| "look at a listener".to_owned())?;
        let url = format!("https://{address}");
        let runtime =
            Builder::new_current_thread().enable_all().build().doing(|| "start a runtime".to_owned())?;
        let credentials = Credentials::Password(USER.to_owned(), PASSWORD.to_owned());
        let endpoint = Endpoint { url: url.clone(), credentials, proxy: String::new(), headers: Vec::new() };
        let client = Client::new(endpoint).map_err(call("use the API's address"))?;
        let lab = start_lab(artifacts, options)?;
        artifacts.lay_out(&base_root(&lab).join("tftpboot"))?;
        let server = serve(&lab, &artifacts.gantry, &listener, options.lifetime)?;
        let scenario = Self {
            server: Mutex::new(server),
            lab,
            client,
            runtime,
            listener,
            gantry: artifacts.gantry.clone(),
            lifetime: options.lifetime,
            url,
        };
        scenario.wait_server()?;
        scenario.set_up(options)?;
        Ok(scenario)
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The API's URL on the host.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One call of the API: `body` null for none. An empty answer is null.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn call(&self, method: Method, path: &str, query: &[(&str, &str)], body: &Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        let what = format!("{method} {path}");
        self.runtime.block_on(self.client.call(method, path, query, body)).map_err(call(what))
    }

    /// `GET` of the API.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        self.call(Method::GET, path, query, &Value::Null)
    }

    /// Waits until the machine has registered; returns its key in the API.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the end of its serial console, [`Error::Server`] when the server has ended.
    pub fn wait_registered(&self, machine: &Machine, timeout: Duration) -> Result<String> {
        let what = format!("{} to register", machine.name());
        self.wait(machine, &what, timeout, || self.registered(machine))
    }

    /// The machine's key, once it has registered. It is known by the address of its first interface.
    ///
    /// # Errors
    /// If the lab or the server does not answer.
    pub fn registered(&self, machine: &Machine) -> Result<Option<String>> {
        let mac = machine.status()?.spec.mac(0).to_string();
        let machines = self.get("/machines", &[])?;
        let has = |known: &&Value| {
            let macs = known.get("HardwareAddrs").and_then(Value::as_array);
            macs.into_iter()
                .flatten()
                .any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(&mac)))
        };
        let found = machines.as_array().into_iter().flatten().find(has);
        Ok(found.and_then(|found| found.get("Uuid")).and_then(Value::as_str).map(str::to_owned))
    }

    /// The name of a machine, by its key.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn name_of(&self, key: &str) -> Result<String> {
        Ok(field(&self.get(&format!("/machines/{key}"), &[])?, "Name").to_owned())
    }

    /// Waits until the machine's workflow is complete; returns the machine as it is then.
    ///
    /// # Errors
    /// [`Error::Job`] as soon as a job has failed, [`Error::Deadline`] with the end of the serial console.
    pub fn wait_complete(&self, key: &str, machine: &Machine, timeout: Duration) -> Result<Value> {
        let what = format!("the workflow of {} to complete", machine.name());
        self.wait(machine, &what, timeout, || {
            self.check_jobs(key, machine.name())?;
            let object = self.get(&format!("/machines/{key}"), &[])?;
            Ok(is_complete(&object).then_some(object))
        })
    }

    /// Is the machine's workflow complete? Fails as soon as a job has failed.
    ///
    /// # Errors
    /// [`Error::Job`], or [`Error::Call`].
    pub fn completed(&self, key: &str, name: &str) -> Result<bool> {
        self.check_jobs(key, name)?;
        Ok(is_complete(&self.get(&format!("/machines/{key}"), &[])?))
    }

    /// All jobs of a machine.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn jobs(&self, key: &str) -> Result<Vec<Value>> {
        Ok(list(self.get("/jobs", &[("Machine", key)])?))
    }

    /// The boot trace of a machine's latest power-on. Before it has registered, its MAC is its key.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn trace(&self, key: &str) -> Result<Vec<Value>> {
        Ok(list(self.get(&format!("/machines/{key}/trace"), &[])?))
    }

    /// The boot trace of a machine, all its power-ons.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn whole_trace(&self, key: &str) -> Result<Vec<Value>> {
        Ok(list(self.get(&format!("/machines/{key}/trace"), &[("boot", "all")])?))
    }

    /// The log of a job.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn job_log(&self, job: &str) -> Result<String> {
        let path = format!("/jobs/{job}/log");
        let fetch = async {
            let response = self.client.send(self.client.request(Method::GET, &path, &[])).await?;
            let unreadable =
                |error: String| gantry_client::Error::Unreadable { url: path.clone(), reason: error };
            response.text().await.map_err(|error| unreadable(error.to_string()))
        };
        self.runtime.block_on(fetch).map_err(call(format!("read the log of job {job}")))
    }

    /// The log of the job that runs now, empty when none does. `jobs` are those of [`Scenario::jobs`].
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn running_log(&self, jobs: &[Value]) -> Result<String> {
        let running = jobs.iter().find(|job| field(job, "State") == "running");
        running.map_or(Ok(String::new()), |job| self.job_log(field(job, "Uuid")))
    }

    /// The logs of all jobs of a machine that ran this task, one after another.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn task_log(&self, key: &str, task: &str) -> Result<String> {
        let jobs = self.jobs(key)?;
        let of_task = jobs.iter().filter(|job| field(job, "Task") == task);
        of_task.map(|job| self.job_log(field(job, "Uuid"))).collect()
    }

    /// Kills the server as a crash would (SIGKILL), and waits for its end.
    ///
    /// # Errors
    /// If it does not end, or the lab has ended.
    pub fn kill_server(&self) -> Result<()> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.kill(SIGKILL)?;
        match server.wait(Duration::from_secs(10))? {
            Some(_) => Ok(()),
            None => Err(deadline("the killed server to end", Duration::from_secs(10), self.server_tail())),
        }
    }

    /// Starts the server again, with the same data and the same listener, and waits until it answers.
    ///
    /// # Errors
    /// As [`Scenario::start`].
    pub fn start_server(&self) -> Result<()> {
        let server = serve(&self.lab, &self.gantry, &self.listener, self.lifetime)?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
        self.wait_server()
    }

    /// The last lines of the server's log.
    pub fn server_tail(&self) -> String {
        let path = self.lab.folder().join("gantry.log");
        tail(&fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }

    /// Ends everything: machines, server, lab.
    ///
    /// # Errors
    /// If the lab cannot be reached.
    pub fn stop(self) -> Result<()> {
        drop(self.server);
        Ok(self.lab.stop()?)
    }

    fn wait_server(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.runtime.block_on(async {
                tokio::time::timeout(Duration::from_secs(5), self.client.get("/info", &[])).await
            });
            if let Ok(Ok(_)) = answer {
                return Ok(());
            }
            self.check_server()?;
            if began.elapsed() > START {
                return Err(deadline("the server to answer", START, self.server_tail()));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn check_server(&self) -> Result<()> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        match server.wait(Duration::from_millis(1))? {
            None => Ok(()),
            Some(end) => Err(Error::Server { end: end.to_string(), tail: self.server_tail() }),
        }
    }

    fn check_jobs(&self, key: &str, name: &str) -> Result<()> {
        let jobs = self.jobs(key)?;
        let Some(failed) = jobs.iter().find(|job| field(job, "State") == "failed") else { return Ok(()) };
        Err(Error::Job {
            task: field(failed, "Task").to_owned(),
            machine: name.to_owned(),
            log: self.job_log(field(failed, "Uuid"))?,
        })
    }

    fn wait<T>(
        &self,
        machine: &Machine,
        what: &str,
        timeout: Duration,
        look: impl Fn() -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            self.check_server()?;
            if began.elapsed() > timeout {
                let serial = machine.serial().and_then(|serial| serial.text()).unwrap_or_default();
                let seen = format!("console:\n{}\nserver:\n{}", tail(&serial), self.server_tail());
                return Err(deadline(what, timeout, seen));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn set_up(&self, options: &Options) -> Result<()> {
        self.call(Method::POST, "/subnets", &[], &subnet())?;
        for (name, value) in &options.params {
            self.call(Method::POST, &format!("/profiles/global/params/{name}"), &[], value)?;
        }
        let prefs = json!({
            "unknownBootEnv": "discovery",
            "defaultBootEnv": "sledgehammer",
            "defaultStage": "discover",
            "defaultWorkflow": options.workflow,
        });
        self.call(Method::POST, "/prefs", &[], &prefs).map(drop)
    }
}

/// The last lines of a long text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn start_lab(artifacts: &Artifacts, options: &Options) -> Result<Lab> {
    let mut config =
        Config { helper: Helper::at(&artifacts.gantry), lifetime: options.lifetime, ..Config::default() };
    if let Some(name) = &options.name {
        config.name.clone_from(name);
    }
    Ok(Lab::start(config)?)
}

fn base_root(lab: &Lab) -> PathBuf {
    lab.folder().join("base")
}

fn serve(lab: &Lab, gantry: &Path, listener: &TcpListener, lifetime: Lifetime) -> Result<Process> {
    let listener = listener.try_clone().doing(|| "share the API's listener".to_owned())?;
    let base = base_root(lab).display().to_string();
    let words = ["serve", "--base-root", &base, "--router-advertisement", "--log-level", "info"];
    let mut program = Program::new(gantry).args(words).listener("api", listener);
    program.lifetime = lifetime;
    Ok(lab.spawn(&program)?)
}

/// The lab's network, with the server as its name server and no way out.
fn subnet() -> Value {
    json!({
        "Name": "lab",
        "Subnet": format!("{SERVER}/24"),
        "ActiveStart": "192.168.124.10",
        "ActiveEnd": "192.168.124.200",
        "ActiveLeaseTime": 3600,
        "ReservedLeaseTime": 7200,
        "Enabled": true,
        "Strategy": "MAC",
        "Options": [{"Code": 3, "Value": SERVER}, {"Code": 6, "Value": SERVER}],
    })
}

fn is_complete(machine: &Value) -> bool {
    machine.get("WorkflowComplete").and_then(Value::as_bool).unwrap_or_default()
}

fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

fn call(what: impl Into<String>) -> impl FnOnce(gantry_client::Error) -> Error {
    |source| Error::Call { what: what.into(), source }
}

fn deadline(what: &str, after: Duration, tail: String) -> Error {
    Error::Deadline { what: what.to_owned(), after, tail }
}
