//! Checks of content before it is used: every template rendered for every machine that could meet it, and what a change
//! would change.
//!
//! [`render_layer`] renders all templates of one pack for a sample machine. [`machines`] renders what real machines get.
//! [`preview`] does that twice, before and after a change, and compares. Work is shared among threads, one machine at a time;
//! what is kept of the findings is bounded ([`Limits`]), what goes beyond is counted. A [`Memo`] remembers results by what
//! renders read, so that a second look, and the second side of a preview, render only what a change touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_boot::Renderer;
use gantry_boot::memo::Memo;
use gantry_boot::survey::{Failure, Render, Scripts, World};
use gantry_model::{
    Address, BootEnv, Catalogue, Kind, Layer, Machine, Param, Record, Stage, Task, Uuid, View, params,
};
use serde_json::{Map, Value, json};

use crate::conformance::OWNERS;
use crate::lint::Unheard;

mod compare;
mod report;

pub use compare::{FileChange, Preview, Sides, preview};
pub use report::{Finding, Limits, Report};

/// How the templates of a pack fared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rendered.
    pub rendered: usize,
    /// Why others did not, each reason with the templates that it met.
    pub failures: BTreeMap<String, Vec<String>>,
    /// Parameters that got sample values because templates asked for them.
    pub given: BTreeSet<String>,
}

impl Tally {
    /// How many did not render.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failures.values().map(Vec::len).sum()
    }
}

/// How many templates a pack has: common ones and those of its objects that bring a text of their own.
#[must_use]
pub fn templates(layer: &Layer) -> usize {
    let own = |record: &Arc<Record>| match record.kind() {
        Kind::Template => 1,
        kind if OWNERS.contains(&kind) => {
            record.value().get("Templates").and_then(Value::as_array).map_or(0, Vec::len)
        }
        _ => 0,
    };
    layer.objects().map(own).sum()
}

/// The same View with an unpacked tree for every boot environment, as if all ISOs had been uploaded.
#[must_use]
pub fn furnished(view: &View) -> View {
    let mut catalogue = Catalogue::default();
    for env in view.objects::<BootEnv>() {
        for arch in env.boot_arches() {
            let release = ["dists/stable/Release", env.kernel_for(arch)].into_iter();
            let initrds = env.initrds_for(arch).iter().map(String::as_str);
            catalogue.files.extend(release.chain(initrds).map(|file| (env.file_path(arch, file), 1)));
        }
    }
    view.with_catalogue(Arc::new(catalogue))
}

/// Renders every template of the layer's boot environments, stages and tasks for a sample machine. A parameter that a template
/// asks for and that nothing sets gets a sample value, too.
#[must_use]
pub fn render_layer(view: &View, layer: &Layer) -> Tally {
    let mut tally = Tally::default();
    let given = sampled(view, layer, &mut |_, render| tally.add(render));
    tally.given = given.into_iter().map(|given| given.name).collect();
    tally
}

/// The same as a report: each failure with line, column and the parameter that was read last; and the parameters that nobody has
/// heard of.
#[must_use]
pub fn samples(view: &View, layer: &Layer, limits: Limits) -> Report {
    let mut report = Report::default();
    let given =
        sampled(view, layer, &mut |machine, render| report.note_render(view, Some(machine), render, limits));
    report.findings.sort();
    let unheard = Unheard::of(view);
    for Given { name, record, render } in given {
        if let Some(message) = unheard.read(view, &record, &name, &render) {
            report.note_unheard(view, &render, message, limits);
        }
    }
    report
}

/// A parameter that got a sample value, and who asked for it first.
struct Given {
    name: String,
    record: Arc<Record>,
    render: Render,
}

/// Calls `each` with every render of the layer's objects; answers which parameters of which objects got sample values.
fn sampled(view: &View, layer: &Layer, each: &mut dyn FnMut(&Machine, Render)) -> Vec<Given> {
    let (renderer, world) = (Renderer::new(), World::default());
    let mut given = Vec::new();
    for object in layer.objects().filter(|object| OWNERS.contains(&object.kind())) {
        let Some(record) = view.record(object.kind(), object.key()) else { continue };
        let mut machine = sample(view, record);
        for round in 1..=ROUNDS {
            let mut renders = Vec::new();
            let shared = Arc::new(machine.clone());
            renderer.survey_object(view, record, &shared, &world, &mut |render| renders.push(render));
            let wanted = wanted(&renders);
            if wanted.is_empty() || round == ROUNDS {
                renders.into_iter().for_each(|render| each(&shared, render));
                break;
            }
            for (name, render) in wanted {
                machine.params.insert(name.clone(), sample_value(view, &name));
                given.push(Given { name, record: Arc::clone(record), render: render.clone() });
            }
        }
    }
    given
}

