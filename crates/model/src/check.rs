//! Checks that several kinds share: names, template lists, task-list entries, parameter values; and what a check is given.
//!
//! Texts are those of the reference (API §3, §10), word for word, because clients and test-suites compare them.

pub mod arch;
mod given;
mod names;
mod size;
mod values;

pub(crate) use given::{Cross, Delete, Fill, Refusals};
pub(crate) use names::{endpoint_name, name, number_name, param_keys, param_name, param_names, user_name};
pub(crate) use size::size;
pub use size::{DEEPEST, LONGEST, LONGEST_NAME};
pub use values::param_value;
pub(crate) use values::{default_flags, default_int, default_text, param_values, required_params, text};

use std::collections::HashMap;

use crate::parts::{Claim, TemplateInfo};
use crate::{Address, Kind, Problems, TaskEntry, View};

/// Whether the templates of a kind must have a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paths {
    Required,
    Optional,
}

/// The rules of a list of templates (API §3).
pub(crate) fn templates(problems: &mut Problems, templates: &[TemplateInfo], paths: Paths) {
    let mut seen = HashMap::new();
    for (i, template) in templates.iter().enumerate() {
        if template.name.is_empty() {
            problems.add(format!("Template[{i}] is missing a Name"));
        }
        if template.path.is_empty() && paths == Paths::Required {
            problems.add(format!("Template[{i}] is missing a Path"));
        }
        if template.id.is_empty() && template.link.is_empty() && template.contents.is_empty() {
            problems.add(format!("Template[{i}] must have either an ID, a Link, or Contents set"));
        }
        if !template.id.is_empty() && !template.contents.is_empty() {
            problems.add(format!("Template[{i}] has both an ID and Contents"));
        }
        let first = *seen.entry(&template.name).or_insert(i);
        if first != i && !template.name.is_empty() {
            problems.add(format!("Template {first} and {i} have the same name {}", template.name));
        }
    }
}

/// Every template that is named must exist.
pub(crate) fn template_ids(view: &View, templates: &[TemplateInfo], problems: &mut Problems) {
    let mut errors = Vec::new();
    missing_template_ids(view, templates, &mut errors);
    errors.into_iter().for_each(|error| problems.add(error));
}

/// The same, for `Errors` of an object whose template went away with its pack.
pub(crate) fn missing_template_ids(view: &View, templates: &[TemplateInfo], errors: &mut Vec<String>) {
    for (i, template) in templates.iter().enumerate() {
        if !template.id.is_empty() && view.record(Kind::Template, &template.id).is_none() {
            errors.push(format!("Templates[{i}]: No common template for {}", template.id));
        }
    }
}

/// No profile may be listed twice.
pub(crate) fn duplicate_profiles(problems: &mut Problems, profiles: &[String]) {
    let mut seen = HashMap::new();
    for (i, profile) in profiles.iter().enumerate() {
        let first = *seen.entry(profile).or_insert(i);
        if first != i {
            problems.add(format!("Duplicate profile {profile}: at {first} and {i}"));
        }
    }
}

/// The stricter rules for task entries of a stage.
pub(crate) fn stage_entry(problems: &mut Problems, entry: &str) {
    match TaskEntry::parse(entry) {
        None => problems.add(format!("Invalid Task: {entry}")),
        Some(TaskEntry::Action { plugin: None, .. }) => {
            problems.add(format!("Invalid action specifier {entry}"));
        }
        Some(TaskEntry::Task(task)) => name(problems, "Invalid Task", task),
        Some(_) => {}
    }
}

/// An address that a client can be given.
pub(crate) fn usable_address(problems: &mut Problems, address: Address) {
    match address.v4() {
        None if address.is_unset() => problems.add("IP Address is nil"),
        Some(v4) if v4.is_unspecified() || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast() => {
            problems.add(format!("{address} is not a valid IP address for dr-provision"));
        }
        None => problems.add(format!("{address} is not a valid IP address for dr-provision")),
        Some(_) => {}
    }
}

/// A MAC address in any of the forms that Go reads, in lower case with colons.
///
/// # Errors
/// Go's text for a bad address.
pub fn mac(text: &str) -> Result<String, String> {
    let bad = || format!("address {text}: invalid MAC address");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let group = match text.find([':', '-', '.']) {
        Some(2) => 2,
        Some(4) if text.contains('.') => 4,
        _ => return Err(bad()),
    };
    let separator = text.as_bytes()[group];
    let well_formed = text
        .split(char::from(separator))
        .all(|part| part.len() == group && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !well_formed || !matches!(digits.len(), 12 | 16 | 40) || (separator == b'.') != (group == 4) {
        return Err(bad());
    }
    let pairs: Vec<String> =
        digits.chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_lowercase()).collect();
    Ok(pairs.join(":"))
}

/// Scopes of rights besides the prefixes of kinds.
const OTHER_SCOPES: [&str; 8] = ["events", "files", "isos", "logs", "objects", "system", "prefs", "indexes"];

/// The actions that a right can be for; `update` and `action` take a detail after a colon.
const ACTIONS: [&str; 33] = [
    "*",
    "action",
    "actions",
    "active",
    "get",
    "list",
    "create",
    "update",
    "delete",
    "patch",
    "password",
    "token",
    "log",
    "getSecure",
    "updateSecure",
    "updateTaskList",
    "updateLocked",
    "post",
    "upgrade",
    "replicate",
    "passive",
    "whoami",
    "allocate",
    "release",
    "addToPool",
    "removeFromPool",
    "releaseToPool",
    "head",
    "put",
    "read",
    "write",
    "restart",
    "introspect",
];

/// A right must speak of things that exist.
pub(crate) fn claim(claim: &Claim, problems: &mut Problems) {
    unknown_words(&claim.scope, &claim.action).into_iter().for_each(|problem| problems.add(problem));
}

/// What is wrong with the scopes and actions of a right, each `*` or a comma list.
#[must_use]
pub fn unknown_words(scopes: &str, actions: &str) -> Vec<String> {
    let known =
        |scope: &str| scope == "*" || Kind::from_prefix(scope).is_some() || OTHER_SCOPES.contains(&scope);
    let scopes = scopes.split(',').map(str::trim).filter(|scope| !known(scope));
    let word = |action: &str| ACTIONS.contains(&action.split(':').next().unwrap_or_default());
    let actions = actions.split(',').map(str::trim).filter(|action| !word(action));
    let scopes = scopes.map(|scope| format!("No such scope '{scope}'"));
    scopes.chain(actions.map(|action| format!("No such action '{action}'"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_read_in_every_form_and_written_in_one() {
        for text in ["00:1A:2b:3c:4d:5e", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e"] {
            assert_eq!(mac(text).as_deref(), Ok("00:1a:2b:3c:4d:5e"));
        }
        for bad in [
            "",
            "00",
            "001a2b3c4d5e",
            "00:1a:2b:3c:4d",
            "00:1a:2b:3c:4d:5g",
            "00:1a-2b:3c:4d:5e",
            "0:1:2:3:4:5",
        ] {
            assert_eq!(mac(bad), Err(format!("address {bad}: invalid MAC address")));
        }
    }
}
