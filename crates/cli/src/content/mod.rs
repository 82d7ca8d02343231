//! `gantry content`: content packs as files, here and on the server.
//!
//! What needs no server (bundle, unbundle, convert, document, check, conformance) works without one. `upload` and `preview`
//! talk to it; what it refuses is shown with the file and line of the pack's folder. What `gantry contents` has beside them is in `live`.

mod check;
pub(crate) mod key;
mod keyfile;
pub(crate) mod live;
pub(crate) mod server;

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use gantry_pack::{Fault, Pack};
use serde_json::{Map, Value};

use crate::session::{Environment, Session};
use crate::{Error, output};

/// The command with its verbs.
pub(crate) fn command() -> Command {
    let verb = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let word = |name: &'static str, help: &'static str| Arg::new(name).required(true).help(help);
    let packs = || word("packs", "Packs, or folders with packs below them").num_args(1..);
    let version =
        || Arg::new("pack-version").long("pack-version").help("The version of packs that name none: v1.2.3");
    let key = || Arg::new("key").long("key").help("The file with the key to sealed values of the packs");
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("content")
        .about("Content packs as files: bundle, check, document, upload")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            verb("bundle", "Make one file of a pack's folder: .yaml or .json")
                .arg(word("folder", "The folder of the pack"))
                .arg(word("file", "The bundle; - for standard output"))
                .arg(Arg::new("meta").num_args(0..).help("Metadata that the folder does not have: Version=v1.2.3 …")),
            verb("unbundle", "Write a bundle as a folder")
                .arg(word("file", "The bundle"))
                .arg(word("folder", "Where to; it may exist")),
            verb("convert", "Turn a bundle of YAML into one of JSON, or the other way round")
                .arg(word("from", "The bundle"))
                .arg(word("to", "The other; its ending says which form")),
            verb("document", "Write the manual of a pack, in Markdown")
                .arg(word("pack", "Folder or bundle"))
                .arg(Arg::new("to").help("File; standard output without it")),
            verb("check", "Load packs together and render every template of them; exits with 1 when something is wrong")
                .arg(packs())
                .arg(Arg::new("with").long("with").action(ArgAction::Append).help("A pack that is loaded first and not checked itself"))
                .arg(Arg::new("machines").long("machines").help("Machines to render for, as `gantry machines list` prints them (JSON, YAML or file); a sample machine without it"))
                .arg(key())
                .arg(version()),
            verb("preview", "Show which rendered files of which machines a pack would change on the server; nothing is stored")
                .arg(word("pack", "Folder, bundle, or a file with one object"))
                .arg(Arg::new("kind").long("kind").help("What the file with one object holds: profiles, params, …"))
                .arg(Arg::new("machines").long("machines").help("Only these machines (comma list of names)"))
                .arg(key())
                .arg(switch("tasks", "Render the task lists' scripts too"))
                .arg(switch("replace-writable", "Objects of the store give way to those of the pack")),
            verb("upload", "Load or replace packs on the server, those that others need first")
                .arg(packs())
                .arg(version())
                .arg(key())
                .arg(switch("replace-writable", "Objects of the store give way to those of the pack")),
            verb("conformance", "Load and render whole checkouts of packs; print a page about it")
                .arg(word("generations", "TITLE=VERSION:FOLDER[,FOLDER…] …").num_args(1..))
                .arg(Arg::new("output").long("output").help("File for the page; standard output without it")),
        ])
}

pub(crate) async fn run(matches: &ArgMatches, environment: &Environment) -> Result<(), Error> {
    let Some((verb, inner)) = matches.subcommand() else { return Ok(()) };
    match verb {
        "bundle" => bundle(inner),
        "unbundle" => Ok(read(inner, "file")?.unbundle(&path(inner, "folder"))?),
        "convert" => write_bundle(&read(inner, "from")?, text(inner, "to")),
        "document" => print_to(inner.get_one("to"), &gantry_pack::document(&read(inner, "pack")?)),
        "check" => check::run(inner).await,
        "conformance" => check::conform(inner),
        "preview" => server::preview(inner, &Session::open(inner, environment, false).await?).await,
        _ => server::upload(inner, &Session::open(inner, environment, false).await?).await,
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
}

fn key_file(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>("key").map(String::as_str)
}

fn path(matches: &ArgMatches, name: &str) -> PathBuf {
    text(matches, name).into()
}

fn words<'a>(matches: &'a ArgMatches, name: &str) -> impl Iterator<Item = &'a str> {
    matches.get_many::<String>(name).into_iter().flatten().map(String::as_str)
}

