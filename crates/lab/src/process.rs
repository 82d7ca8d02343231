//! Programs that run inside a lab, and how they end.

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Lifetime;

/// A program to be run inside a lab.
#[derive(Debug)]
pub struct Program {
    /// The executable; without a slash it is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables, and what they stand on.
    pub env: Vec<(String, String)>,
    /// The environment that [`Program::env`] is added to.
    pub base: Base,
    /// The working folder; without one, that in which the lab was started.
    pub folder: Option<PathBuf>,
    /// Where its output goes.
    pub output: Output,
    /// Who decides when it ends.
    pub lifetime: Lifetime,
    /// Listeners that were bound outside the lab, such as on the host's loopback, by name. The program gets them as systemd would
    /// hand them over (sd_listen_fds(3)): file 3 and on, with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID in the environment.
    pub listeners: Vec<(String, TcpListener)>,
}

/// What a program's variables are added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Base {
    /// The environment in which the lab was started.
    Lab,
    /// Nothing: the program knows its own variables and no others.
    Nothing,
}

/// Where a program's output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the end of `NAME.log` in the lab's folder; standard input is empty.
    Log(String),
    /// To where this process's goes, and its standard input comes from there too.
    Inherit,
}

impl Program {
    /// A program without arguments that ends with its handle and writes to a log of its own name.
    pub fn new(program: impl Into<PathBuf>) -> Program {
        let program = program.into();
        let name =
            program.file_name().map_or_else(|| "program".into(), |name| name.to_string_lossy().into_owned());
        Program {
            program,
            args: Vec::new(),
            env: Vec::new(),
            base: Base::Lab,
            folder: None,
            output: Output::Log(name),
            lifetime: Lifetime::Owned,
            listeners: Vec::new(),
        }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Program {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Program {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Passes a listener on, under a name.
    #[must_use]
    pub fn listener(mut self, name: impl Into<String>, listener: TcpListener) -> Program {
        self.listeners.push((name.into(), listener));
        self
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, if it left by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl Exit {
    /// Did it leave with code 0?
    pub fn is_success(self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("an unknown end"),
        }
    }
}
