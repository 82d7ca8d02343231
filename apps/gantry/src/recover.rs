//! `gantry recover`: the way back into a server on its own host.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use gantry_server::{config, recover};

/// The command.
pub(crate) fn command() -> Command {
    config::for_recovery("recover")
        .about("Give a user a new password and the role superuser, on the host of a stopped server")
        .after_help(
            "Stop the server first. The new password is printed on standard output; the user's tokens end. Give the flags and \
             variables that the server is started with; those of other services do not matter.",
        )
        .arg(
            Arg::new("user")
                .value_name("user")
                .default_value("rocketskates")
                .help("Who; made if there is no such user"),
        )
}

/// Prints the new password.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let user = matches.get_one::<String>("user").map(String::as_str).unwrap_or_default();
    match recover(matches, user) {
        Ok(word) => {
            #[expect(clippy::print_stdout, reason = "the one line that this command is for")]
            {
                println!("{word}");
            }
            super::say(&format!(
                "user {user} has this new password and the role superuser; start the server, and change it with\n  \
                 gantry -U {user} -P {word} users password {user} NEW"
            ));
            ExitCode::SUCCESS
        }
        Err(text) => {
            super::say(&format!("Error: {text}"));
            ExitCode::FAILURE
        }
    }
}

fn recover(matches: &ArgMatches, user: &str) -> Result<String, String> {
    let config = config::read(matches, |name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(recover::superuser(&config, user)).map_err(|error| error.to_string())
}
