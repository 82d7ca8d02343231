//! Package repositories: entries of the parameter `package-repositories` as installers want to see them (engine §1.8).

use std::sync::Arc;

use gantry_model::check;
use gantry_template::{Elem, Fail, List, Object, Scope, Signature, Type, Value};
use serde_json::Value as Json;

use crate::dot::strings;
use crate::object::{fail, text_arg};
use crate::scene::Scene;

/// One repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repo {
    pub(crate) tag: String,
    pub(crate) os: Vec<String>,
    pub(crate) url: String,
    arch: String,
    package_type: String,
    repo_type: String,
    distribution: String,
    boot_loc: String,
    components: Vec<String>,
    pub(crate) install_source: bool,
    security_source: bool,
    /// The operating system that it is rendered for.
    for_os: String,
    family: String,
    /// For `repo` lines, when a proxy is set.
    proxy: Option<String>,
}

/// Repositories that have one of the tags, in the order of the parameter.
pub(crate) fn tagged(scene: &Arc<Scene>, tags: &[String]) -> Result<Value, Fail> {
    Ok(list(entries(scene).into_iter().filter(|repo| tags.contains(&repo.tag)).collect()))
}

/// Repositories of the machine's operating system. As with DRP, a local tree comes first, in the place of every other install
/// source; one for apt does not, for what is on an ISO is enough to install and not to live on.
pub(crate) fn of_machine(scene: &Arc<Scene>) -> Result<Value, Fail> {
    Ok(list(machine_repos(scene)))
}

/// The install source, then the security source.
pub(crate) fn for_install(scene: &Arc<Scene>) -> Result<Value, Fail> {
    let Some(install) = install_source(scene) else { return Ok(list(Vec::new())) };
    let security = machine_repos(scene).into_iter().find(|repo| repo.security_source);
    Ok(list(std::iter::once(install).chain(security).collect()))
}

pub(crate) fn install_source(scene: &Arc<Scene>) -> Option<Repo> {
    local(scene).or_else(|| machine_repos(scene).into_iter().find(|repo| repo.install_source))
}

fn list(repos: Vec<Repo>) -> Value {
    Value::List(List::of(Elem::Named("*renderer.Repo"), repos.into_iter().map(Value::object).collect()))
}

fn machine_repos(scene: &Arc<Scene>) -> Vec<Repo> {
    let os = os_name(scene);
    let local = local(scene).filter(|local| local.distribution.is_empty());
    let instead = |repo: &Repo| local.is_some() && repo.install_source;
    let wanted = |repo: &Repo| repo.os.contains(&os) && repo.suits(scene.arch()) && !instead(repo);
    let others: Vec<Repo> = entries(scene).into_iter().filter(wanted).collect();
    local.into_iter().chain(others).collect()
}

/// The machine's operating system; before it is known, that of its boot environment.
fn os_name(scene: &Scene) -> String {
    let env = scene.env(&["OS"]).map(|env| env.os.name.clone()).unwrap_or_default();
    match scene.machine(&["OS"]) {
        Some(machine) if !machine.os.is_empty() => machine.os.clone(),
        _ => env,
    }
}

fn family(scene: &Scene) -> String {
    scene.env(&["OS"]).map(|env| env.os.family.clone()).unwrap_or_default()
}

fn entries(scene: &Scene) -> Vec<Repo> {
    let (os, family) = (os_name(scene), family(scene));
    ["proxy-servers", "package-repositories"].iter().for_each(|name| scene.ask(name));
    scene.repositories(|| read_entries(scene, &os, &family)).to_vec()
}

fn read_entries(scene: &Scene, os: &str, family: &str) -> Vec<Repo> {
    let proxy = proxy(scene);
    let value = scene.peek("package-repositories").map(|found| found.value).unwrap_or_default();
    let items = value.as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| Repo {
            for_os: os.to_owned(),
            family: family.to_owned(),
            proxy: proxy.clone(),
            ..Repo::read(item)
        })
        .collect()
}

fn proxy(scene: &Scene) -> Option<String> {
    scene.peek("proxy-servers").and_then(|found| first_proxy(&found.value))
}

fn first_proxy(value: &Json) -> Option<String> {
    let first = value.as_array()?.first()?;
    first.as_str().map(str::to_owned)
}

/// The unpacked tree as a repository.
fn local(scene: &Arc<Scene>) -> Option<Repo> {
    let tree = scene.tree()?;
    let os = os_name(scene);
    scene.ask("proxy-servers");
    let (distribution, components) =
        tree.suite.clone().map(|suite| (suite.name, suite.components)).unwrap_or_default();
    Some(Repo {
        tag: tree.env.clone(),
        os: vec![os.clone()],
        url: format!("{}/{}", scene.files_url(), tree.directory),
        distribution,
        components,
        install_source: true,
        for_os: os,
        family: family(scene),
        proxy: proxy(scene),
        ..Repo::default()
    })
}

/// How repositories are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Yum,
    Apt,
}

impl Style {
    /// That of an operating system, known by the part of its name before the first `-`.
    pub(crate) fn of_os(name: &str) -> Option<Self> {
        match name.split('-').next().unwrap_or_default() {
            "redhat" | "rhel" | "centos" | "scientificlinux" | "fedora" | "rocky" | "alma" | "almalinux"
            | "photon" => Some(Self::Yum),
            "debian" | "ubuntu" => Some(Self::Apt),
            _ => None,
        }
    }
}

