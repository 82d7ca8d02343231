//! The checks of templates as [`Rules`]: `server` composes them into every write.
//!
//! A template must parse together with all others; a boot environment, stage or task must compile against them; the path
//! templates of a new machine's environment and stage must render.

use std::sync::Arc;

use gantry_model::parts::TemplateInfo;
use gantry_model::{Kind, Layer, LayerFault, Machine, Problems, Rules, Saving, View, check};
use gantry_template::{MissingKey, Set};
use serde_json::Value;

use crate::compile::{Compiled, Renderer};
use crate::survey::World;

/// See the module's text. Shares the compiled templates of a [`Renderer`].
#[derive(Debug, Clone)]
pub struct TemplateRules(pub Arc<Renderer>);

impl Rules for TemplateRules {
    fn check(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        match saving.kind {
            Kind::Template => self.check_template(saving, object, problems),
            Kind::BootEnv | Kind::Stage | Kind::Task => self.check_owner(saving, object, problems),
            Kind::Machine => self.check_machine(saving, object, problems),
            _ => {}
        }
    }

    fn check_layer(&self, view: &View, layer: &Layer, faults: &mut Vec<LayerFault>) {
        let root = self.0.root(view);
        for (id, error) in root.errors.iter().filter(|(id, _)| layer.get(Kind::Template, id).is_some()) {
            let message = format!("Unable to load {id} templates: {}", error.message);
            faults.push(LayerFault {
                field: "Contents".to_owned(),
                line: error.line,
                ..LayerFault::of(Kind::Template.prefix(), id, message)
            });
        }
        for object in layer.objects().filter(|object| OWNERS.contains(&object.kind())) {
            let (section, key) = (object.kind().prefix(), object.key());
            let of = |message: String| LayerFault::of(section, key, message);
            let Some(record) = view.record(object.kind(), key) else { continue };
            let compiled = self.0.compiled(view, record);
            // The model has said which common templates are missing.
            let known = |message: &str| message.contains("]: No common template for ");
            faults.extend(compiled.errors.iter().filter(|error| !known(&error.message)).map(|error| {
                LayerFault { field: error.field.clone(), line: error.line, ..of(error.message.clone()) }
            }));
            if object.kind() == Kind::BootEnv {
                let found = boot_params_faults(&object.value()).into_iter();
                faults.extend(found.map(|(field, line, message)| LayerFault { field, line, ..of(message) }));
            }
        }
    }
}

/// The kinds that have templates of their own.
const OWNERS: [Kind; 3] = [Kind::BootEnv, Kind::Stage, Kind::Task];

impl TemplateRules {
    fn check_template(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut set = self.0.root(saving.view).set.clone();
        if let Err(error) = set.parse(text("ID"), text("Contents")) {
            problems.add(format!("Parse error for template {}: {}", text("ID"), error.message));
        }
    }

    fn check_owner(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        let templates: Vec<TemplateInfo> = object
            .get("Templates")
            .cloned()
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default();
        let key = object.get("Name").and_then(Value::as_str).unwrap_or_default();
        let compiled = Compiled::new(&self.0.root(saving.view), key, &templates);
        compiled.errors.into_iter().for_each(|error| problems.add(error.message));
        if saving.kind == Kind::BootEnv {
            boot_params_faults(object).into_iter().for_each(|(_, _, message)| problems.add(message));
        }
    }

    /// Everything in a View that does not compile: for a content pack, after it was put into a View and before that View
    /// becomes the current one (API §12.4).
    #[must_use]
    pub fn check_view(&self, view: &View) -> Vec<String> {
        let root = self.0.root(view);
        let unparsed =
            root.errors.iter().map(|(id, error)| format!("Unable to load {id} templates: {}", error.message));
        let owners = OWNERS.into_iter().flat_map(|kind| view.records(kind));
        let uncompiled = owners.flat_map(|record| self.0.compiled(view, record).messages());
        unparsed.chain(uncompiled).collect()
    }

    /// The paths of the files that a machine would get, when it is new or changes its environment or stage. Other changes may
    /// not be held up by content: its files then fail one by one.
    fn check_machine(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        if saving.how.force {
            return;
        }
        let Ok(machine) = serde_json::from_value::<Machine>(object.clone()) else { return };
        let before = saving.before.map(gantry_model::Record::typed::<Machine>);
        if before.is_some_and(|before| before.boot_env == machine.boot_env && before.stage == machine.stage) {
            return;
        }
        let World { server, host } = World::default();
        if let Err(error) = self.0.files_of(saving.view, &Arc::new(machine), &server, &host) {
            error.messages().into_iter().for_each(|message| problems.add(message));
        }
    }
}

/// Command lines are templates too: field, line and message of those that do not parse.
fn boot_params_faults(env: &Value) -> Vec<(String, usize, String)> {
    let mut faults = Vec::new();
    let mut parse = |text: Option<&Value>, field: String, place: String| {
        let mut set = Set::new();
        set.set_missing_key(MissingKey::Error);
        if let Err(error) = set.parse("bootParams", text.and_then(Value::as_str).unwrap_or_default()) {
            let message = format!("Error compiling boot parameter template{place}: {}", error.message);
            faults.push((field, error.line, message));
        }
    };
    parse(env.get("BootParams"), "BootParams".to_owned(), String::new());
    let arches = env.pointer("/OS/SupportedArchitectures").and_then(Value::as_object);
    for (arch, info) in
        arches.into_iter().flatten().filter(|(arch, _)| check::arch::canonical(arch).is_some())
    {
        let field = format!("OS/SupportedArchitectures/{arch}/BootParams");
        parse(info.get("BootParams"), field, format!(" for arch {arch}"));
    }
    faults
}
