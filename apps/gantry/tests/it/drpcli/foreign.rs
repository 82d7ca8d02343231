//! The foreign program: runs it against a server of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ran, Serving, run};

/// The foreign command line with a server of its own. It keeps tokens in its home.
pub(super) struct Drpcli {
    pub(super) program: PathBuf,
    pub(super) home: TempDir,
    pub(super) server: Serving,
}

impl Drpcli {
    pub(super) fn start() -> Self {
        let program = std::env::var_os("DRPCLI").expect("the tests are ignored without DRPCLI");
        Self { program: program.into(), home: tempfile::tempdir().unwrap(), server: Serving::start() }
    }

    pub(super) fn environment(&self) -> [(&str, &str); 3] {
        let path = "/usr/local/bin:/usr/bin:/bin";
        [("RS_ENDPOINT", &self.server.endpoint), ("HOME", self.home.path().to_str().unwrap()), ("PATH", path)]
    }

    pub(super) fn ask(&self, args: &[&str]) -> Ran {
        run(&self.program, args, &self.environment())
    }

    /// The output of a command that must succeed.
    pub(super) fn tell(&self, args: &[&str]) -> String {
        let ran = self.ask(args);
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    pub(super) fn json(&self, args: &[&str]) -> Value {
        value(&self.tell(args))
    }

    /// Our own command line at the same server.
    pub(super) fn ours(&self, args: &[&str]) -> Value {
        value(&self.server.tell(args))
    }

    /// The error of a command that must fail, on one line.
    pub(super) fn refused(&self, args: &[&str]) -> String {
        let ran = self.ask(args);
        assert_eq!(ran.status, 1, "{args:?} worked: {}", ran.out);
        ran.err.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn spawn(&self, args: &[&str]) -> Running {
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().envs(self.environment()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// A file in the home, which is thrown away.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let file = self.home.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

pub(super) fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|each| each[field].as_str().unwrap().to_owned()).collect()
}

/// A command that goes on.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// Reads pretty-printed JSON objects until one is as wanted.
    pub(super) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut text = String::new();
        loop {
            assert_ne!(self.lines.read_line(&mut text).unwrap(), 0, "it ended after: {text}");
            let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
            text.clear();
            if wanted(&value) {
                return value;
            }
        }
    }

    /// Waits for its end; what it had still to say.
    pub(super) fn end(mut self) -> String {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
