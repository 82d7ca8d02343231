//! The command line of a Gantry server: `gantry <noun> <verb>`.
//!
//! Nouns and generic verbs come from the list of kinds of `gantry-model`, so a new kind has its commands at once; what only
//! some nouns have is a table in [`special`]. The grammar is drpcli's (reference: network.md §5): same words, same flags,
//! same environment, data on standard output, talk on standard error, exit status 0 or 1.
//!
//! Left out: `drpcli`'s agent, catalogue and local helpers. The agent is a program of its own.

mod blob;
mod content;
mod generic;
mod input;
mod inspect;
mod machine;
mod merge;
mod origin;
mod output;
mod params;
mod pool;
mod run;
mod session;
mod special;
mod status;
mod subnet;
pub mod template;
mod verb;
mod warn;
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
    /// The server answered with an object that has errors, and those are to count.
    #[error("the object has errors:\n  {}", .0.join("\n  "))]
    Faulty(Vec<String>),
    /// A content pack is wrong, or its files cannot be read.
    #[error(transparent)]
    Pack(#[from] gantry_pack::Error),
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
    special::nouns()
        .fold(command, Command::subcommand)
        .subcommand(content::command())
        .subcommand(session::command())
        .subcommand(
            Command::new("version")
                .about("Show which drpcli this program stands in for, and its own version"),
        )
}

/// Runs what [`mount`]'s commands matched.
pub fn run(matches: &ArgMatches, environment: &Environment) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run::dispatch(matches, environment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&match hint(&error) {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        }),
    }
}

/// What to do about an error that a new user meets.
fn hint(error: &Error) -> Option<String> {
    let Error::Client(error) = error else { return None };
    match error {
        gantry_client::Error::Unreachable { url, .. } if url.starts_with("http://") => Some(TLS.to_owned()),
        gantry_client::Error::Unreachable { url, .. } if session::lacks_port(url) => Some(PORT.to_owned()),
        gantry_client::Error::Unreachable { .. } => Some(START.to_owned()),
        gantry_client::Error::Unauthorized { .. } => Some(LOG_IN.to_owned()),
        gantry_client::Error::Refused(refused) if refused.is_login() => Some(LOG_IN.to_owned()),
        gantry_client::Error::Refused(refused) => by_name(refused)
            .or_else(|| by_filter(refused))
            .or_else(|| by_secret(refused))
            .or_else(|| by_pack(refused))
            .or_else(|| by_number(refused)),
        _ => None,
    }
}

/// Machines are known by UUIDs that nobody remembers; a bare word is a name that lacks its prefix.
fn by_name(refused: &gantry_api::Error) -> Option<String> {
    let key = refused.key.as_str();
    let is_name = gantry_model::Uuid::parse(key).is_err() && !key.contains(':');
    let missing = refused.code == 404 && refused.model == Kind::Machine.prefix() && !key.is_empty();
    (missing && is_name).then(|| format!("a machine is found by its UUID, or by its name as `Name:{key}`"))
}

fn by_filter(refused: &gantry_api::Error) -> Option<String> {
    let unknown = refused.messages.iter().any(|message| message.starts_with("Filter not found"));
    unknown.then(|| {
        format!("`gantry {} indexes` shows what can be filtered by, besides parameters", refused.model)
    })
}

/// A new object has no key yet that its secrets could be sealed for.
fn by_secret(refused: &gantry_api::Error) -> Option<String> {
    let plain = refused.messages.iter().any(|message| message.ends_with("of type models.SecureData"));
    plain.then(|| {
        let noun = refused.model.as_str();
        format!("a secure value is sealed for its object: make that first, then `gantry {noun} set ID param NAME to VALUE`")
    })
}

/// Objects of packs cannot be changed; the refusal is only their key.
fn by_pack(refused: &gantry_api::Error) -> Option<String> {
    let (noun, key) = (refused.model.as_str(), refused.key.as_str());
    let is_key =
        |message: &String| !key.is_empty() && message.strip_prefix("readonly: ").unwrap_or(message) == key;
    let read_only = matches!(refused.code, 400 | 404 | 409)
        && matches!(refused.messages.as_slice(), [one] if is_key(one));
    read_only.then(|| {
        format!("it is read-only, because it comes from a content pack: `Bundle` in `gantry {noun} show {key}` names the pack")
    })
}

/// Go's words for what is no number are DRP's.
fn by_number(refused: &gantry_api::Error) -> Option<String> {
    let no_number = refused.messages.iter().any(|message| message.contains("strconv.Atoi"));
    no_number.then(|| "the value must be a whole number".to_owned())
}

const TLS: &str = "the API is spoken over TLS: begin the endpoint with https://";
const PORT: &str = "a URL without a port means 443; the API listens on 8092: https://host:8092, or the host alone, which means that port";
const START: &str = "start a server with `gantry serve`, or say where one is with -E host, -E https://host:8092 or RS_ENDPOINT";
const LOG_IN: &str =
    "say who you are with -U name -P password, RS_KEY=name:password, or a token by -T or RS_TOKEN";

pub(crate) fn fail(text: &str) -> ExitCode {
    output::say(&format!("Error: {text}"));
    ExitCode::FAILURE
}
