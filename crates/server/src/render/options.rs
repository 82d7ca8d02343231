//! Values of DHCP options as templates, and parameters, for the DHCP engine.
//!
//! The data of a template is what the client sent, as text by option number: `{{if eq (index . 93) "0"}}` (network.md §1.17).
//! In DRP that is a map with numbers for keys, and what was not sent is empty; here it is a list of 256 texts, of which the same
//! templates take the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_model::{Machine, View, params};
use gantry_template::{Limits, List, Set, Value};

use super::World;
use crate::core::Core;

/// Templates that are kept compiled. Subnets and reservations have few different ones; beyond these, all are compiled anew.
const KEPT: usize = 1_024;

/// What the DHCP engine needs of templates and parameters.
pub(crate) struct Options {
    core: Arc<Core>,
    compiled: Mutex<HashMap<String, Arc<Set>>>,
}

impl Options {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, compiled: Mutex::default() }
    }

    fn compiled(&self, template: &str) -> Result<Arc<Set>, String> {
        let kept = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = kept().get(template) {
            return Ok(set.clone());
        }
        let set = Arc::new(compile(template)?);
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(template.to_owned(), set.clone());
        Ok(set)
    }
}

impl gantry_netboot::dhcp::engine::Host for Options {
    fn render(&self, template: &str, options: &BTreeMap<u8, String>) -> Result<String, String> {
        let set = self.compiled(template)?;
        let world = World::new(&self.core, &self.core.state.view());
        render(&set, options, &*world)
    }

    fn param(&self, view: &View, machine: Option<&Machine>, name: &str) -> Option<serde_json::Value> {
        let layers = match machine {
            Some(machine) => params::layers(view, machine),
            None => params::global_layers(view),
        };
        let (value, _) = params::lookup(view, &layers, name)?;
        Some(value)
    }
}

const NAME: &str = "option";

fn compile(template: &str) -> Result<Set, String> {
    let mut set = Set::new();
    set.parse(NAME, template).map_err(|error| error.message)?;
    Ok(set)
}

fn render(
    set: &Set,
    options: &BTreeMap<u8, String>,
    host: &dyn gantry_template::Host,
) -> Result<String, String> {
    let texts = (0..=u8::MAX).map(|code| options.get(&code).map_or("", String::as_str));
    let data = Value::from(List::of_strings(texts));
    let mut bytes = Vec::new();
    set.render(NAME, &data, &Limits::default(), host, &mut bytes).map_err(|error| error.message)?;
    String::from_utf8(bytes).map_err(|_| "the rendered value is no UTF-8 text".into())
}
