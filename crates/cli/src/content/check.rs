//! `gantry content check` and `conformance`: packs are loaded and rendered here, without a server, over what a fresh one has.

use std::sync::Arc;

use clap::ArgMatches;
use gantry_boot::Renderer;
use gantry_boot::memo::Memo;
use gantry_boot::rules::TemplateRules;
use gantry_boot::survey::Scripts;
use gantry_model::{Edit, Kind, Layer, Record, Rules as _, View};
use gantry_pack::check::{self, Limits, Report};
use gantry_pack::{Fault, Pack, builtin, conformance};
use serde_json::Value;

use super::{given, print_to, read_each, words};
use crate::{Error, input, output};

/// What a check says: problems of the checked packs, and notes on all else, which count for nothing.
struct Findings {
    names: Vec<String>,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn faults(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            let own = self.names.contains(&fault.pack);
            if own { &mut self.problems } else { &mut self.notes }.push(fault.to_string());
        }
    }

    /// A template that does not render is the checked packs' if they bring its object, or the text with the fault.
    fn renders(&mut self, view: &View, report: &Report) {
        for finding in &report.findings {
            let text = view.record(Kind::Template, &finding.inside);
            let brings = |pack: &str| self.names.iter().any(|name| name == pack);
            let own = brings(&finding.pack) || text.is_some_and(|record| brings(record.bundle()));
            if own { &mut self.problems } else { &mut self.notes }.push(finding.to_string());
        }
        if report.unlisted > 0 {
            self.problems.push(format!("{} more templates do not render", report.unlisted));
        }
    }
}

/// Loads, then renders; everything that is wrong is printed.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Error> {
    let (given, mut unread, mut unread_with) = (given(matches), Vec::new(), Vec::new());
    let mut packs = read_each(words(matches, "packs"), &given, &mut unread)?;
    let names: Vec<String> = packs.iter().map(|pack| pack.name().to_owned()).collect();
    packs.extend(read_each(words(matches, "with"), &given, &mut unread_with)?);
    let mut found = Findings {
        problems: unread.iter().map(ToString::to_string).collect(),
        notes: unread_with.iter().map(ToString::to_string).collect(),
        names,
    };
    let (view, layers) = load(&packs, &mut found)?;
    let machines = match matches.get_one::<String>("machines") {
        Some(argument) => Some(records(input::value(argument).await?)?),
        None => None,
    };
    let rendered = match machines {
        Some(machines) => for_machines(&view, &machines, &mut found),
        None => {
            let checked: Vec<Arc<Layer>> = checked(&layers, &found.names).cloned().collect();
            for_samples(&view, &checked, &mut found)
        }
    };
    let wrong = found.problems.len();
    let mut lines: Vec<String> = found.notes.iter().map(|note| format!("note: {note}")).collect();
    lines.append(&mut found.problems);
    lines.push(format!("{} packs, {rendered} templates rendered, {wrong} problems", found.names.len()));
    output::print(&lines.join("\n"));
    if wrong == 0 { Ok(()) } else { Err(Error::Usage(format!("{wrong} problems"))) }
}

fn checked<'a>(layers: &'a [Arc<Layer>], names: &'a [String]) -> impl Iterator<Item = &'a Arc<Layer>> {
    layers.iter().filter(|layer| names.iter().any(|name| name == layer.name()))
}

/// The View with all packs that load, over what a fresh server has: its own packs, unless one of the same name is given.
fn load(packs: &[Pack], found: &mut Findings) -> Result<(View, Vec<Arc<Layer>>), Error> {
    let mut layers = Vec::new();
    for pack in packs {
        match pack.layer() {
            Ok(layer) => layers.push(layer),
            Err(gantry_pack::Error::Wrong { faults, .. }) => found.faults(faults),
            Err(other) => return Err(other.into()),
        }
    }
    let layers = gantry_pack::in_order(layers);
    let mut view = builtin::fresh(|name| packs.iter().any(|pack| pack.name() == name))?;
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
            Err(error) => found.faults(located(layer, error)),
        }
    }
    let rules = TemplateRules(Arc::new(Renderer::new()));
    for layer in &layers {
        let mut faults = Vec::new();
        rules.check_layer(&view, layer, &mut faults);
        found.faults(located(layer, gantry_model::Error::layer(layer.name(), faults)));
    }
    for pack in packs {
        found.faults(gantry_pack::lint(&view, pack));
    }
    for layer in checked(&layers, &found.names).cloned().collect::<Vec<_>>() {
        let replaced = view.replaced(&layer).into_iter();
        found.notes.extend(replaced.map(|sentence| format!("{} {sentence}", layer.name())));
    }
    Ok((view, layers))
}

fn for_samples(view: &View, layers: &[Arc<Layer>], found: &mut Findings) -> usize {
    // As if the files of every boot environment were there.
    let view = &check::furnished(view);
    let mut rendered = 0;
    for layer in layers {
        let report = check::samples(view, layer, Limits::default());
        rendered += report.rendered;
        found.renders(view, &report);
    }
    rendered
}

fn for_machines(view: &View, machines: &[Arc<Record>], found: &mut Findings) -> usize {
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
    found.renders(&view, &report);
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
        let outcomes = conformance::run(&generation, &builtin::fresh(|_| false)?)?;
        all.push((generation, outcomes));
    }
    print_to(matches.get_one("output"), &conformance::page(&all))?;
    let lost = all.iter().flat_map(|(_, outcomes)| outcomes).filter(|outcome| !outcome.loaded()).count();
    if lost == 0 { Ok(()) } else { Err(Error::Usage(format!("{lost} packs did not load"))) }
}
