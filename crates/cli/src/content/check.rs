//! `gantry content check` and `conformance`: packs are loaded and rendered here, without a server, over what a fresh one has.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use clap::ArgMatches;
use gantry_boot::Renderer;
use gantry_boot::memo::Memo;
use gantry_boot::rules::TemplateRules;
use gantry_boot::survey::Scripts;
use gantry_model::{Edit, Kind, Layer, Record, Rules as _, View};
use gantry_pack::check::{self, Limits, Report};
use gantry_pack::{Fault, Pack, builtin, conformance, counted};
use serde_json::Value;

use super::{given, key, key_file, print_to, read_each, words};
use crate::{Error, input, output};

/// What a check says: problems of the checked packs, and notes on all else, which count for nothing.
#[derive(Default)]
struct Findings {
    names: Vec<String>,
    /// Packs of which files could not be read: what their other objects refer to may be in those.
    partial: BTreeSet<String>,
    problems: Vec<String>,
    notes: Vec<String>,
    /// What was told, so that it is told once.
    told: HashSet<String>,
    /// Objects that have a fault in a template, with their packs: that they do not render either is no news.
    faulty: HashSet<(String, String)>,
    /// Parameters that nobody has heard of: pack and message, the first place, and how many there are.
    unheard: Vec<((String, String), String, usize)>,
}

impl Findings {
    fn faults(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            if self.is_news(&fault) {
                let own = self.names.contains(&fault.pack);
                if own { &mut self.problems } else { &mut self.notes }.push(fault.to_string());
            }
        }
    }

    /// Whether the fault is to be told: not twice, nor when what it misses may be in a file that was not read.
    fn is_news(&mut self, fault: &Fault) -> bool {
        const DANGLING: [&str; 2] = ["No common template for ", " does not exist"];
        let dangling = DANGLING.iter().any(|words| fault.message.contains(words));
        if dangling && self.partial.contains(&fault.pack) {
            return false;
        }
        if ["Templates", "Contents", "BootParams"].iter().any(|field| fault.field.starts_with(field)) {
            self.faulty.insert((fault.pack.clone(), fault.object.clone()));
        }
        self.told.insert(fault.to_string())
    }

    /// A parameter that nobody has heard of is told once for a pack; not at all when what was not read may define it.
    fn unheard<'a>(&mut self, unheard: impl Iterator<Item = (&'a String, &'a String, String)>) {
        for (pack, message, place) in unheard.filter(|_| self.partial.is_empty()) {
            let which = (pack.clone(), message.clone());
            match self.unheard.iter_mut().find(|(known, ..)| *known == which) {
                Some((.., places)) => *places += 1,
                None => self.unheard.push((which, place, 1)),
            }
        }
    }

    /// All notes.
    fn told(&self) -> impl Iterator<Item = String> {
        let unheard = self.unheard.iter().map(|(_, place, places)| match places {
            1 => place.clone(),
            more => format!("{place} (and {} more)", more - 1),
        });
        self.notes.iter().cloned().chain(unheard).map(|note| format!("note: {note}"))
    }

    /// A template that does not render is the checked packs' if they bring its object, or the text with the fault.
    fn renders(&mut self, view: &View, report: &Report) {
        let faulty = |pack: &str, object: &str| self.faulty.contains(&(pack.to_owned(), object.to_owned()));
        for finding in report.findings.iter().filter(|found| !faulty(&found.pack, &found.object)) {
            let text = view.record(Kind::Template, &finding.inside);
            let brings = |pack: &str| self.names.iter().any(|name| name == pack);
            let own = brings(&finding.pack) || text.is_some_and(|record| brings(record.bundle()));
            if own { &mut self.problems } else { &mut self.notes }.push(finding.to_string());
        }
        if report.unlisted > 0 {
            let more = counted(report.unlisted, "further template");
            self.problems.push(format!("{more} not rendered"));
        }
    }
}