fn read(matches: &ArgMatches, name: &str) -> Result<Pack, Error> {
    Ok(Pack::read(&path(matches, name))?)
}

fn bundle(matches: &ArgMatches) -> Result<(), Error> {
    let meta: Vec<&str> = words(matches, "meta").collect();
    make_bundle(&path(matches, "folder"), text(matches, "file"), &meta)
}

/// drpcli's `contents bundle`: of the folder that one is in.
pub(crate) fn bundle_here(file: &str, meta: &[&str]) -> Result<(), Error> {
    make_bundle(Path::new("."), file, meta)
}

/// drpcli's `contents unbundle`: into the folder that one is in.
pub(crate) fn unbundle_here(file: &str) -> Result<(), Error> {
    Ok(Pack::read(Path::new(file))?.unbundle(Path::new("."))?)
}

/// drpcli's `contents document`.
pub(crate) fn manual(file: &str) -> Result<(), Error> {
    print_to(None, &gantry_pack::document(&Pack::read(Path::new(file))?))
}

fn make_bundle(folder: &Path, file: &str, meta: &[&str]) -> Result<(), Error> {
    let given: Map<String, Value> = meta
        .iter()
        .map(|word| match word.split_once('=') {
            Some((field, value)) => Ok((field.to_owned(), Value::from(value))),
            None => Err(Error::Usage(format!("`{word}` is no metadata; write Field=value"))),
        })
        .collect::<Result<_, _>>()?;
    let pack = Pack::read_with(folder, &given)?;
    for (field, value) in given.iter().filter(|(field, value)| pack.meta.get(*field) != Some(value)) {
        let own = pack.field(field);
        output::say(&format!("warning: {field} stays {own}, as a file of the pack says; {value} is ignored"));
    }
    warn_of_doubles(&pack);
    // A bundle that no server would decode is of no use.
    pack.layer()?;
    write_bundle(&pack, file)
}

/// Files of which nothing comes into the bundle or onto the server.
fn warn_of_doubles(pack: &Pack) {
    pack.doubles().iter().for_each(|double| output::say(&format!("warning: {double}")));
}

fn write_bundle(pack: &Pack, file: &str) -> Result<(), Error> {
    let bundle = match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => pack.to_json(),
        Some("yaml" | "yml") => pack.to_yaml(),
        _ if file == "-" => pack.to_yaml(),
        _ => return Err(Error::Usage(format!("{file} must end in .yaml, .yml or .json"))),
    };
    let file = file.to_owned();
    print_to(Some(&file).filter(|file| *file != "-"), &bundle)
}

fn print_to(file: Option<&String>, content: &str) -> Result<(), Error> {
    match file {
        Some(file) => {
            std::fs::write(file, content).map_err(|source| Error::File { file: file.clone(), source })
        }
        None => {
            output::print(content.trim_end());
            Ok(())
        }
    }
}

/// The version that packs get which name none.
fn given(matches: &ArgMatches) -> Map<String, Value> {
    let version = matches.get_one::<String>("pack-version").map(|version| Value::from(version.as_str()));
    version.map(|version| ("Version".to_owned(), version)).into_iter().collect()
}

/// What can be read of the packs at each place; what is wrong with one, or with a file of it, does not hide the others.
fn read_each<'a>(
    places: impl Iterator<Item = &'a str>,
    given: &Map<String, Value>,
    faults: &mut Vec<Fault>,
) -> Result<Vec<Pack>, Error> {
    let mut packs = Vec::new();
    for place in places {
        let (found, wrong) = Pack::read_all_loosely(Path::new(place), given)?;
        packs.extend(found);
        faults.extend(wrong);
    }
    Ok(packs)
}
