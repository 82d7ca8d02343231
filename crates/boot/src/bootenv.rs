//! A boot environment as one machine sees it: its directory, its files, and what `bootenv-customize` changes (engine §2).

use std::sync::Arc;

use gantry_model::params;
use gantry_model::parts::TemplateInfo;
use gantry_model::{BootEnv, Kind, Machine, View, check, decode};
use serde_json::{Map, Value};

use crate::param;

/// The parameter that changes boot environments for single machines: a map from their names to overrides.
const CUSTOMIZE: &str = "bootenv-customize";

/// The environment of a name with what the machine's `bootenv-customize` changes of it.
#[must_use]
pub fn for_machine(view: &View, machine: Option<&Machine>, name: &str) -> Option<Arc<BootEnv>> {
    let env = view.object::<BootEnv>(name)?;
    let Some(machine) = machine else { return Some(env) };
    match overrides(view, machine, name) {
        Some(overrides) => Some(Arc::new(customised(&env, &overrides))),
        None => Some(env),
    }
}

/// What the machine overrides of the environment.
#[must_use]
pub fn overrides(view: &View, machine: &Machine, name: &str) -> Option<Map<String, Value>> {
    let own = machine.params.contains_key(CUSTOMIZE);
    let inherited = || {
        params::inherited(view, &machine.profiles, &machine.stage)
            .iter()
            .any(|l| l.params().contains_key(CUSTOMIZE))
    };
    if !own && !inherited() && params::default_value(view, CUSTOMIZE).is_none() {
        return None;
    }
    match param::compose(view, &params::layers(view, machine), CUSTOMIZE)?.get(name)? {
        Value::Object(overrides) => Some(overrides.clone()),
        _ => None,
    }
}

/// Loaders by key; texts of the operating system when not empty; architectures likewise, by their canonical names; templates
/// by name, new ones appended.
fn customised(env: &BootEnv, overrides: &Map<String, Value>) -> BootEnv {
    let decoded = decode::object(Kind::BootEnv, Value::Object(overrides.clone())).unwrap_or_default();
    let over: BootEnv = serde_json::from_value(Value::Object(decoded)).unwrap_or_default();
    let mut env = env.clone();
    env.loaders.extend(over.loaders);
    let os = &mut env.os;
    let texts = [
        (&mut os.name, over.os.name),
        (&mut os.family, over.os.family),
        (&mut os.codename, over.os.codename),
        (&mut os.version, over.os.version),
        (&mut os.iso_file, over.os.iso_file),
        (&mut os.iso_sha256, over.os.iso_sha256),
        (&mut os.iso_url, over.os.iso_url),
    ];
    texts.into_iter().for_each(|(own, text)| replace(own, text));
    for (arch, info) in over.os.supported_architectures {
        let canonical = check::arch::canonical(&arch);
        let known =
            os.supported_architectures.keys().find(|key| check::arch::canonical(key) == canonical).cloned();
        let own = os.supported_architectures.entry(known.unwrap_or(arch)).or_default();
        let texts = [
            (&mut own.iso_file, info.iso_file),
            (&mut own.sha256, info.sha256),
            (&mut own.iso_url, info.iso_url),
            (&mut own.kernel, info.kernel),
            (&mut own.boot_params, info.boot_params),
            (&mut own.loader, info.loader),
        ];
        texts.into_iter().for_each(|(own, text)| replace(own, text));
        if !info.initrds.is_empty() {
            own.initrds = info.initrds;
        }
    }
    over.templates.into_iter().for_each(|template| put_template(&mut env.templates, template));
    env
}

fn replace(own: &mut String, text: String) {
    if !text.is_empty() {
        *own = text;
    }
}

fn put_template(templates: &mut Vec<TemplateInfo>, template: TemplateInfo) {
    match templates.iter_mut().find(|own| own.name == template.name) {
        Some(own) => *own = template,
        None => templates.push(template),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_joined_as_go_joins_them() {
        let mut env = BootEnv { name: "centos-7-install".to_owned(), ..BootEnv::default() };
        env.os.name = "centos-7".to_owned();
        let table = [
            ("amd64", "", "centos-7/install"),
            ("amd64", "/", "centos-7/install"),
            ("amd64", "a/", "centos-7/install/a"),
            ("amd64", "../x", "centos-7/x"),
            ("amd64", "../../../../x", "x"),
            ("arm64", "k", "centos-7/arm64/install/k"),
        ];
        for (arch, file, path) in table {
            assert_eq!(env.file_path(arch, file), path);
        }
        env.name = "sledgehammer".to_owned();
        assert_eq!(env.file_path("amd64", "sha/vmlinuz0"), "centos-7/sha/vmlinuz0");
    }

    #[test]
    fn overrides_replace_what_they_name() {
        let env: BootEnv = serde_json::from_value(json!({
            "Name": "e", "OS": {"Name": "os", "Version": "1", "SupportedArchitectures": {"x86_64": {"Kernel": "k", "Loader": "l"}}},
            "Templates": [{"Name": "a", "Contents": "1"}], "Loaders": {"amd64-uefi": "x"},
        }))
        .unwrap();
        let overrides = json!({
            "OS": {"version": "2", "SupportedArchitectures": {"amd64": {"kernel": "k2", "Initrds": ["i"]}}},
            "Templates": [{"Name": "a", "Contents": "2"}, {"Name": "b", "Contents": "3"}], "Loaders": {"386-pcbios": "y"},
        });
        let env = customised(&env, overrides.as_object().unwrap());
        assert_eq!((env.os.name.as_str(), env.os.version.as_str()), ("os", "2"));
        let arch = env.arch("amd64").unwrap();
        assert_eq!((arch.kernel.as_str(), arch.loader.as_str(), arch.initrds.len()), ("k2", "l", 1));
        assert_eq!(env.templates.iter().map(|t| t.contents.as_str()).collect::<String>(), "23");
        assert_eq!(env.loaders.len(), 2);
    }
}
