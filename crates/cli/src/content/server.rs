//! `gantry content preview` and `upload`: what the server says of packs, with the files and lines of their folders.

use clap::ArgMatches;
use gantry_model::Kind;
use gantry_pack::{Fault, Pack, counted, listed};
use http::Method;
use serde_json::{Value, json};

use super::{check, given, key, key_file, read, read_each, text, warn_of_doubles, words};
use crate::run::Typed;
use crate::session::Session;
use crate::{Error, input, output};

pub(super) async fn preview(matches: &ArgMatches, session: &Session) -> Result<(), Error> {
    let mut pack = match matches.get_one::<String>("kind") {
        Some(kind) => single(kind, &input::value(text(matches, "pack")).await?)?,
        None => read(matches, "pack").map_err(|error| kind_hint(matches, error))?,
    };
    key::open_pack(key_file(matches), &mut pack)?;
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
    match report.get("Failed").and_then(Value::as_u64).unwrap_or_default() {
        0 => Ok(()),
        1 => Err(Error::Usage("1 file does not render".into())),
        failed => Err(Error::Usage(format!("{failed} files do not render"))),
    }
}

/// What is no bundle may be a file of one object.
fn kind_hint(matches: &ArgMatches, error: Error) -> Error {
    match error {
        Error::Pack(_) if std::path::Path::new(text(matches, "pack")).is_file() => Error::Usage(format!(
            "{error}\nhint: for a file of one object add what it is: `--kind profiles`, `--kind params` or the like"
        )),
        other => other,
    }
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
    let number = |value: &Value, field: &str| {
        let number = value.get(field).and_then(Value::as_u64).unwrap_or_default();
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let list = |field: &str| report.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for change in list("Changes") {
        let (machine, count) = (text(&change, "Machine"), number(&change, "Machines"));
        let who = match count {
            0 => "unknown machines".to_owned(),
            1 => machine,
            more => format!("{machine} and {} more", counted(more - 1, "machine")),
        };
        lines.push(format!("== {} ({who})\n{}", text(&change, "Source"), text(&change, "Diff")));
    }
    for finding in list("Findings") {
        let param = text(&finding, "Param");
        let param = if param.is_empty() { param } else { format!(" [parameter {param}]") };
        lines.push(format!(
            "!! {}: {}:{}:{}: {}{param} ({})",
            text(&finding, "Object"),
            text(&finding, "Template"),
            number(&finding, "Line"),
            number(&finding, "Column"),
            text(&finding, "Message"),
            counted(number(&finding, "Machines"), "machine"),
        ));
    }
    let warnings = list("Warnings");
    lines.extend(warnings.iter().filter_map(Value::as_str).map(|warning| format!("note: {warning}")));
    lines.push(format!(
        "{} looked at, {} rendered, {} failed; {} of {} would change",
        counted(number(report, "Machines"), "machine"),
        counted(number(report, "Rendered"), "file"),
        number(report, "Failed"),
        counted(number(report, "ChangedFiles"), "file"),
        counted(number(report, "ChangedMachines"), "machine"),
    ));
    lines.join("\n")
}

/// What a table of packs shows.
const COLUMNS: &[&str] = &["Name", "Version", "Type", "Warnings"];

/// All packs and layers. Their names and versions lie in `meta`, so tables get rows of their own.
pub(crate) async fn list(typed: &Typed<'_>) -> Result<Option<Value>, Error> {
    let found = typed.get("/contents", &[]).await?;
    let format = &typed.session.format;
    if !format.is_table() || format.has_columns() {
        return Ok(Some(found));
    }
    let rows = found.as_array().into_iter().flatten().map(|pack| {
        let meta = |name: &str| pack.pointer(&format!("/meta/{name}")).cloned().unwrap_or_default();
        json!({
            "Name": meta("Name"), "Version": meta("Version"), "Type": meta("Type"), "Warnings": pack.get("Warnings"),
        })
    });
    output::print(&format.with_columns(COLUMNS).render(&rows.collect()));
    Ok(None)
}

/// Packs in the order of their prerequisites, each posted, or put when it is there.
pub(super) async fn upload(matches: &ArgMatches, session: &Session) -> Result<(), Error> {
    let mut faults = Vec::new();
    let mut packs = read_each(words(matches, "packs"), &given(matches), &mut faults)?;
    for pack in &mut packs {
        key::open_all(key_file(matches), pack.sections.iter_mut())?;
    }
    let layers = packs.iter().map(Pack::layer).collect::<Result<Vec<_>, _>>();
    let Some(layers) = layers.ok().filter(|_| faults.is_empty()) else {
        faults.extend(check::alone(&packs)?);
        return Err(Error::Usage(format!("nothing was uploaded:\n{}", listed(&faults))));
    };
    packs.iter().for_each(warn_of_doubles);
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
    let ordered = gantry_pack::in_order(layers);
    let ordered: Vec<&Pack> =
        ordered.iter().filter_map(|layer| packs.iter().find(|pack| pack.name() == layer.name())).collect();
    for (index, pack) in ordered.iter().enumerate() {
        let (method, path) = if has(pack.name()) {
            (Method::PUT, format!("/contents/{}", pack.name()))
        } else {
            (Method::POST, "/contents".to_owned())
        };
        let summary = session.client.call(method, &path, query, Some(&pack.to_value())).await;
        let summary = summary.map_err(|error| located(pack, error)).inspect_err(|_| {
            let (stored, missing) = ordered.split_at(index);
            if ordered.len() > 1 {
                output::say(&format!("stored: {}; not stored: {}", names(stored), names(missing)));
            }
        })?;
        output::print(&session.format.render(&summary));
    }
    Ok(())
}

fn names(packs: &[&Pack]) -> String {
    match packs {
        [] => "none".to_owned(),
        packs => packs.iter().map(|pack| pack.name()).collect::<Vec<_>>().join(", "),
    }
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
