//! Where a machine's parameters come from, most important first (API §7.2, engine §3.2).
//!
//! machine, its profiles with those nested in them, its stage, the stage's profiles, profile `global`; the default of the
//! parameter's schema comes after all of them. This module walks; merging, expanding and explaining is the `boot` crate's.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::kinds::profile::GLOBAL;
use crate::{Machine, Param, Profile, Stage, View};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// On the machine itself.
    Machine,
    /// In a profile of the machine; the names lead from the machine's own profile to the nested one.
    Profile(Vec<String>),
    /// On the stage of that name.
    Stage(String),
    /// In a profile of the stage.
    StageProfile(String, Vec<String>),
    /// In profile `global` or one nested in it.
    Global(Vec<String>),
    /// The default of the parameter's schema.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("machine"),
            Self::Profile(path) => write!(f, "profile {}", path.join(" > ")),
            Self::Stage(stage) => write!(f, "stage {stage}"),
            Self::StageProfile(stage, path) => write!(f, "stage {stage}, profile {}", path.join(" > ")),
            Self::Global(path) if path.len() <= 1 => f.write_str("profile global"),
            Self::Global(path) => write!(f, "profile {}", path.join(" > ")),
            Self::Default => f.write_str("default of the parameter"),
        }
    }
}

/// One set of values on the way.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Where it is.
    pub origin: Origin,
    values: Values<'a>,
}

#[derive(Debug, Clone)]
enum Values<'a> {
    Own(&'a Map<String, Value>),
    Profile(Arc<Profile>),
    Stage(Arc<Stage>),
}

impl Layer<'_> {
    /// The values.
    #[must_use]
    pub fn params(&self) -> &Map<String, Value> {
        match &self.values {
            Values::Own(params) => params,
            Values::Profile(profile) => &profile.params,
            Values::Stage(stage) => &stage.params,
        }
    }
}

/// All layers of a machine in its current stage, without schema defaults.
#[must_use]
pub fn layers<'a>(view: &View, machine: &'a Machine) -> Vec<Layer<'a>> {
    layers_in_stage(view, machine, &machine.stage)
}

/// All layers of a machine as if it were in `stage`: a job sees the stage that it was made in.
#[must_use]
pub fn layers_in_stage<'a>(view: &View, machine: &'a Machine, stage: &str) -> Vec<Layer<'a>> {
    let mut layers = vec![Layer { origin: Origin::Machine, values: Values::Own(&machine.params) }];
    layers.extend(inherited(view, &machine.profiles, stage));
    layers
}

/// What a machine with these profiles gets in that stage, besides its own parameters.
#[must_use]
pub fn inherited(view: &View, profiles: &[String], stage: &str) -> Vec<Layer<'static>> {
    let mut layers = Vec::new();
    nested(view, profiles, &Origin::Profile, &mut layers);
    if let Some(stage) = view.object::<Stage>(stage) {
        layers.push(Layer {
            origin: Origin::Stage(stage.name.clone()),
            values: Values::Stage(Arc::clone(&stage)),
        });
        nested(view, &stage.profiles, &|path| Origin::StageProfile(stage.name.clone(), path), &mut layers);
    }
    layers.extend(global_layers(view));
    layers
}

/// The layers that hold without a machine: profile `global` and what is nested in it.
#[must_use]
pub fn global_layers(view: &View) -> Vec<Layer<'static>> {
    let mut layers = Vec::new();
    nested(view, &[GLOBAL.to_owned()], &Origin::Global, &mut layers);
    layers
}

/// The layers of a profile or stage when `aggregate` is asked of it.
#[must_use]
pub fn profile_layers(view: &View, profiles: &[String]) -> Vec<Layer<'static>> {
    let mut layers = Vec::new();
    nested(view, profiles, &Origin::Profile, &mut layers);
    layers.extend(global_layers(view));
    layers
}

/// The default of the parameter's schema.
#[must_use]
pub fn default_value(view: &View, name: &str) -> Option<Value> {
    view.object::<Param>(name)?.default_value().cloned()
}

/// The first value on the way, or the schema's default.
#[must_use]
pub fn lookup(view: &View, layers: &[Layer<'_>], name: &str) -> Option<(Value, Origin)> {
    let hit = layers.iter().find_map(|layer| Some((layer.params().get(name)?.clone(), layer.origin.clone())));
    hit.or_else(|| Some((default_value(view, name)?, Origin::Default)))
}

/// Depth first: each profile, then those nested in it. Each counts once, where it is met first: later it could add nothing.
fn nested<'a>(
    view: &View,
    names: &[String],
    origin: &dyn Fn(Vec<String>) -> Origin,
    layers: &mut Vec<Layer<'a>>,
) {
    let mut seen = BTreeSet::new();
    let mut open: Vec<Vec<String>> = names.iter().rev().map(|name| vec![name.clone()]).collect();
    while let Some(path) = open.pop() {
        let Some(profile) = path.last().and_then(|name| view.object::<Profile>(name)) else { continue };
        if !seen.insert(profile.name.clone()) {
            continue;
        }
        let deeper = profile.profiles.iter().rev();
        open.extend(deeper.map(|name| path.iter().cloned().chain([name.clone()]).collect()));
        layers.push(Layer { origin: origin(path), values: Values::Profile(profile) });
    }
}
