//! What becomes of whole checkouts of packs: a table for people, in Markdown.
//!
//! Every pack of a checkout is loaded into a View that holds the built-in layer and, before it, whatever packs it names as
//! prerequisites; then every template of it is rendered for a sample machine ([`crate::check::sample`]). Packs of other
//! checkouts of the same generation count as available prerequisites.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_boot::Renderer;
use gantry_boot::rules::TemplateRules;
use gantry_model::{Kind, Layer, Rules as _, View, pack_needs};
use serde_json::{Map, Value};

use crate::check::{self, Tally};
use crate::{Error, Fault, Pack, folder};

/// Checkouts that belong together.
#[derive(Debug, Clone)]
pub struct Generation {
    /// What to call it: `v4`.
    pub title: String,
    /// The version that packs without one get, as the publisher's build gives them: `v4.8.0`.
    pub version: String,
    /// The folders.
    pub folders: Vec<PathBuf>,
}

/// What became of one pack.
#[derive(Debug)]
pub struct Outcome {
    /// Its name; the folder's when it could not be read.
    pub name: String,
    /// The folder, below its checkout.
    pub folder: String,
    /// How many objects of each kind; none when it did not load.
    pub counts: Option<BTreeMap<String, usize>>,
    /// Templates: those parsed, those rendered.
    pub parsed: usize,
    /// How its templates fared.
    pub rendered: Tally,
    /// Packs that it needs without naming them.
    pub implied: Vec<String>,
    /// What is wrong with its objects, though it loads.
    pub warnings: Vec<String>,
    /// Why it did not load.
    pub faults: Vec<Fault>,
}

impl Outcome {
    /// True when it loaded.
    #[must_use]
    pub fn loaded(&self) -> bool {
        self.counts.is_some()
    }
}

/// Loads and renders every pack of a generation.
///
/// # Errors
/// [`Error::File`] and [`Error::Nothing`] when a folder cannot be read; what is wrong with a pack is part of its outcome.
pub fn run(generation: &Generation, base: &View) -> Result<Vec<Outcome>, Error> {
    let version = ("Version".to_owned(), Value::from(generation.version.as_str()));
    let given: Map<String, Value> = [version].into_iter().collect();
    let mut read = Vec::new();
    for checkout in &generation.folders {
        for place in folder::find(checkout)? {
            let shown = place.strip_prefix(checkout).unwrap_or(&place).display().to_string();
            read.push((shown, Pack::read_with(&place, &given)));
        }
    }
    let layers: BTreeMap<String, Arc<Layer>> = read
        .iter()
        .filter_map(|(_, pack)| pack.as_ref().ok()?.layer().ok())
        .map(|layer| (layer.name().to_owned(), layer))
        .collect();
    let whole = check::furnished(&together(&layers, base));
    let mut outcomes: Vec<Outcome> =
        read.into_iter().map(|(folder, pack)| outcome(folder, pack, &layers, base, &whole)).collect();
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outcomes)
}

/// All packs at once, but for those that do not get along with the others.
fn together(layers: &BTreeMap<String, Arc<Layer>>, base: &View) -> View {
    let add = |view: View, layer: Arc<Layer>| match view.put_layer(layer, view.revision() + 1) {
        Ok((next, _)) => next,
        Err(_) => view,
    };
    crate::in_order(layers.values().cloned().collect()).into_iter().fold(base.clone(), add)
}

fn outcome(
    folder: String,
    pack: Result<Pack, Error>,
    layers: &BTreeMap<String, Arc<Layer>>,
    base: &View,
    whole: &View,
) -> Outcome {
    let name = pack.as_ref().map_or(folder.clone(), |pack| pack.name().to_owned());
    let mut outcome = Outcome {
        name,
        folder,
        counts: None,
        parsed: 0,
        rendered: Tally::default(),
        implied: Vec::new(),
        warnings: Vec::new(),
        faults: Vec::new(),
    };
    match pack.and_then(|pack| load_with_implied(&pack, layers, base)) {
        Ok(loaded) => {
            outcome.counts = Some(loaded.layer.counts());
            outcome.parsed = check::templates(&loaded.layer);
            outcome.warnings = warnings(&loaded.view, &loaded.layer);
            outcome.implied = loaded.implied;
            // Templates call those of packs that nobody names; without the others they are not what users see.
            let is_there = whole.layers().iter().any(|layer| layer.name() == outcome.name);
            let alone = || check::furnished(&loaded.view);
            outcome.rendered = if is_there {
                check::render_layer(whole, &loaded.layer)
            } else {
                check::render_layer(&alone(), &loaded.layer)
            };
        }
        Err(Error::Wrong { faults, .. }) => outcome.faults = faults,
        Err(other) => outcome.faults = vec![Fault { message: other.to_string(), ..Fault::default() }],
    }
    outcome
}

