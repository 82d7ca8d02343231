//! `gantry content`: content packs as files, here and on the server.
//!
//! What needs no server (bundle, unbundle, convert, document, check, conformance) works without one. `upload` and `preview`
//! talk to it; what it refuses is shown with the file and line of the pack's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use gantry_boot::Renderer;
use gantry_boot::rules::TemplateRules;
use gantry_boot::survey::Scripts;
use gantry_model::{Edit, Kind, Layer, Record, Rules as _, View};
use gantry_pack::check::{self, Limits};
use gantry_pack::{Fault, Pack, conformance, listed};
use http::Method;
use serde_json::{Map, Value, json};

use crate::session::{Environment, Session};
use crate::{Error, input, output};

/// The command with its verbs.
pub(crate) fn command() -> Command {
    let verb = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let word = |name: &'static str, help: &'static str| Arg::new(name).required(true).help(help);
    let packs = || word("packs", "Packs, or folders with packs below them").num_args(1..);
    let version =
        || Arg::new("pack-version").long("pack-version").help("The version of packs that name none: v1.2.3");
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
                .arg(version()),
            verb("preview", "Show which rendered files of which machines a pack would change on the server; nothing is stored")
                .arg(word("pack", "Folder, bundle, or a file with one object"))
                .arg(Arg::new("kind").long("kind").help("What the file with one object holds: profiles, params, …"))
                .arg(Arg::new("machines").long("machines").help("Only these machines (comma list of names)"))
                .arg(switch("tasks", "Render the task lists' scripts too"))
                .arg(switch("replace-writable", "Objects of the store give way to those of the pack")),
            verb("upload", "Load or replace packs on the server, those that others need first")
                .arg(packs())
                .arg(version())
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
        "check" => check(inner).await,
        "conformance" => conform(inner),
        "preview" => preview(inner, &Session::open(inner, environment, false).await?).await,
        _ => upload(inner, &Session::open(inner, environment, false).await?).await,
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
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
    // A bundle that no server would decode is of no use.
    pack.layer()?;
    write_bundle(&pack, file)
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

/// The packs at each place; what is wrong with one does not hide the others.
fn read_each<'a>(
    places: impl Iterator<Item = &'a str>,
    given: &Map<String, Value>,
    faults: &mut Vec<Fault>,
) -> Result<Vec<Pack>, Error> {
    let mut packs = Vec::new();
    for place in places {
        match Pack::read_all_with(Path::new(place), given) {
            Ok(found) => packs.extend(found),
            Err(gantry_pack::Error::Wrong { faults: found, .. }) => faults.extend(found),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(packs)
}

/// Loads, then renders; everything that is wrong is printed.
async fn check(matches: &ArgMatches) -> Result<(), Error> {
    let (given, mut faults) = (given(matches), Vec::new());
    let mut packs = read_each(words(matches, "packs"), &given, &mut faults)?;
    let names: Vec<String> = packs.iter().map(|pack| pack.name().to_owned()).collect();
    packs.extend(read_each(words(matches, "with"), &given, &mut faults)?);
    let (view, layers) = load(&packs, &mut faults);
    let machines = match matches.get_one::<String>("machines") {
        Some(argument) => Some(records(input::value(argument).await?)?),
        None => None,
    };
    let mut lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let rendered = match machines {
        Some(machines) => for_machines(&view, &machines, &mut lines),
        None => for_samples(
            &view,
            layers.iter().filter(|layer| names.iter().any(|name| name == layer.name())),
            &mut lines,
        ),
    };
    let wrong = lines.len();
    lines.push(format!("{} packs, {rendered} templates rendered, {wrong} problems", names.len()));
    output::print(&lines.join("\n"));
    if wrong == 0 { Ok(()) } else { Err(Error::Usage(format!("{wrong} problems"))) }
}

/// The View with all packs that load.
fn load(packs: &[Pack], faults: &mut Vec<Fault>) -> (View, Vec<Arc<Layer>>) {
    let mut layers = Vec::new();
    for pack in packs {
        match pack.layer() {
            Ok(layer) => layers.push(layer),
            Err(gantry_pack::Error::Wrong { faults: found, .. }) => faults.extend(found),
            Err(_) => {}
        }
    }
    let layers = gantry_pack::in_order(layers);
    let mut view = View::base();
    let located = |layer: &Layer, error: gantry_model::Error| {
        let pack = packs.iter().find(|pack| pack.name() == layer.name());
        match pack.map(|pack| pack.wrong(error)) {
            Some(gantry_pack::Error::Wrong { faults, .. }) => faults,
            _ => Vec::new(),
        }
    };
    for layer in &layers {
        match view.put_layer(Arc::clone(layer), view.revision() + 1) {
            Ok((next, _)) => view = next,
            Err(error) => faults.extend(located(layer, error)),
        }
    }
    let rules = TemplateRules(Arc::new(Renderer::new()));
    for layer in &layers {
        let mut found = Vec::new();
        rules.check_layer(&view, layer, &mut found);
        faults.extend(located(layer, gantry_model::Error::layer(layer.name(), found)));
    }
    (view, layers)
}

fn for_samples<'a>(
    view: &View,
    layers: impl Iterator<Item = &'a Arc<Layer>>,
    lines: &mut Vec<String>,
) -> usize {
    // As if the files of every boot environment were there.
    let view = &check::furnished(view);
    let mut rendered = 0;
    for layer in layers {
        let report = check::samples(view, layer, Limits::default());
        rendered += report.rendered;
        lines.extend(report.findings.iter().map(ToString::to_string));
    }
    rendered
}

fn for_machines(view: &View, machines: &[Arc<Record>], lines: &mut Vec<String>) -> usize {
    let edits: Vec<Edit> = machines.iter().map(|machine| Edit::put(Arc::clone(machine))).collect();
    let (view, _) = view.apply(&edits, view.revision() + 1);
    let report = check::machines(&view, machines, Scripts::Listed, Limits::default());
    lines.extend(report.findings.iter().map(ToString::to_string));
    report.rendered
}

fn records(machines: Value) -> Result<Vec<Arc<Record>>, Error> {
    let machines = match machines {
        Value::Array(machines) => machines,
        one => vec![one],
    };
    let record = |machine| Record::from_value(Kind::Machine, machine, 0).map(Arc::new);
    machines
        .into_iter()
        .map(record)
        .collect::<Result<_, _>>()
        .map_err(|why| Error::Usage(format!("--machines: {why}")))
}

fn conform(matches: &ArgMatches) -> Result<(), Error> {
    let mut all = Vec::new();
    for word in words(matches, "generations") {
        let generation = conformance::generation(word).map_err(Error::Usage)?;
        let outcomes = conformance::run(&generation, &conformance::fresh())?;
        all.push((generation, outcomes));
    }
    print_to(matches.get_one("output"), &conformance::page(&all))?;
    let lost = all.iter().flat_map(|(_, outcomes)| outcomes).filter(|outcome| !outcome.loaded()).count();
    if lost == 0 { Ok(()) } else { Err(Error::Usage(format!("{lost} packs did not load"))) }
}

async fn preview(matches: &ArgMatches, session: &Session) -> Result<(), Error> {
    let pack = match matches.get_one::<String>("kind") {
        Some(kind) => single(kind, &input::value(text(matches, "pack")).await?)?,
        None => read(matches, "pack")?,
    };
    let mut query = vec![("check", "true")];
    if matches.get_flag("tasks") {
        query.push(("tasks", "true"));
    }
    if matches.get_flag("replace-writable") || matches.get_one::<String>("kind").is_some() {
        query.push(("replaceWritable", "true"));
    }
    if let Some(machines) = matches.get_one::<String>("machines") {
        query.push(("machines", machines));
    }
    let report = session.client.call(Method::POST, "/contents", &query, Some(&pack.to_value())).await;
    let report = report.map_err(|error| located(&pack, error))?;
    output::print(&shown(&report));
    Ok(())
}

/// One object as a pack.
fn single(kind: &str, object: &Value) -> Result<Pack, Error> {
    let kind = Kind::from_prefix(kind).ok_or_else(|| {
        Error::Usage(format!("--kind is `{kind}`; it must be profiles, params, stages or the like"))
    })?;
    let key = object.get(kind.spec().key_field).and_then(Value::as_str).unwrap_or_default();
    let value = json!({"meta": {"Name": "preview"}, "sections": {kind.prefix(): {key: object}}});
    Pack::from_value(value).map_err(Error::Usage)
}

/// The report for people: changes, then failures, then the sums.
fn shown(report: &Value) -> String {
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_u64).unwrap_or_default();
    let list = |field: &str| report.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for change in list("Changes") {
        let (machine, count) = (text(&change, "Machine"), number(&change, "Machines"));
        let who = match count {
            0 => "unknown machines".to_owned(),
            1 => machine,
            more => format!("{machine} and {} more machines", more - 1),
        };
        lines.push(format!("== {} ({who})\n{}", text(&change, "Source"), text(&change, "Diff")));
    }
    for finding in list("Findings") {
        let param = text(&finding, "Param");
        let param = if param.is_empty() { param } else { format!(" [parameter {param}]") };
        lines.push(format!(
            "!! {}: {}:{}:{}: {}{param} ({} machines)",
            text(&finding, "Object"),
            text(&finding, "Template"),
            number(&finding, "Line"),
            number(&finding, "Column"),
            text(&finding, "Message"),
            number(&finding, "Machines"),
        ));
    }
    lines.push(format!(
        "{} machines looked at, {} files rendered, {} failed; {} files of {} machines would change",
        number(report, "Machines"),
        number(report, "Rendered"),
        number(report, "Failed"),
        number(report, "ChangedFiles"),
        number(report, "ChangedMachines"),
    ));
    lines.join("\n")
}

