//! `.Env` (engine §1.4.3).

use std::sync::Arc;

use gantry_model::kinds::bootenv::OsInfo;
use gantry_model::shape::{Shape, Type as ShapeType, Wire};
use gantry_model::{BootEnv, Kind, check};
use gantry_template::{Fail, MissingKey, Object, Scope, Signature, Type, Value};

use super::{NONE, TEXT, find_method, strings};
use crate::object::{self, fail, text_arg};
use crate::repo;
use crate::scene::Scene;

/// The boot environment of a render. Only made when there is one.
#[derive(Debug)]
pub(crate) struct EnvDot(pub(crate) Arc<Scene>);

const TWO: Signature = Signature::exact(&[Type::String, Type::String]);

const METHODS: &[(&str, Signature)] = &[
    ("BootParams", NONE),
    ("BootParamsFor", TEXT),
    ("InitrdsFor", TEXT),
    ("InstallUrl", NONE),
    ("JoinInitrds", TEXT),
    ("JoinInitrdsFor", TWO),
    ("KernelFor", TEXT),
    ("LineFrom", TWO),
    ("PathFor", TWO),
    ("PathForArch", Signature::exact(&[Type::String, Type::String, Type::String])),
];

impl Object for EnvDot {
    fn type_name(&self) -> &'static str {
        "*renderer.BootEnv"
    }

    fn method(&self, name: &str) -> Option<Signature> {
        find_method(METHODS, name)
    }

    fn call(&self, name: &str, args: &[Value], scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let scene = &self.0;
        let text = |at: usize| text_arg(args, at);
        match name {
            "PathFor" => path_for(scene, &text(0), &text(1), bootable(scene)?).map(Value::from),
            "PathForArch" => path_for(scene, &text(0), &text(1), own_arch(scene, &text(2))?).map(Value::from),
            "JoinInitrds" => self.joined(&text(0), bootable(scene)?),
            "JoinInitrdsFor" => self.joined(&text(0), own_arch(scene, &text(1))?),
            "KernelFor" => Ok(Value::from(files(scene)?.kernel_for(own_arch(scene, &text(0))?))),
            "InitrdsFor" => Ok(strings(files(scene)?.initrds_for(own_arch(scene, &text(0))?))),
            "BootParams" => boot_params(scene, scene.arch(), scope),
            "BootParamsFor" => boot_params(scene, own_arch(scene, &text(0))?, scope),
            "InstallUrl" => install_url(scene).map(Value::from),
            "LineFrom" => self.line_from(&text(0), &text(1)),
            _ => fail(format!("no method {name}")),
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        let scene = &self.0;
        Some(match name {
            "Kernel" => Value::from(files(scene).ok()?.kernel_for(scene.arch())),
            "Initrds" => strings(files(scene).ok()?.initrds_for(scene.arch())),
            "OS" => Value::object(OsDot(scene.env(&["OS"])?.os.clone())),
            name => object::field_of(scene, Kind::BootEnv, name)?,
        })
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        object::fields_of(&self.0, Kind::BootEnv)
    }
}

impl EnvDot {
    /// The paths of all initial ram disks, with commas, as pxelinux wants them.
    fn joined(&self, protocol: &str, arch: &str) -> Result<Value, Fail> {
        let initrds = files(&self.0)?.initrds_for(arch).iter();
        let paths: Result<Vec<String>, Fail> =
            initrds.map(|initrd| path_for(&self.0, protocol, initrd, arch)).collect();
        Ok(Value::from(paths?.join(",")))
    }

    /// The first line of a file of the unpacked tree that begins so; nothing when no line does.
    fn line_from(&self, file: &str, prefix: &str) -> Result<Value, Fail> {
        let path = path_for(&self.0, "tftp", file, self.0.arch())?;
        let Some(bytes) = gantry_template::Host::file(&*self.0.host, &path) else {
            return fail(format!("LineFrom: {path} does not exist"));
        };
        let text = String::from_utf8_lossy(&bytes);
        Ok(Value::from(text.lines().find(|line| line.starts_with(prefix)).unwrap_or_default()))
    }
}

/// The command line of an architecture, rendered with the same dot. In iPXE scripts it begins by naming the first initial
/// ram disk, which UEFI kernels need (network §2.6.1).
pub(crate) fn boot_params(scene: &Arc<Scene>, arch: &str, scope: &mut Scope<'_>) -> Result<Value, Fail> {
    let env = files(scene)?;
    let rendered =
        scope.render_text("bootParams", env.boot_params_for(arch), MissingKey::Error, &scene.dot())?;
    let text = rendered.to_text();
    let initrd = env.initrds_for(arch).first().filter(|_| scene.path.ends_with(".ipxe"));
    Ok(match initrd {
        Some(initrd) => Value::from(format!("initrd={} {text}", initrd.rsplit('/').next().unwrap_or(initrd))),
        None => Value::from(text.into_owned()),
    })
}