/// What is wrong with definitions of parameters: they do not keep a pack out.
fn warnings(view: &View, layer: &Layer) -> Vec<String> {
    let params = layer.objects().filter(|object| object.kind() == Kind::Param);
    let records = params.filter_map(|object| view.record(Kind::Param, object.key()));
    records.flat_map(|record| record.derived().errors().to_vec()).collect()
}

/// A pack in a View with all that it needs.
struct Loaded {
    view: View,
    layer: Arc<Layer>,
    implied: Vec<String>,
}

/// Loads a pack; one that uses common templates of another without naming it gets that one, too.
fn load_with_implied(
    pack: &Pack,
    layers: &BTreeMap<String, Arc<Layer>>,
    base: &View,
) -> Result<Loaded, Error> {
    let layer = pack.layer()?;
    let has = |id: &str| layers.values().find(|layer| layer.get(Kind::Template, id).is_some());
    let mut implied: Vec<String> = Vec::new();
    loop {
        let faults = match load(pack, &layer, layers, &implied, base) {
            Ok(view) => return Ok(Loaded { view, layer, implied }),
            Err(Error::Wrong { faults, .. }) => faults,
            Err(other) => return Err(other),
        };
        let missing = faults.iter().filter_map(|fault| fault.message.split_once("No common template for "));
        let mut more: Vec<String> = missing.filter_map(|(_, id)| Some(has(id)?.name().to_owned())).collect();
        more.sort_unstable();
        more.dedup();
        more.retain(|name| !implied.contains(name) && name != pack.name());
        if more.is_empty() {
            return Err(Error::Wrong { pack: pack.name().to_owned(), faults });
        }
        implied.extend(more);
    }
}

/// The View with the pack and all that it needs, as a fresh server would have it.
fn load(
    pack: &Pack,
    layer: &Arc<Layer>,
    layers: &BTreeMap<String, Arc<Layer>>,
    implied: &[String],
    base: &View,
) -> Result<View, Error> {
    let mut needed: Vec<Arc<Layer>> = Vec::new();
    let mut open = pack_needs(&layer.meta().prerequisites)
        .into_iter()
        .map(|need| need.name.to_owned())
        .collect::<Vec<_>>();
    open.extend_from_slice(implied);
    while let Some(name) = open.pop() {
        let known = needed.iter().any(|layer| layer.name() == name) || name == layer.name();
        if let Some(other) = layers.get(&name).filter(|_| !known) {
            open.extend(pack_needs(&other.meta().prerequisites).into_iter().map(|need| need.name.to_owned()));
            needed.push(Arc::clone(other));
        }
    }
    let mut view = base.clone();
    for layer in crate::in_order(needed).into_iter().chain([Arc::clone(layer)]) {
        view = view.put_layer(layer, view.revision() + 1).map_err(|error| pack.wrong(error))?.0;
    }
    let mut faults = Vec::new();
    TemplateRules(Arc::new(Renderer::new())).check_layer(&view, layer, &mut faults);
    if faults.is_empty() {
        return Ok(view);
    }
    let faults = faults.into_iter().map(|fault| pack.located(fault)).collect();
    Err(Error::Wrong { pack: pack.name().to_owned(), faults })
}

/// The page: one table per generation, then what went wrong.
#[must_use]
pub fn page(generations: &[(Generation, Vec<Outcome>)]) -> String {
    let mut out = String::from(HEAD);
    for (generation, outcomes) in generations {
        table(&mut out, generation, outcomes);
    }
    out
}

const HEAD: &str = "<!-- Made by `gantry content conformance`; do not edit. -->

# Public content packs