impl Repo {
    fn read(item: &Json) -> Self {
        let text = |name: &str| item.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let texts = |name: &str| -> Vec<String> {
            item.get(name)
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .map(str::to_owned)
                .collect()
        };
        let flag = |name: &str| item.get(name).and_then(Json::as_bool).unwrap_or_default();
        Self {
            tag: text("tag"),
            os: texts("os"),
            url: text("url"),
            arch: text("arch"),
            package_type: text("packageType"),
            repo_type: text("repoType"),
            distribution: text("distribution"),
            boot_loc: text("bootloc"),
            components: texts("components"),
            install_source: flag("installSource"),
            security_source: flag("securitySource"),
            ..Self::default()
        }
    }

    /// An entry without architecture is never used; `any` not for installing.
    fn suits(&self, arch: &str) -> bool {
        match self.arch.as_str() {
            "any" => !self.install_source,
            own => check::arch::canonical(own) == Some(arch),
        }
    }

    fn style(&self) -> Result<Style, Fail> {
        match self.repo_type.as_str() {
            "yum" => Ok(Style::Yum),
            "apt" => Ok(Style::Apt),
            _ => Style::of_os(&self.for_os)
                .map_or_else(|| fail(format!("No idea how to handle repos for {}", self.for_os)), Ok),
        }
    }

    fn url_for(&self, component: &str) -> String {
        if component.is_empty() || self.install_source || self.distribution.is_empty() {
            return self.url.clone();
        }
        if self.for_os.starts_with("scientificlinux") {
            return format!("{}/{}/$basearch/{component}", self.url, self.distribution);
        }
        format!("{}/{}/{component}/$basearch", self.url, self.distribution)
    }

    /// The lines of an installer's answer file.
    fn install(&self) -> Result<String, Fail> {
        match self.style()? {
            Style::Yum if self.install_source => {
                Ok(format!("install\nurl --url {}\n{}", self.url, self.repo_line("", &self.url, 100)))
            }
            Style::Yum if self.components.is_empty() => Ok(self.repo_line("", &self.url, 200)),
            Style::Yum => Ok(self
                .components
                .iter()
                .map(|part| self.repo_line(part, &self.url_for(part), 200))
                .collect()),
            Style::Apt => Ok(self.apt_install()),
        }
    }

    fn repo_line(&self, component: &str, url: &str, cost: u32) -> String {
        let name = if component.is_empty() { self.tag.clone() } else { format!("{}-{component}", self.tag) };
        let proxy = self.proxy.as_ref().map(|proxy| format!(" --proxy=\"{proxy}\"")).unwrap_or_default();
        format!("repo --name=\"{name}\" --baseurl={url} --cost={cost}{proxy}\n")
    }

    fn apt_install(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("http", &self.url));
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if self.install_source {
            return format!(
                "d-i mirror/protocol string {scheme}\nd-i mirror/http/hostname string {host}\nd-i mirror/http/directory string {path}\n\n"
            );
        }
        if self.family == "debian" {
            return format!("d-i apt-setup/security_host string {}\n\n", self.url);
        }
        format!("d-i apt-setup/security_host string {host}\nd-i apt-setup/security_path string {path}\n\n")
    }

    /// The lines of an installed system's configuration.
    fn lines(&self) -> Result<String, Fail> {
        let block = |name: String, title: String, url: String| {
            format!("\n[{name}]\nname={title}\nbaseurl={url}\ngpgcheck=0\n")
        };
        match self.style()? {
            Style::Yum if self.components.is_empty() => {
                Ok(block(self.tag.clone(), format!("{} - {}", self.for_os, self.tag), self.url.clone()))
            }
            Style::Yum => Ok(self
                .components
                .iter()
                .map(|part| {
                    block(
                        format!("{}-{part}", self.tag),
                        format!("{} - {part}", self.tag),
                        self.url_for(part),
                    )
                })
                .collect()),
            Style::Apt => {
                Ok(format!("deb {} {} {}\n", self.url, self.distribution, self.components.join(" ")))
            }
        }
    }
}

const NONE: Signature = Signature::exact(&[]);

impl Object for Repo {
    fn type_name(&self) -> &'static str {
        "*renderer.Repo"
    }

    fn method(&self, name: &str) -> Option<Signature> {
        match name {
            "Install" | "Lines" | "JoinedComponents" | "R" => Some(NONE),
            "UrlFor" => Some(Signature::exact(&[Type::String])),
            _ => None,
        }
    }

    fn call(&self, name: &str, args: &[Value], _scope: &mut Scope<'_>) -> Result<Value, Fail> {
        match name {
            "Install" => self.install().map(Value::from),
            "Lines" => self.lines().map(Value::from),
            "JoinedComponents" => Ok(Value::from(self.components.join(" "))),
            "UrlFor" => Ok(Value::from(self.url_for(&text_arg(args, 0)))),
            _ => Ok(Value::object(self.clone())),
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Tag", Value::from(self.tag.as_str())),
            ("OS", strings(&self.os)),
            ("Arch", Value::from(self.arch.as_str())),
            ("URL", Value::from(self.url.as_str())),
            ("PackageType", Value::from(self.package_type.as_str())),
            ("RepoType", Value::from(self.repo_type.as_str())),
            ("InstallSource", Value::Bool(self.install_source)),
            ("SecuritySource", Value::Bool(self.security_source)),
            ("Distribution", Value::from(self.distribution.as_str())),
            ("BootLoc", Value::from(self.boot_loc.as_str())),
            ("Components", strings(&self.components)),
        ]
    }
}
