//! `gantry content check` and `conformance`: packs are loaded and rendered here, without a server.

use std::sync::Arc;

use clap::ArgMatches;
use gantry_boot::Renderer;
use gantry_boot::memo::Memo;
use gantry_boot::rules::TemplateRules;
use gantry_boot::survey::Scripts;
use gantry_model::{Edit, Kind, Layer, Record, Rules as _, View};
use gantry_pack::check::{self, Limits};
use gantry_pack::{Fault, Pack, conformance};
use serde_json::Value;

use super::{given, print_to, read_each, words};
use crate::{Error, input, output};

/// Loads, then renders; everything that is wrong is printed.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Error> {
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
    let report = check::machines(
        &view,
        machines,
        Scripts::Listed,
        Limits::default(),
        &Renderer::new(),
        &Memo::default(),
    );
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

pub(super) fn conform(matches: &ArgMatches) -> Result<(), Error> {
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
