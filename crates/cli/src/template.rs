//! `gantry template render FILE`: renders one template here, without a server, to try it out.
//!
//! The data are plain: what a file says. The methods of a machine's rendering (`.Param`, `.Machine.Path`, …) need a server's
//! objects; `gantry content check` renders those.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use gantry_pack::yaml;
use gantry_template::{Limits, MissingKey, Set, System, Value};

use crate::{Error, fail, input};

/// The command `template`.
pub fn command() -> Command {
    let render = Command::new("render")
        .about("Render a template file over data, to standard output")
        .arg(path("file").required(true).help("The template; - is standard input"))
        .arg(path("data").long("data").help("Data as YAML or JSON, which dot is; - is standard input"))
        .arg(path("with").long("with").action(ArgAction::Append).help(
            "Another template that this one may call, under the name of its file; may be given several times",
        ))
        .arg(
            Arg::new("missingkey")
                .long("missingkey")
                .value_parser(PossibleValuesParser::new(["default", "zero", "error"]))
                .default_value("default")
                .help("What a key that is not in a map is: <no value>, the zero value, or an error"),
        );
    Command::new("template")
        .about("Try out templates: Go's text/template with the functions of Sprig")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(render)
}

fn path(name: &'static str) -> Arg {
    Arg::new(name).value_name("FILE").value_parser(value_parser!(PathBuf))
}

/// Runs what [`command`] matched.
pub fn run(matches: &ArgMatches) -> ExitCode {
    let Some(("render", matches)) = matches.subcommand() else { return ExitCode::FAILURE };
    match render(matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Writes the output as it comes; what was rendered before an error is shown, and the error follows.
fn render(matches: &ArgMatches) -> Result<(), Error> {
    let mut set = Set::new();
    set.set_missing_key(match matches.get_one::<String>("missingkey").map(String::as_str) {
        Some("zero") => MissingKey::Zero,
        Some("error") => MissingKey::Error,
        _ => MissingKey::Default,
    });
    for file in matches.get_many::<PathBuf>("with").unwrap_or_default() {
        parse(&mut set, file)?;
    }
    let Some(file) = matches.get_one::<PathBuf>("file") else { return Ok(()) };
    let main = parse(&mut set, file)?;
    let data = match matches.get_one::<PathBuf>("data") {
        Some(file) => data(file)?,
        None => Value::Nil,
    };
    let mut out = Vec::new();
    let rendered = set.render(&main, &data, &Limits::default(), &System, &mut out);
    let written = io::stdout().write_all(&out);
    written.map_err(|source| Error::File { file: "standard output".into(), source })?;
    rendered.map_err(|error| Error::Usage(error.message))
}

/// Parses a file under its own name, without folders.
fn parse(set: &mut Set, file: &Path) -> Result<String, Error> {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    set.parse(&name, &text(file)?).map_err(|error| Error::Usage(error.message))?;
    Ok(name)
}

fn data(file: &Path) -> Result<Value, Error> {
    let text = text(file)?;
    // Of equal keys the last would count, and of documents the first.
    if let Some(dropped) = yaml::parse(&text).ok().and_then(|document| document.dropped.into_iter().next()) {
        let (file, line, message) = (file.display(), dropped.line, dropped.message);
        return Err(Error::Usage(format!(
            "{file}:{line}: {message}; data are one document, with each key once"
        )));
    }
    let parsed = input::parse(&text);
    let json = parsed
        .map_err(|reason| Error::Usage(format!("{} is neither JSON nor YAML: {reason}", file.display())))?;
    Ok(Value::from_json_live(&json))
}

fn text(file: &Path) -> Result<String, Error> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    read.map_err(|source| Error::File { file: file.display().to_string(), source })
}
