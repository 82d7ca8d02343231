//! The checks of templates as [`Rules`]: `server` composes them into every write.
//!
//! A template must parse together with all others; a boot environment, stage or task must compile against them; the path
//! templates of a new machine's environment and stage must render.

use std::sync::Arc;

use gantry_model::parts::TemplateInfo;
use gantry_model::{Info, Kind, Machine, Problems, Rules, Saving, View, check};
use gantry_template::{MissingKey, NoHost, Set};
use serde_json::Value;

use crate::compile::{Compiled, Renderer};
use crate::host::{Host, Server};

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
}

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
        compiled.errors.into_iter().for_each(|error| problems.add(error));
        if saving.kind == Kind::BootEnv {
            check_boot_params(object, problems);
        }
    }

    /// Everything in a View that does not compile: for a content pack, after it was put into a View and before that View
    /// becomes the current one (API §12.4).
    #[must_use]
    pub fn check_view(&self, view: &View) -> Vec<String> {
        let root = self.0.root(view);
        let unparsed =
            root.errors.iter().map(|(id, message)| format!("Unable to load {id} templates: {message}"));
        let kinds = [Kind::BootEnv, Kind::Stage, Kind::Task];
        let owners = kinds.into_iter().flat_map(|kind| view.records(kind));
        let uncompiled = owners.flat_map(|record| self.0.compiled(view, record).errors.clone());
        unparsed.chain(uncompiled).collect()
    }

    /// The paths of the files that a new machine would get. One that exists may be changed: its files then fail one by one.
    fn check_machine(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        if saving.before.is_some() || saving.how.force {
            return;
        }
        let Ok(machine) = serde_json::from_value::<Machine>(object.clone()) else { return };
        let server = Arc::new(Server {
            info: Arc::new(Info::default()),
            address: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            client: None,
        });
        let host: Arc<dyn Host> = Arc::new(Nobody::default());
        if let Err(error) = self.0.files_of(saving.view, &Arc::new(machine), &server, &host) {
            error.messages().into_iter().for_each(|message| problems.add(message));
        }
    }
}

/// Command lines are templates too.
fn check_boot_params(env: &Value, problems: &mut Problems) {
    let mut parse = |text: Option<&Value>, place: String| {
        let mut set = Set::new();
        set.set_missing_key(MissingKey::Error);
        if let Err(error) = set.parse("bootParams", text.and_then(Value::as_str).unwrap_or_default()) {
            problems.add(format!("Error compiling boot parameter template{place}: {}", error.message));
        }
    };
    parse(env.get("BootParams"), String::new());
    let arches = env.pointer("/OS/SupportedArchitectures").and_then(Value::as_object);
    for (arch, info) in
        arches.into_iter().flatten().filter(|(arch, _)| check::arch::canonical(arch).is_some())
    {
        parse(info.get("BootParams"), format!(" for arch {arch}"));
    }
}

/// A host for renders whose result is not used.
#[derive(Debug, Default)]
struct Nobody(NoHost);

impl gantry_template::Host for Nobody {
    fn random(&self, buffer: &mut [u8]) {
        self.0.random(buffer);
    }

    fn now(&self) -> std::time::Duration {
        self.0.now()
    }
}

impl Host for Nobody {
    fn machine_token(&self, _machine: &Machine, _seconds: i64) -> String {
        String::new()
    }

    fn unknown_token(&self, _seconds: i64) -> String {
        String::new()
    }

    fn profile_token(&self, _profile: &str, _seconds: i64) -> String {
        String::new()
    }

    fn open(&self, _kind: Kind, _key: &str, _sealed: &Value) -> Option<Value> {
        None
    }
}
