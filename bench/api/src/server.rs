//! One server under measurement: a child process with its store in a temporary folder.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gantry_client::{Client, Credentials, Endpoint};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) files: String,
    /// From the start of the process to its ready line.
    pub(crate) start: Duration,
}

impl Server {
    pub(crate) async fn start(gantry: &Path, base: &Path) -> Result<Self> {
        let mut command = Command::new(gantry);
        command.arg("serve").arg("--base-root").arg(base).args(["--listen", "127.0.0.1", "--disable-dhcp"]);
        for port in ["--api-port", "--static-port", "--static-secure-port", "--metrics-port", "--tftp-port"] {
            command.args([port, "0"]);
        }
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(out).read_line(&mut line).await?;
        let start = began.elapsed();
        let port = |name: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        let url = format!("https://127.0.0.1:{}", port("api"));
        Ok(Self { child, files: format!("http://127.0.0.1:{}", port("files")), url, start })
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> Result<Client> {
        let credentials = Credentials::Password("rocketskates".into(), "r0cketsk8ts".into());
        let endpoint =
            Endpoint { url: self.url.clone(), credentials, proxy: String::new(), headers: Vec::new() };
        Ok(Client::new(endpoint)?)
    }

    /// Seconds of processor time that the server has used.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("unreadable /proc/<pid>/stat")?;
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<f64>)
            .sum::<std::result::Result<f64, _>>()?;
        // The unit is USER_HZ, which is 100 on every Linux.
        Ok(ticks / 100.0)
    }

    /// Resident memory in MB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1024.0 / 1e6)
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| "the server has ended".into())
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.pid()?.to_string();
        Command::new("kill").arg(pid).status().await?;
        self.child.wait().await?;
        Ok(())
    }
}
