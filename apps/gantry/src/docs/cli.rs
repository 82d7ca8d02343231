//! `cli.md`: every command with its words and flags.

use clap::{Arg, Command};

use super::{code, table};

/// The page.
pub(crate) fn page(mut program: Command) -> String {
    program.build();
    let mut page = format!(
        "# Command line\n\n{INTRODUCTION}\n## Flags of every command that talks to a server\n\n{}",
        flags(program.get_arguments().map(|arg| ("", arg)), Which::Global)
    );
    for noun in shown(&program) {
        page += &section(noun);
    }
    page
}

const INTRODUCTION: &str = "\
`gantry <noun> <verb> [words]`. Data goes to standard output, messages go to standard error; the exit status is 0 when it worked and 1
when it did not. Every command tells about itself with `--help`. Called by the name `drpcli` the program is the client alone, called
`dr-provision` it is `gantry serve`.

A word that stands for an object (`<id>`) is its key or `Index:value`, such as `Name:rack7-u3`. A word that stands for JSON may be JSON or
YAML, the name of a file, a URL, or `-` for standard input.

`wait` exits with 0 also when its time is over, as `drpcli` does: it prints `timeout` on standard output and what was there instead on
standard error. An object that was saved but cannot be used as it is (`Available` is false) is a warning on standard error with its
`Errors`, and so is a field that nobody knows; the exit status stays 0.
";

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn section(noun: &Command) -> String {
    let name = noun.get_name();
    let about = noun.get_about().map(ToString::to_string).unwrap_or_default();
    let head = format!("## {name}\n\n{about}.\n\n");
    if name == "serve" {
        return head + "Its flags have a [page of their own](server-flags.md).\n\n";
    }
    let leaves = match leaves(noun) {
        none if none.is_empty() => vec![noun],
        leaves => leaves,
    };
    let rows = leaves
        .iter()
        .map(|leaf| vec![code(&usage(leaf)), leaf.get_about().map(ToString::to_string).unwrap_or_default()]);
    let own = leaves.iter().flat_map(|leaf| leaf.get_arguments().map(|arg| (leaf.get_name(), arg)));
    head + &table(&["Command", "What it does"], rows) + &flags(own, Which::Own)
}

/// The commands below `noun` that can be run.
fn leaves(noun: &Command) -> Vec<&Command> {
    let mut found = Vec::new();
    for command in shown(noun) {
        if !command.is_subcommand_required_set() {
            found.push(command);
        }
        found.extend(leaves(command));
    }
    found
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let first = usage.lines().next().unwrap_or_default();
    first.trim_start_matches("Usage: ").to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Global,
    Own,
}

/// A table of flags; flags of several commands that mean the same have one row.
fn flags<'a>(args: impl Iterator<Item = (&'a str, &'a Arg)>, which: Which) -> String {
    let mut rows: Vec<(String, String, Vec<&str>)> = Vec::new();
    for (command, arg) in args {
        let Some(long) = arg.get_long().filter(|long| *long != "help" && *long != "version") else {
            continue;
        };
        // Global flags are hidden from the help of commands, and so from everywhere but here.
        let is_global = arg.is_global_set();
        if is_global != (which == Which::Global) || arg.is_hide_set() && !is_global {
            continue;
        }
        let flag = spelled(arg, long);
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default() + &defaults(arg);
        match rows.iter_mut().find(|row| row.0 == flag && row.1 == help) {
            Some(row) => row.2.push(command),
            None => rows.push((flag, help, vec![command])),
        }
    }
    match which {
        Which::Global => {
            table(&["Flag", "Meaning"], rows.into_iter().map(|(flag, help, _)| vec![code(&flag), help]))
        }
        Which::Own => table(
            &["Flag", "Of", "Meaning"],
            rows.into_iter().map(|(flag, help, of)| vec![code(&flag), of.join(", "), help]),
        ),
    }
}

fn spelled(arg: &Arg, long: &str) -> String {
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let value = match (arg.get_action().takes_values(), arg.get_value_names()) {
        (false, _) => String::new(),
        (true, None) => format!(" <{long}>"),
        (true, Some(names)) => names.iter().map(|name| format!(" <{name}>")).collect(),
    };
    format!("{short}--{long}{value}")
}

fn defaults(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match arg.get_action().takes_values() && !values.is_empty() {
        true => format!(" (default {})", values.join(" ")),
        false => String::new(),
    }
}
