//! What a pack says that nobody will ever use: references to nothing, fields and folders that do not exist, files that another
//! one of the same key replaces, parameters whose schema is none, values that do not suit their parameters. A server stores all of it, as DRP does; a check of the pack reports it.
//!
//! Left out: what an upload refuses, which `View::put_layer` and the rules of templates tell, and what renders find.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use gantry_boot::survey::Render;
use gantry_model::secret::Sealed;
use gantry_model::shape::{Shape, Type};
use gantry_model::{
    BootEnv, Kind, LayerFault, Param, Profile, Record, Stage, Task, TaskEntry, View, Workflow, schema,
};
use serde_json::{Map, Value};

use crate::yaml::escaped;
use crate::{Fault, Pack};

/// Everything of that kind that is wrong with the pack. References are judged when the pack is among the View's layers.
#[must_use]
pub fn lint(view: &View, pack: &Pack) -> Vec<Fault> {
    let mut found = Found { pack, faults: Vec::new() };
    found.folders();
    found.faults.extend(pack.doubles().iter().cloned());
    found.fields();
    if let Some(layer) = view.layers().iter().find(|layer| layer.name() == pack.name()) {
        layer.objects().for_each(|record| found.object(view, record));
    }
    found.faults
}

/// Parameters that tasks, stages and boot environments of the pack require or allow, and that nobody defines or sets. Packs may do
/// so, and many do: it is no fault, and often a slip.
#[must_use]
pub fn unheard(view: &View, pack: &Pack) -> Vec<Fault> {
    let (mut found, unheard) = (Found { pack, faults: Vec::new() }, Unheard::of(view));
    for record in view.layers().iter().filter(|layer| layer.name() == pack.name()).flat_map(|l| l.objects()) {
        for (field, names) in param_lists(record) {
            for (at, name) in names.iter().enumerate() {
                if let Some(message) = unheard.message(name) {
                    found.add(record.kind().prefix(), record.key(), &format!("{field}/{at}"), message);
                }
            }
        }
    }
    found.faults
}

/// The lists of an object that name parameters.
fn param_lists(record: &Record) -> Vec<(&'static str, Vec<String>)> {
    let (required, optional) = match record.kind() {
        Kind::Task => {
            let task = record.typed::<Task>();
            (task.required_params.clone(), task.optional_params.clone())
        }
        Kind::Stage => {
            let stage = record.typed::<Stage>();
            (stage.required_params.clone(), stage.optional_params.clone())
        }
        Kind::BootEnv => {
            let env = record.typed::<BootEnv>();
            (env.required_params.clone(), env.optional_params.clone())
        }
        _ => return Vec::new(),
    };
    vec![("RequiredParams", required), ("OptionalParams", optional)]
}

/// Tells parameters that nobody defines, and no profile or stage sets.
pub(crate) struct Unheard<'a> {
    view: &'a View,
    set: BTreeSet<String>,
}

impl<'a> Unheard<'a> {
    pub(crate) fn of(view: &'a View) -> Self {
        let names = |params: &Map<String, Value>| params.keys().cloned().collect::<Vec<_>>();
        let profiles = view.objects::<Profile>().flat_map(|profile| names(&profile.params));
        let stages = view.objects::<Stage>().flat_map(|stage| names(&stage.params));
        Self { view, set: profiles.chain(stages).collect() }
    }

    fn message(&self, name: &str) -> Option<String> {
        let heard = self.view.record(Kind::Param, name).is_some() || self.set.contains(name);
        let meant = || meant_object(self.view, Kind::Param, name);
        (!heard).then(|| format!("nobody defines the parameter {name}{}", meant()))
    }