Each pack was loaded into a fresh server with the packs that it names as prerequisites, and with those whose common templates it uses
without naming them. Then, with all packs of the table loaded and a tree in the place of every ISO, every template was rendered: boot
environments and stages for a sample machine in them, tasks for a sample machine that runs them. Parameters that are required or asked for
and that nothing sets got sample values of their types. *Templates* counts the templates of all objects, common ones included; *rendered*
counts results, of which a template can have none (common ones by themselves) or several (one for
each network card); *failed* those that do not render for such a machine. The reasons are below each table.
";

fn table(out: &mut String, generation: &Generation, outcomes: &[Outcome]) {
    let loaded = outcomes.iter().filter(|outcome| outcome.loaded()).count();
    let sum = |number: fn(&Outcome) -> usize| outcomes.iter().map(number).sum::<usize>();
    let mut line = |text: &str| writeln!(out, "{text}").expect("a String takes everything");
    line(&format!("\n## {}\n", generation.title));
    line(&format!(
        "{loaded} of {} packs loaded; {} templates, {} rendered, {} failed.\n",
        outcomes.len(),
        sum(|outcome| outcome.parsed),
        sum(|outcome| outcome.rendered.rendered),
        sum(|outcome| outcome.rendered.failed()),
    ));
    line("| pack | loaded | objects | templates | rendered | failed |");
    line("|---|---|---|---:|---:|---:|");
    for outcome in outcomes {
        let objects = outcome.counts.iter().flatten().map(|(kind, count)| format!("{count} {kind}"));
        line(&format!(
            "| {} | {} | {} | {} | {} | {} |",
            outcome.name,
            if outcome.loaded() { "yes" } else { "**no**" },
            objects.collect::<Vec<_>>().join(", "),
            outcome.parsed,
            outcome.rendered.rendered,
            outcome.rendered.failed(),
        ));
    }
    problems(out, outcomes);
}

/// Reasons that many templates share are told once.
fn problems(out: &mut String, outcomes: &[Outcome]) {
    let quiet = |outcome: &Outcome| {
        outcome.faults.is_empty()
            && outcome.warnings.is_empty()
            && outcome.implied.is_empty()
            && outcome.rendered.failed() == 0
    };
    if outcomes.iter().all(quiet) {
        return;
    }
    let mut line = |text: &str| writeln!(out, "{text}").expect("a String takes everything");
    line("\n### Problems\n");
    for outcome in outcomes {
        if !outcome.implied.is_empty() {
            line(&format!("- {}: needs {} without naming it", outcome.name, outcome.implied.join(", ")));
        }
        for warning in &outcome.warnings {
            line(&format!("- {}: loaded with a warning: {warning}", outcome.name));
        }
        for fault in &outcome.faults {
            line(&format!("- {}: not loaded: {fault}", outcome.name));
        }
        for (reason, places) in &outcome.rendered.failures {
            let shown: Vec<&str> = places.iter().map(String::as_str).take(3).collect();
            let more =
                if places.len() > 3 { format!(" and {} more", places.len() - 3) } else { String::new() };
            line(&format!("- {}: {reason} ({}{more})", outcome.name, shown.join(", ")));
        }
    }
}

/// The generation of a command-line word `TITLE=VERSION:FOLDER[,FOLDER…]`.
///
/// # Errors
/// When the word has not that form.
pub fn generation(word: &str) -> Result<Generation, String> {
    let form =
        || format!("`{word}` must be TITLE=VERSION:FOLDER[,FOLDER…], such as v4=v4.8.0:./provision-content");
    let (title, rest) = word.split_once('=').ok_or_else(form)?;
    let (version, folders) = rest.split_once(':').ok_or_else(form)?;
    let folders: Vec<PathBuf> =
        folders.split(',').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    if folders.is_empty() {
        return Err(form());
    }
    let missing = folders.iter().find(|folder| !Path::new(folder).is_dir());
    if let Some(folder) = missing {
        return Err(format!("{} is no folder", folder.display()));
    }
    Ok(Generation { title: title.to_owned(), version: version.to_owned(), folders })
}

/// The kinds whose templates are counted.
pub(crate) const OWNERS: [Kind; 3] = [Kind::BootEnv, Kind::Stage, Kind::Task];