/// Loads, then renders; everything that is wrong is printed.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Error> {
    let (given, mut unread, mut unread_with) = (given(matches), Vec::new(), Vec::new());
    let mut packs = read_each(words(matches, "packs"), &given, &mut unread)?;
    packs.iter_mut().try_for_each(|pack| key::open_all(key_file(matches), pack.sections.iter_mut()))?;
    let names: Vec<String> = packs.iter().map(|pack| pack.name().to_owned()).collect();
    packs.extend(read_each(words(matches, "with"), &given, &mut unread_with)?);
    let mut found = Findings {
        problems: unread.iter().map(ToString::to_string).collect(),
        notes: unread_with.iter().map(ToString::to_string).collect(),
        partial: unread.iter().chain(&unread_with).map(|fault| fault.pack.clone()).collect(),
        names,
        ..Findings::default()
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
    let mut lines: Vec<String> = found.told().collect();
    lines.append(&mut found.problems);
    let (packs, problems) = (counted(found.names.len(), "pack"), counted(wrong, "problem"));
    lines.push(format!("{packs}, {} rendered, {problems}", counted(rendered, "template")));
    output::print(&lines.join("\n"));
    if wrong == 0 { Ok(()) } else { Err(Error::Usage(problems)) }
}

fn checked<'a>(layers: &'a [Arc<Layer>], names: &'a [String]) -> impl Iterator<Item = &'a Arc<Layer>> {
    layers.iter().filter(|layer| names.iter().any(|name| name == layer.name()))
}

/// What is wrong with packs in themselves, where the server that has the others is not to be asked: not with what they refer to.
pub(super) fn alone(packs: &[Pack]) -> Result<Vec<Fault>, Error> {
    let names = packs.iter().map(|pack| pack.name().to_owned());
    let mut found = Findings { partial: names.collect(), ..Findings::default() };
    let mut faults = Vec::new();
    lay(packs, &mut faults)?;
    Ok(faults.into_iter().filter(|fault| fault.object != "meta" && found.is_news(fault)).collect())
}

/// The View with all packs, over what a fresh server has: its own packs, unless one of the same name is given. With faults it is good for
/// finding more of them, and for nothing else.
fn load(packs: &[Pack], found: &mut Findings) -> Result<(View, Vec<Arc<Layer>>), Error> {
    let mut faults = Vec::new();
    let (view, layers) = lay(packs, &mut faults)?;
    found.faults(faults);
    for pack in packs {
        found.faults(gantry_pack::lint(&view, pack));
    }
    for pack in
        packs.iter().filter(|pack| found.names.iter().any(|name| name == pack.name())).collect::<Vec<_>>()
    {
        let unheard = gantry_pack::unheard(&view, pack);
        found.unheard(unheard.iter().map(|fault| (&fault.pack, &fault.message, fault.to_string())));
    }
    for layer in checked(&layers, &found.names).cloned().collect::<Vec<_>>() {
        let replaced = view.replaced(&layer).into_iter();
        found.notes.extend(replaced.map(|sentence| format!("{} {sentence}", layer.name())));
    }
    Ok((view, layers))
}

/// The View with all packs, the packs in the order of their prerequisites, and what an upload would refuse.
fn lay(packs: &[Pack], faults: &mut Vec<Fault>) -> Result<(View, Vec<Arc<Layer>>), Error> {
    let mut layers = Vec::new();
    for pack in packs {
        match Layer::lenient(pack.to_value()) {
            Ok((layer, found)) => {
                faults.extend(found.into_iter().map(|fault| pack.located(fault)));
                layers.push(Arc::new(layer));
            }
            Err(error) => faults.extend(pack.faults(error)),
        }
    }
    let layers = gantry_pack::in_order(layers);
    let mut view = builtin::fresh(|name| packs.iter().any(|pack| pack.name() == name))?;
    let mut judged = Vec::new();
    for layer in &layers {
        let (next, _, found) = view.lay(layer, view.revision() + 1);
        view = next;
        judged.push((layer, found));
    }
    let rules = TemplateRules(Arc::new(Renderer::new()));
    for (layer, mut found) in judged {
        rules.check_layer(&view, layer, &mut found);
        if let Some(pack) = packs.iter().find(|pack| pack.name() == layer.name()) {
            faults.extend(found.into_iter().map(|fault| pack.located(fault)));
        }
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
        let unheard = report.unheard.iter().map(|read| (&read.pack, &read.message, read.to_string()));
        found.unheard(unheard);
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
    if lost == 0 { Ok(()) } else { Err(Error::Usage(format!("{} did not load", counted(lost, "pack")))) }
}