    /// The message about a parameter that a template asked for, by a name that is written in it: not by one that is put together, and
    /// not when a list of the object has it, which is told.
    pub(crate) fn read(&self, view: &View, record: &Record, name: &str, render: &Render) -> Option<String> {
        let text = view.record(Kind::Template, &render.result.as_ref().err()?.template);
        let written = std::iter::once(record).chain(text.map(Arc::as_ref)).any(|r| r.json().contains(name));
        let listed = param_lists(record).iter().any(|(_, names)| names.iter().any(|known| known == name));
        self.message(name).filter(|_| written && !listed)
    }
}

struct Found<'a> {
    pack: &'a Pack,
    faults: Vec<Fault>,
}

impl Found<'_> {
    fn add(&mut self, section: &str, key: &str, field: &str, message: String) {
        let (section, key, field) = (section.to_owned(), key.to_owned(), field.to_owned());
        self.faults.push(self.pack.located(LayerFault { section, key, field, line: 0, message }));
    }

    fn folders(&mut self) {
        let prefixes = || Kind::ALL.iter().map(|kind| kind.prefix());
        let message =
            |name: &str| format!("names no kind of object, it is passed over{}", meant(name, prefixes()));
        for folder in &self.pack.strays {
            let (pack, file) = (self.pack.name().to_owned(), format!("{folder}/"));
            self.faults.push(Fault { pack, file, message: message(folder), ..Fault::default() });
        }
        let unknown = self.pack.sections.keys().filter(|prefix| Kind::from_prefix(prefix).is_none());
        unknown.for_each(|prefix| self.add(prefix, "", "", message(prefix)));
    }

    fn fields(&mut self) {
        let pack = self.pack;
        if let Some(Type::Struct(shape)) = Kind::Content.spec().shape.field("meta").map(|field| field.ty) {
            let unknown = pack.meta.keys().filter_map(|name| Some((name, no_field(shape, name)?)));
            unknown.for_each(|(name, message)| self.add("meta", "", name, message));
        }
        for (prefix, objects) in &pack.sections {
            let Some(kind) = Kind::from_prefix(prefix) else { continue };
            for (key, object) in objects {
                let mut unknown = Vec::new();
                structure(kind.spec().shape, object, "", &mut unknown);
                unknown.into_iter().for_each(|(field, message)| self.add(prefix, key, &field, message));
            }
        }
    }

    fn object(&mut self, view: &View, record: &Record) {
        self.params(view, record);
        match record.kind() {
            Kind::Stage => {
                let stage = record.typed::<Stage>();
                for (at, entry) in stage.tasks.iter().enumerate() {
                    let (kind, name) = match TaskEntry::parse(entry) {
                        Some(TaskEntry::Task(name)) => (Kind::Task, name),
                        Some(TaskEntry::Stage(name)) => (Kind::Stage, name),
                        Some(TaskEntry::BootEnv(name)) => (Kind::BootEnv, name),
                        _ => continue,
                    };
                    self.reference(view, record, &format!("Tasks/{at}"), kind, name);
                }
                if !stage.boot_env.is_empty() {
                    self.reference(view, record, "BootEnv", Kind::BootEnv, &stage.boot_env);
                }
                self.references(view, record, "Profiles", Kind::Profile, &stage.profiles);
            }
            Kind::Workflow => {
                let stages = &record.typed::<Workflow>().stages;
                self.references(view, record, "Stages", Kind::Stage, stages);
            }
            Kind::Profile => {
                let profiles = &record.typed::<Profile>().profiles;
                self.references(view, record, "Profiles", Kind::Profile, profiles);
            }
            Kind::Param => {
                let errors =
                    view.record(Kind::Param, record.key()).map(|param| param.derived().errors().to_vec());
                let own = format!("{}: ", record.key());
                for error in errors.unwrap_or_default() {
                    let message = error.strip_prefix(&own).unwrap_or(&error).to_owned();
                    self.add(Kind::Param.prefix(), record.key(), "Schema", message);
                }
            }
            _ => {}
        }
    }

    /// Values that their parameters would refuse, and names that are nearly those of parameters.
    fn params(&mut self, view: &View, record: &Record) {
        let object = record.value();
        for (name, value) in object.get("Params").and_then(Value::as_object).into_iter().flatten() {
            let message = match view.object::<Param>(name) {
                Some(param) if param.secure && Sealed::parse(value).is_ok() => continue,
                Some(param) => match schema::check_value(&param.schema, value) {
                    Err(_) if param.secure => "does not suit its parameter".to_owned(),
                    Err(why) => format!("does not suit its parameter: {why}"),
                    Ok(()) => continue,
                },
                None => match meant_object(view, Kind::Param, name) {
                    meant if meant.is_empty() => continue,
                    meant => format!("no parameter of this name is defined{meant}"),
                },
            };
            let field = format!("Params/{}", escaped(name));
            self.add(record.kind().prefix(), record.key(), &field, message);
        }
    }

    fn references(&mut self, view: &View, record: &Record, field: &str, kind: Kind, names: &[String]) {
        for (at, name) in names.iter().enumerate() {
            self.reference(view, record, &format!("{field}/{at}"), kind, name);
        }
    }

    fn reference(&mut self, view: &View, record: &Record, field: &str, kind: Kind, name: &str) {
        if view.record(kind, name).is_none() {
            let message = format!("{kind} {name} does not exist{}", meant_object(view, kind, name));
            self.add(record.kind().prefix(), record.key(), field, message);
        }
    }
}

