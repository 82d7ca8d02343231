//! The engines' rules for objects that are about to be stored, composed for `state`.

use std::sync::Arc;

use gantry_boot::Renderer;
use gantry_boot::rules::TemplateRules;
use gantry_model::parts::DhcpOption;
use gantry_model::secret::Sealed;
use gantry_model::{Kind, Machine, Param, Problems, Rules, Saving, View, schema};
use gantry_netboot::dhcp::option;
use gantry_template::Set;
use gantry_workflow::change::{self, Defaults, Force, Place};
use serde_json::Value;

use crate::api::secure::Keys;
use crate::auth::password;

/// The rules of all engines, in the order in which they are asked.
pub(crate) fn all(renderer: &Arc<Renderer>, keys: &Keys) -> Arc<dyn Rules> {
    let rules: Vec<Arc<dyn Rules>> = vec![
        Arc::new(Workflow),
        Arc::new(TemplateRules(renderer.clone())),
        Arc::new(Secrets(keys.clone())),
        Arc::new(Hashes),
        Arc::new(DhcpOptions),
    ];
    Arc::new(rules)
}

/// Which password hashes this server can verify.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashes;

impl Rules for Hashes {
    fn is_password_hash(&self, hash: &[u8]) -> bool {
        password::is_hash(hash)
    }
}

/// Options of a subnet or reservation: one for each code that can be sent, 1 to 254.
const MOST_OPTIONS: usize = 254;

/// Which option values DHCP can send. Digital Rebar takes them all and leaves out of each answer what it cannot pack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DhcpOptions;

impl Rules for DhcpOptions {
    fn check(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        if !matches!(saving.kind, Kind::Subnet | Kind::Reservation) {
            return;
        }
        let options = |of: &Value| of.get("Options").and_then(Value::as_array).cloned().unwrap_or_default();
        let before = saving.before.map(|before| options(&before.value())).unwrap_or_default();
        let options = options(object);
        if options.len() > MOST_OPTIONS && options != before {
            let many = options.len();
            problems.add(format!(
                "Options: {many} are too many; at most {MOST_OPTIONS} are possible, one for each code"
            ));
            return;
        }
        for new in options.into_iter().filter(|new| !before.contains(new)) {
            let sendable = serde_json::from_value(new).map_err(|error| error.to_string());
            if let Err(message) = sendable.and_then(|option| dhcp_option(&option)) {
                problems.add(format!("Options: {message}"));
            }
        }
    }
}

fn dhcp_option(given: &DhcpOption) -> Result<(), String> {
    let sendable = u8::try_from(given.code).ok().filter(|code| !matches!(code, 0 | 255));
    let code = sendable.ok_or_else(|| format!("option {}: codes are 1 to 254", given.code))?;
    // An empty value takes an option away that would be sent otherwise.
    if given.value.is_empty() {
        return Ok(());
    }
    if given.value.contains("{{") {
        let parsed = Set::new().parse(&format!("option {code}"), &given.value);
        return parsed.map_err(|error| error.message);
    }
    option::from_text(code, &given.value).map(drop).map_err(|error| error.to_string())
}

/// What is sealed must have been sealed for the object that carries it, and suit its parameter (reference: api.md §8).
#[derive(Clone, Debug)]
pub(crate) struct Secrets(Keys);

impl Rules for Secrets {
    fn check(&self, saving: &Saving<'_>, object: &Value, problems: &mut Problems) {
        let spec = saving.kind.spec();
        let Some(params) = object.get("Params").and_then(Value::as_object).filter(|_| spec.params) else {
            return;
        };
        let key = object.get(spec.key_field).and_then(Value::as_str).unwrap_or_default();
        let before = saving.before.map(gantry_model::Record::value);
        let old = |name: &str| before.as_ref().and_then(|before| before.get("Params")?.get(name));
        for (name, value) in
            params.iter().filter(|(name, value)| value.is_object() && old(name) != Some(value))
        {
            if let Err(message) = secret(&self.0, saving.view, (saving.kind, key), name, value) {
                problems.add(message);
            }
        }
    }
}

/// Judges a value of a secure parameter that an object is to carry; others are not judged here.
///
/// # Errors
/// `Key '<name>': invalid val: <why>`; the value is a secret, and in no error.
pub(crate) fn secret(
    keys: &Keys,
    view: &View,
    (kind, key): (Kind, &str),
    name: &str,
    value: &Value,
) -> Result<(), String> {
    let Some(param) = view.object::<Param>(name).filter(|param| param.secure) else { return Ok(()) };
    let opened = Sealed::parse(value).and_then(|sealed| keys.pair(kind, key).open(&sealed));
    let judged =
        opened.and_then(|plain| schema::check_value(&param.schema, &plain).map_err(|why| format!(": {why}")));
    judged.map_err(|why| format!("Key '{name}': invalid val: {why}"))
}

/// What `workflow` says about machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workflow;

impl Rules for Workflow {
    fn complete_machine(
        &self,
        saving: &Saving<'_>,
        before: Option<&Machine>,
        machine: &mut Machine,
        problems: &mut Problems,
    ) {
        let view = saving.view;
        let done = match before {
            None => {
                let [workflow, stage, boot_env] =
                    ["defaultWorkflow", "defaultStage", "defaultBootEnv"].map(|name| view.preference(name));
                let defaults = Defaults { workflow: &workflow, stage: &stage, boot_env: &boot_env };
                change::created(view, machine, defaults)
            }
            Some(before) => {
                let force = if saving.how.force { Force::Yes } else { Force::No };
                let place = if saving.how.keeps_place { Place::Fixed } else { Place::Free };
                change::updated(view, before, machine, force, place)
            }
        };
        if let Err(faults) = done {
            faults.into_iter().for_each(|fault| problems.add(fault));
        }
    }
}