/// The path (`tftp`) or URL (`http`) of a file of an environment.
fn path_for(scene: &Scene, protocol: &str, file: &str, arch: &str) -> Result<String, Fail> {
    let path =
        scene.env(&["Name", "OS"]).map_or_else(|| fail(NO_ENV), |env| Ok(env.file_path(arch, file)))?;
    match protocol {
        "tftp" => Ok(path),
        "http" => Ok(format!("{}/{path}", scene.files_url())),
        other => fail(format!("Unknown protocol {other}: must be tftp or http")),
    }
}

/// The boot environment, for its kernel, initial ram disks or command line of some architecture.
fn files(scene: &Scene) -> Result<&BootEnv, Fail> {
    let fields = ["OS", "Kernel", "Initrds", "BootParams"];
    scene.env(&fields).map_or_else(|| fail(NO_ENV), Ok)
}

const NO_ENV: &str = "there is no boot environment";

/// Where the operating system is installed from.
fn install_url(scene: &Arc<Scene>) -> Result<String, Fail> {
    repo::install_source(scene)
        .map(|repo| repo.url)
        .map_or_else(|| fail("No install repository available"), Ok)
}

/// The machine's architecture, unless the environment boots others only.
fn bootable(scene: &Scene) -> Result<&str, Fail> {
    let arch = scene.arch();
    match files(scene) {
        Ok(env) if env.net_bootable() => own_arch(scene, arch),
        _ => Ok(arch),
    }
}

/// An architecture that the environment has: one that it lists, or amd64, which its own kernel is for.
pub(super) fn own_arch(scene: &Scene, arch: &str) -> Result<&'static str, Fail> {
    let env = files(scene)?;
    let own_kernel = !env.kernel.is_empty() || env.os.supported_architectures.is_empty();
    let has = |known: &&str| env.arch(known).is_some() || (*known == "amd64" && own_kernel);
    check::arch::canonical(arch).filter(has).map_or_else(|| fail(format!("Unknown arch {arch}")), Ok)
}

fn shape_of(ty: &'static ShapeType) -> &'static Shape {
    match ty {
        ShapeType::Struct(shape) => shape,
        _ => unreachable!("an object is a struct"),
    }
}

/// `.Env.OS`.
#[derive(Debug)]
struct OsDot(OsInfo);

impl Object for OsDot {
    fn type_name(&self) -> &'static str {
        "models.OsInfo"
    }

    fn method(&self, name: &str) -> Option<Signature> {
        match name {
            "FamilyName" | "FamilyType" | "FamilyVersion" => Some(NONE),
            "VersionEq" => Some(TEXT),
            _ => None,
        }
    }

    fn call(&self, name: &str, args: &[Value], _scope: &mut Scope<'_>) -> Result<Value, Fail> {
        Ok(match name {
            "FamilyName" => Value::from(self.family_name()),
            "FamilyType" => Value::from(match self.family_name() {
                "centos" | "redhat" | "fedora" | "scientificlinux" => "rhel",
                "debian" | "ubuntu" => "debian",
                other => other,
            }),
            "FamilyVersion" => Value::from(self.version()),
            _ => Value::Bool(version_eq(self.version(), &text_arg(args, 0))),
        })
    }

    fn field(&self, name: &str) -> Option<Value> {
        let json = serde_json::to_value(&self.0).unwrap_or_default();
        object::field(shape_of(<OsInfo as Wire>::TYPE), &json, name)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let json = serde_json::to_value(&self.0).unwrap_or_default();
        object::fields(shape_of(<OsInfo as Wire>::TYPE), &json)
    }
}

impl OsDot {
    fn family_name(&self) -> &str {
        if self.0.family.is_empty() {
            self.0.name.split('-').next().unwrap_or_default()
        } else {
            &self.0.family
        }
    }

    fn version(&self) -> &str {
        if self.0.version.is_empty() {
            self.0.name.split('-').nth(1).unwrap_or_default()
        } else {
            &self.0.version
        }
    }
}

/// True when the version begins with the parts of `wanted`, numbers compared as numbers.
fn version_eq(own: &str, wanted: &str) -> bool {
    let own: Vec<&str> = own.split('.').collect();
    let wanted: Vec<&str> = wanted.split('.').collect();
    let same = |a: &str, b: &str| match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    own.len() >= wanted.len() && own.iter().zip(&wanted).all(|(a, b)| same(a, b))
}

#[cfg(test)]
mod tests {
    use super::version_eq;

    #[test]
    fn versions_are_compared_part_by_part() {
        for (own, wanted, equal) in [
            ("7.9", "7", true),
            ("7", "7.9", false),
            ("07.1", "7.1", true),
            ("8", "7", false),
            ("a.b", "a", true),
        ] {
            assert_eq!(version_eq(own, wanted), equal, "{own} {wanted}");
        }
    }
}
