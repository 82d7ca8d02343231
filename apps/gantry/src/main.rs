//! The Gantry server and command line in one program.
//!
//! `gantry serve` is the server, `gantry lab`, `gantry image` and `gantry template` are the tools of the house, everything
//! else talks to a server. Called as `dr-provision` the program is the server, called as `drpcli` it is the client, so that
//! scripts written for those work. Only this file reads the process environment.

mod docs;
mod recover;
mod serve;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use gantry_cli::Environment;

/// What the program is, by the name that it was called by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// All of it.
    Gantry,
    /// `dr-provision`: `gantry serve` without saying so.
    Server,
    /// `drpcli`: what talks to a server.
    Client,
}

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    let role = role(args.first());
    if role == Role::Server {
        args.insert(1, "serve".into());
    }
    run(args, role)
}

fn role(called: Option<&OsString>) -> Role {
    match called.and_then(|path| Path::new(path).file_name()?.to_str()) {
        Some("dr-provision") => Role::Server,
        Some("drpcli") => Role::Client,
        _ => Role::Gantry,
    }
}

fn run(args: Vec<OsString>, role: Role) -> ExitCode {
    let matches = program(role).get_matches_from(args);
    match matches.subcommand() {
        Some(("serve", inner)) => serve::run(inner),
        Some(("recover", inner)) => recover::run(inner),
        Some(("lab", inner)) => gantry_lab::cli::run(inner),
        Some(("image", inner)) => image(inner),
        Some(("template", inner)) => gantry_cli::template::run(inner),
        Some(("docs", inner)) => docs::run(inner, program(Role::Gantry)),
        _ => {
            // Scripts written for drpcli get what drpcli prints, whatever they print to.
            let for_people = role == Role::Gantry && std::io::stdout().is_terminal();
            let environment = Environment::new(std::env::vars()).on_terminal(for_people);
            gantry_cli::run(&matches, &environment)
        }
    }
}

/// Everything that can be typed.
fn program(role: Role) -> Command {
    let command = Command::new("gantry")
        .about("Provision physical machines")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    let serve = || gantry_server::config::command("serve");
    match role {
        // `dr-provision --version` is `gantry serve --version`; who asks wants to know which DRP it stands in for.
        Role::Server => command
            .version(format!("{} (gantry {})", gantry_api::DRP_VERSION, env!("CARGO_PKG_VERSION")))
            .propagate_version(true)
            .subcommand(serve()),
        Role::Client => gantry_cli::mount(command),
        Role::Gantry => {
            let tools = [
                serve(),
                recover::command(),
                gantry_lab::cli::command(),
                gantry_image::command(),
                gantry_cli::template::command(),
                docs::command(),
            ];
            gantry_cli::mount(command.subcommands(tools))
        }
    }
}

fn image(matches: &clap::ArgMatches) -> ExitCode {
    match gantry_image::run(matches, &Steps, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the steps of a long build.
struct Steps;

impl gantry_image::Progress for Steps {
    fn step(&self, what: &str) {
        say(what);
    }
}

fn say(text: &str) {
    #[expect(clippy::print_stderr, reason = "this is where the command line talks to people")]
    {
        eprintln!("{text}");
    }
}
