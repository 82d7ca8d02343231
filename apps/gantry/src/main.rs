//! The Gantry server and command line in one program.
//!
//! `gantry serve` is the server, `gantry lab` and `gantry image` are the tools of the house, everything else talks to a
//! server. Called as `dr-provision` the program is the server, called as `drpcli` it is the client, so that scripts written
//! for those work. Only this file reads the process environment.

mod serve;

use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use gantry_cli::Environment;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    let called =
        args.first().map(|name| Path::new(name).file_name().unwrap_or(name).to_string_lossy().into_owned());
    match called.as_deref() {
        Some("dr-provision") => {
            args.insert(1, "serve".into());
            run(args, &["serve"])
        }
        Some("drpcli") => run(args, &["client"]),
        _ => run(args, &["serve", "tools", "client"]),
    }
}

/// Parses and runs; `parts` says which commands this call offers.
fn run(args: Vec<std::ffi::OsString>, parts: &[&str]) -> ExitCode {
    let mut command = Command::new("gantry")
        .about("Provision physical machines")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    if parts.contains(&"serve") {
        command = command.subcommand(gantry_server::config::command("serve"));
    }
    if parts.contains(&"tools") {
        command = command.subcommand(gantry_lab::cli::command()).subcommand(gantry_image::command());
    }
    if parts.contains(&"client") {
        command = gantry_cli::mount(command);
    }
    let matches = command.get_matches_from(args);
    match matches.subcommand() {
        Some(("serve", inner)) => serve::run(inner),
        Some(("lab", inner)) => gantry_lab::cli::run(inner),
        Some(("image", inner)) => image(inner),
        _ => gantry_cli::run(&matches, &Environment::new(std::env::vars())),
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
