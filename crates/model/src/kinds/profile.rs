//! Profiles: named sets of parameters (API §10.4).

use serde_json::{Map, Value};

use crate::check::{self, Cross, Delete};
use crate::kind::{Behaviour, Index, Shown};
use crate::shape::wire;
use crate::{Kind, Problems, View};

wire! {
    /// A named set of parameters that machines, stages and other profiles take in.
    object Profile {
        /// True when `slim` or `params` trimmed the answer. Computed.
        partial: bool = "Partial" derived,
        /// Unique name. `global` applies to every machine.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// The parameters.
        params: Map<String, Value> = "Params",
        /// Profiles that this one takes in; its own parameters win over theirs.
        profiles: Vec<String> = "Profiles",
    }
}

/// The profile that applies to every machine.
pub const GLOBAL: &str = "global";

impl Behaviour for Profile {
    const SHOWN: Shown = Shown::Params;
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::list("Params"),
        Index::list("Profiles").refers(Kind::Profile),
        Index::text("Description"),
        Index::text("Documentation"),
    ];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        check::param_keys(problems, &self.params);
        for profile in &self.profiles {
            check::name(problems, "Invalid Profile Name", profile);
        }
        check::duplicate_profiles(problems, &self.profiles);
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        check::param_values(cross, &self.params, problems);
        if let Some(path) = nesting_cycle(cross.view, &self.name, &self.profiles) {
            problems.add(format!("Profile {} contains itself: {path}", self.name));
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        for (i, profile) in self.profiles.iter().enumerate() {
            if view.record(Kind::Profile, profile).is_none() {
                errors.push(format!("{}: Profile {profile} (at {i}) does not exist", self.name));
            }
        }
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        if self.name == GLOBAL {
            delete.refuse("Profile global is the global profile, you cannot delete it".to_owned());
        }
        for (kind, noun) in [(Kind::Machine, "Machine"), (Kind::Stage, "Stage"), (Kind::Profile, "Profile")] {
            for user in delete.view.find(kind, "Profiles", &self.name) {
                delete.problems.refused.push(format!("{noun} {user} is using profile {}", self.name));
            }
        }
    }
}

/// The way back to `name` through nested profiles, if there is one.
fn nesting_cycle(view: &View, name: &str, nested: &[String]) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut open: Vec<(String, String)> =
        nested.iter().map(|profile| (profile.clone(), format!("{name}: {profile}"))).collect();
    while let Some((profile, path)) = open.pop() {
        if profile == name {
            return Some(path);
        }
        if !seen.insert(profile.clone()) {
            continue;
        }
        let Some(object) = view.object::<Profile>(&profile) else { continue };
        open.extend(object.profiles.iter().map(|next| (next.clone(), format!("{path}: {next}"))));
    }
    None
}