/// Fields that no shape has, with their paths.
fn structure(shape: &'static Shape, value: &Value, path: &str, unknown: &mut Vec<(String, String)>) {
    let below =
        |name: &str| if path.is_empty() { escaped(name) } else { format!("{path}/{}", escaped(name)) };
    for (name, value) in value.as_object().into_iter().flatten() {
        let field = shape.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        match (field, no_field(shape, name)) {
            (Some(field), _) => inside(field.ty, value, &below(name), unknown),
            (None, message) => unknown.extend(message.map(|message| (below(name), message))),
        }
    }
}

fn inside(ty: &'static Type, value: &Value, path: &str, unknown: &mut Vec<(String, String)>) {
    match (ty, value) {
        (Type::Struct(shape), value) => structure(shape, value, path, unknown),
        (Type::List(item), Value::Array(items)) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, value)| inside(item, value, &format!("{path}/{at}"), unknown));
        }
        (Type::Map(item), Value::Object(map)) => map
            .iter()
            .for_each(|(key, value)| inside(item, value, &format!("{path}/{}", escaped(key)), unknown)),
        _ => {}
    }
}

fn no_field(shape: &'static Shape, name: &str) -> Option<String> {
    let fields = || shape.fields.iter().map(|field| field.name);
    let known = fields().any(|field| field.eq_ignore_ascii_case(name));
    (!known).then(|| format!("{} has no such field, it is ignored{}", shape.name, meant(name, fields())))
}

fn meant_object(view: &View, kind: Kind, name: &str) -> String {
    meant(name, view.records(kind).map(|object| object.key().as_str()))
}

fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    similar(name, known).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

/// The known word that differs from `word` in two letters at most.
pub fn similar<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &known.to_lowercase());
    let near = known.map(|known| (distance(known), known)).filter(|(distance, _)| *distance <= 2);
    near.min().map(|(_, known)| known)
}

/// True for a folder of a pack that names no kind and yet holds what may be meant as objects.
pub(crate) fn is_stray(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let holds = |entry: std::io::Result<std::fs::DirEntry>| {
        let ending =
            entry.ok().and_then(|entry| Some(entry.path().extension()?.to_string_lossy().into_owned()));
        ending.is_some_and(|ending| ["yaml", "yml", "json", "tmpl"].contains(&ending.as_str()))
    };
    // A folder that cannot be read holds nothing that could be named.
    let objects = || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(holds));
    !name.starts_with('.') && Kind::from_prefix(&name).is_none() && folder.is_dir() && objects()
}
