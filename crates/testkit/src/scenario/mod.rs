//! A lab with a server in it, set up and ready for machines.

mod options;
mod seen;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_client::{Client, Credentials, Endpoint};
use gantry_lab::{Config, Helper, Lab, Lifetime, Process, Program};
use http::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::artifacts::Artifacts;
use crate::error::{Doing, Error, Result};

pub use options::Options;

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
        let listener = listen(options.api)?;
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

fn listen(address: SocketAddr) -> Result<TcpListener> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::Taken(address)),
        other => other.doing(|| format!("listen on {address}")),
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

fn call(what: impl Into<String>) -> impl FnOnce(gantry_client::Error) -> Error {
    |source| Error::Call { what: what.into(), source }
}

fn deadline(what: &str, after: Duration, tail: String) -> Error {
    Error::Deadline { what: what.to_owned(), after, tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_comes_with_advice() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let said = listen(holder.local_addr().unwrap()).unwrap_err().to_string();
        assert!(said.contains("another program does\nhint: end it first"), "{said}");
    }
}
