//! Processor architectures and their many names (API §10.9, engine §2.2).

use crate::Problems;

/// Canonical names, each with its aliases.
const ARCHES: &[(&str, &[&str])] = &[
    ("rpi4", &[]),
    ("amd64", &["x86_64"]),
    ("386", &["486", "686", "i386", "i486", "i686"]),
    ("arm", &["armel", "armhfp"]),
    ("arm64", &["aarch64"]),
    ("ppc64", &["power9"]),
    ("ppc64le", &[]),
    ("mips64", &[]),
    ("mips64le", &["mips64el"]),
    ("s390x", &[]),
    ("mips", &[]),
    ("mipsle", &["mipsel"]),
];

/// The canonical name for any spelling, case aside.
#[must_use]
pub fn canonical(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let known =
        |(canonical, aliases): &&(&str, &[&str])| *canonical == name || aliases.contains(&name.as_str());
    ARCHES.iter().find(known).map(|(canonical, _)| *canonical)
}

/// A machine names its architecture canonically.
pub(crate) fn check(problems: &mut Problems, arch: &str) {
    match canonical(arch) {
        None => problems.add(format!("Unsupported arch {arch}")),
        Some(canonical) if canonical != arch => {
            problems.add(format!("Please use {canonical} for Arch instead of {arch}"));
        }
        Some(_) => {}
    }
}