/// A template asks for its parameters one after another.
const ROUNDS: usize = 30;

/// Parameters for whose sake renders failed, each with one of them.
fn wanted(renders: &[Render]) -> BTreeMap<String, &Render> {
    let wanted = renders.iter().filter_map(|render| {
        let (_, name) = render.result.as_ref().err()?.message.rsplit_once("No such machine parameter ")?;
        Some((name.to_owned(), render))
    });
    wanted.collect()
}

impl Tally {
    fn add(&mut self, render: Render) {
        match render.result {
            Ok(_) => self.rendered += 1,
            Err(failure) => {
                let place = format!("{}/{} {}", render.kind.prefix(), render.object, render.template);
                self.failures.entry(reason(&failure)).or_default().push(place);
            }
        }
    }
}

/// The reason of a failure without its place: what follows the last `>: ` of the engine's message.
fn reason(failure: &Failure) -> String {
    let message = failure.message.rsplit_once(">: ").map_or(failure.message.as_str(), |(_, reason)| reason);
    message
        .strip_prefix("error calling ")
        .and_then(|rest| rest.split_once(": "))
        .map_or(message, |(_, rest)| rest)
        .to_owned()
}

/// A machine for rendering an object that no machine is in: one network card, an address, and values for the parameters
/// that the object and its stage require and that nothing else sets.
#[must_use]
pub fn sample(view: &View, record: &Record) -> Machine {
    let required = match record.kind() {
        Kind::BootEnv => record.typed::<BootEnv>().required_params.clone(),
        Kind::Stage => record.typed::<Stage>().required_params.clone(),
        Kind::Task => record.typed::<Task>().required_params.clone(),
        _ => Vec::new(),
    };
    let global = params::global_layers(view);
    let unset = required.into_iter().filter(|name| params::lookup(view, &global, name).is_none());
    let params: Map<String, Value> = unset.map(|name| (name.clone(), sample_value(view, &name))).collect();
    let os = match record.kind() {
        Kind::BootEnv => record.typed::<BootEnv>().os.name.clone(),
        _ => "debian-12".to_owned(),
    };
    Machine {
        name: "sample.example.org".to_owned(),
        uuid: Uuid::parse("00000000-0000-4000-8000-000000000001").unwrap_or_default(),
        address: Address::parse("192.0.2.10").unwrap_or_default(),
        hardware_addrs: vec!["52:54:00:00:00:01".to_owned()],
        arch: sample_arch(record),
        tasks: if record.kind() == Kind::Task { vec![record.key().to_string()] } else { Vec::new() },
        boot_env: "local".to_owned(),
        stage: "none".to_owned(),
        os,
        params,
        ..Machine::default()
    }
}

/// An architecture that a boot environment has; amd64 for all else.
fn sample_arch(record: &Record) -> String {
    let arches = match record.kind() {
        Kind::BootEnv => record.typed::<BootEnv>().boot_arches(),
        _ => Vec::new(),
    };
    let first = arches.iter().find(|arch| **arch == "amd64").or(arches.first());
    first.copied().unwrap_or("amd64").to_owned()
}

/// A value that suits the definition of a parameter.
fn sample_value(view: &View, name: &str) -> Value {
    let Some(param) = view.object::<Param>(name) else { return "sample".into() };
    suiting(&param.schema)
}

fn suiting(schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let names = required.filter_map(Value::as_str);
            names
                .map(|name| {
                    (
                        name.to_owned(),
                        properties.and_then(|all| all.get(name)).map_or("sample".into(), suiting),
                    )
                })
                .collect::<Map<_, _>>()
                .into()
        }
        _ => "sample".into(),
    }
}

/// Renders what every machine gets, and what unknown ones get, and reports what fails. What the memo knows is not rendered
/// again.
#[must_use]
pub fn machines(
    view: &View,
    machines: &[Arc<Record>],
    scripts: Scripts,
    limits: Limits,
    renderer: &Renderer,
    memo: &Memo,
) -> Report {
    let report = Mutex::new(Report::default());
    let one = |machine: Option<&Arc<Machine>>, key: &str| {
        let mut own = Report { machines: usize::from(machine.is_some()), ..Report::default() };
        let mut known = memo.take(key);
        for target in renderer.targets(view, machine, scripts) {
            let outcome = known.outcome(&target, view, memo);
            own.note(view, machine.map(Arc::as_ref), &target, &outcome, limits);
        }
        memo.keep(key, known);
        report.lock().unwrap_or_else(PoisonError::into_inner).take_in(own, limits);
    };
    memo.begin();
    one(None, "");
    each(machines, |record| one(Some(&record.typed()), record.key()));
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.findings.sort();
    report
}

/// Calls `work` for every item, on all processors.
pub(crate) fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(16);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}
