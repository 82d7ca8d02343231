//! Runs the built program, under any of its names.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

pub(crate) const GANTRY: &str = env!("CARGO_BIN_EXE_gantry");

/// What a finished run left.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end, with nothing of this process's environment but what is given.
pub(crate) fn run(program: &Path, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let done = Command::new(program).args(args).env_clear().envs(env.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

/// The program under another name.
pub(crate) fn alias(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    symlink(GANTRY, &path).unwrap();
    path
}

/// A running server.
pub(crate) struct Serving {
    child: Child,
    pub(crate) endpoint: String,
    pub(crate) ready: String,
    base: Option<TempDir>,
}

impl Serving {
    pub(crate) fn start() -> Self {
        Self::start_as(Path::new(GANTRY), &["serve"])
    }

    pub(crate) fn start_as(program: &Path, first: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), program, &[first, &["--backend", "memory"]].concat())
    }

    /// A server that keeps its objects in a folder, which may have been another's.
    pub(crate) fn start_kept(base: TempDir) -> Self {
        Self::start_in(base, Path::new(GANTRY), &["serve"])
    }

    fn start_in(base: TempDir, program: &Path, first: &[&str]) -> Self {
        let Started { child, ready, endpoint } = serve(program, first, base.path());
        Self { endpoint, child, ready, base: Some(base) }
    }

    /// `gantry recover` on the server's store.
    pub(crate) fn recover(&self, user: &str) -> Ran {
        let base = self.base.as_ref().unwrap().path().to_str().unwrap();
        run(Path::new(GANTRY), &["recover", user, "--base-root", base], &[])
    }

    /// Ends the server and gives back its folder.
    pub(crate) fn end(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.base.take().unwrap()
    }

    /// Runs a client command against it.
    pub(crate) fn ask(&self, args: &[&str]) -> Ran {
        run(Path::new(GANTRY), args, &[("RS_ENDPOINT", &self.endpoint)])
    }

    /// The output of a command that must succeed.
    pub(crate) fn tell(&self, args: &[&str]) -> String {
        let ran = self.ask(args);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        ran.out
    }

    /// Bytes of memory that the server has.
    pub(crate) fn resident(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

/// A server that has said that it is ready; whoever has it ends it.
pub(crate) struct Started {
    pub(crate) child: Child,
    /// The line that it said.
    pub(crate) ready: String,
    pub(crate) endpoint: String,
}

/// Starts a server on free ports of loopback, with its state in `base`.
pub(crate) fn serve(program: &Path, first: &[&str], base: &Path) -> Started {
    let mut command = Command::new(program);
    command.env_clear().args(first).arg("--base-root").arg(base);
    command.args(["--listen", "127.0.0.1", "--disable-dhcp", "--cert-type", "P256"]);
    for port in ["--api-port", "--static-port", "--static-secure-port", "--metrics-port", "--tftp-port"] {
        command.args([port, "0"]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let port = ready.split_whitespace().find_map(|word| word.strip_prefix("api=")).unwrap_or_default();
    let endpoint = format!("https://127.0.0.1:{port}");
    Started { child, ready, endpoint }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
