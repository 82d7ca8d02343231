//! The command line of a Gantry server: `gantry <noun> <verb>`.
//!
//! Nouns and generic verbs come from the list of kinds of `gantry-model`, so a new kind has its commands at once; what only
//! some nouns have is a table in [`special`]. The grammar is drpcli's (reference: network.md §5): same words, same flags,
//! same environment, data on standard output, talk on standard error, exit status 0 or 1.
//!
//! Left out: `drpcli`'s agent, catalogue and local helpers. The agent is a program of its own.

mod blob;
mod generic;
mod input;
mod machine;
mod merge;
mod output;
mod run;
mod session;
mod special;
mod verb;
mod watch;

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use gantry_model::Kind;

pub use session::Environment;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server or the way to it.
    #[error(transparent)]
    Client(#[from] gantry_client::Error),
    /// What was typed cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{file}: {source}")]
    File {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Adds everything that talks to a server to `command`: global flags and one subcommand per noun.
pub fn mount(command: Command) -> Command {
    let command = command.args(session::flags());
    let kinds = Kind::ALL.iter().copied().filter(|kind| kind.spec().verbs.read);
    let command = kinds.fold(command, |command, kind| command.subcommand(verb::noun(kind)));
    special::nouns().fold(command, Command::subcommand)
}

/// Runs what [`mount`]'s commands matched.
pub fn run(matches: &ArgMatches, environment: &Environment) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run::dispatch(matches, environment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(text: &str) -> ExitCode {
    #[expect(clippy::print_stderr, reason = "this is where the command line talks to people")]
    {
        eprintln!("Error: {text}");
    }
    ExitCode::FAILURE
}