/// Packs in the order of their prerequisites, each posted, or put when it is there.
async fn upload(matches: &ArgMatches, session: &Session) -> Result<(), Error> {
    let mut faults = Vec::new();
    let packs = read_each(words(matches, "packs"), &given(matches), &mut faults)?;
    if !faults.is_empty() {
        return Err(Error::Usage(format!("nothing was uploaded:\n{}", listed(&faults))));
    }
    let layers = packs.iter().map(Pack::layer).collect::<Result<Vec<_>, _>>()?;
    let query: &[(&str, &str)] =
        if matches.get_flag("replace-writable") { &[("replaceWritable", "true")] } else { &[] };
    let present = session.client.get("/contents", &[]).await?;
    let has = |name: &str| {
        present
            .as_array()
            .into_iter()
            .flatten()
            .any(|summary| summary.pointer("/meta/Name").and_then(Value::as_str) == Some(name))
    };
    for layer in gantry_pack::in_order(layers) {
        let Some(pack) = packs.iter().find(|pack| pack.name() == layer.name()) else { continue };
        let (method, path) = if has(pack.name()) {
            (Method::PUT, format!("/contents/{}", pack.name()))
        } else {
            (Method::POST, "/contents".to_owned())
        };
        let summary = session.client.call(method, &path, query, Some(&pack.to_value())).await;
        let summary = summary.map_err(|error| located(pack, error))?;
        output::print(&session.format.render(&summary));
    }
    Ok(())
}

/// What the server refused, with files and lines of the pack where it named objects.
fn located(pack: &Pack, error: gantry_client::Error) -> Error {
    match error {
        gantry_client::Error::Refused(refused) if !refused.faults.is_empty() => {
            let faults: Vec<Fault> = refused.faults.into_iter().map(|fault| pack.located(fault)).collect();
            Error::Usage(format!("the server refused pack {}:\n{}", pack.name(), listed(&faults)))
        }
        other => other.into(),
    }
}
