//! The host's package sources, as far as they are the distribution's own.

use crate::error::Doing;
use crate::{Error, process};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Copies the distribution's sources into `dir` and tells whether that changed anything.
pub(super) fn write(dir: &Path) -> Result<(Vec<PathBuf>, bool), Error> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("");
    let mut taken = BTreeMap::new();
    for (at, file) in host_sources()?.iter().enumerate() {
        let text = fs::read_to_string(file).doing("read", file)?;
        let deb822 = file.extension().is_some_and(|ext| ext == "sources");
        let (text, ext) =
            if deb822 { (stanzas(&text, codename), "sources") } else { (lines(&text, codename), "list") };
        if !text.is_empty() {
            taken.insert(dir.join(format!("{at:02}.{ext}")), text);
        }
    }
    if taken.is_empty() {
        return Err(Error::Missing {
            what: format!("an apt source of the distribution ({codename})"),
            wanted_by: "the host's /etc/apt names none with the component `main`".into(),
        });
    }
    let mut changed = false;
    for (file, text) in &taken {
        if fs::read_to_string(file).ok().as_ref() != Some(text) {
            fs::write(file, text).doing("write", file)?;
            changed = true;
        }
    }
    for entry in fs::read_dir(dir).doing("list", dir)? {
        let file = entry.doing("list", dir)?.path();
        if !taken.contains_key(&file) {
            fs::remove_file(&file).doing("remove", &file)?;
            changed = true;
        }
    }
    Ok((taken.into_keys().collect(), changed))
}

/// The host's source files.
fn host_sources() -> Result<Vec<PathBuf>, Error> {
    let mut command = process::program("apt-config")?;
    command.args(["shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]);
    let text = process::text(&mut command, "find the host's package sources")?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        PathBuf::from(line.unwrap_or_default().trim_matches('\''))
    };
    let mut files: Vec<_> = fs::read_dir(value("PARTS"))
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "list" || ext == "sources"));
    files.push(value("LIST"));
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}

/// Those lines of a one-line source file that belong to the distribution.
fn lines(text: &str, codename: &str) -> String {
    let mut kept = String::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("deb ")) {
        let (head, rest) =
            line.split_once(']').map_or(("deb", &line[4..]), |(options, rest)| (options, rest));
        let bracket = if head == "deb" { "" } else { "]" };
        let words: Vec<_> = rest.split_whitespace().collect();
        let [uri, suite, components @ ..] = words.as_slice() else { continue };
        if is_ours(suite, components, codename) {
            let components = with_firmware(components);
            let _ = writeln!(kept, "{head}{bracket} {uri} {suite} {components}");
        }
    }
    kept
}

/// Those stanzas of a deb822 source file that belong to the distribution.
fn stanzas(text: &str, codename: &str) -> String {
    let mut kept = String::new();
    let text: String = text.lines().filter(|line| !line.starts_with('#')).map(|l| format!("{l}\n")).collect();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let found = stanza.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then_some(value)
            });
            found.unwrap_or_default().split_whitespace().collect::<Vec<_>>()
        };
        let (suites, components) = (field("Suites"), field("Components"));
        let binary = field("Types").contains(&"deb") && !field("Enabled").contains(&"no");
        if !binary || suites.is_empty() || !suites.iter().all(|suite| is_ours(suite, &components, codename)) {
            continue;
        }
        for line in stanza.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once(':') {
                Some((key, _)) if key.eq_ignore_ascii_case("Components") => {
                    let _ = writeln!(kept, "Components: {}", with_firmware(&components));
                }
                Some((key, _)) if key.eq_ignore_ascii_case("Types") => kept.push_str("Types: deb\n"),
                _ => {
                    let _ = writeln!(kept, "{line}");
                }
            }
        }
        kept.push('\n');
    }
    kept
}

fn is_ours(suite: &str, components: &[&str], codename: &str) -> bool {
    let names = [codename, "stable", "oldstable", "testing", "unstable", "sid"];
    let named = names.iter().filter(|name| !name.is_empty()).filter_map(|name| suite.strip_prefix(name));
    components.contains(&"main")
        && named.into_iter().any(|rest| rest.is_empty() || rest.starts_with(['-', '/']))
}

fn with_firmware(components: &[&str]) -> String {
    let mut all = components.to_vec();
    if !all.contains(&"non-free-firmware") {
        all.push("non-free-firmware");
    }
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distributions_lines_are_taken_with_firmware() {
        let text = "# comment\n\
                    deb http://m.example/debian bookworm main\n\
                    deb-src http://m.example/debian bookworm main\n\
                    deb [signed-by=/k.gpg arch=amd64] http://m.example/security bookworm-security main contrib\n\
                    deb https://other.example cloud-sdk-bookworm main\n\
                    deb https://other.example bookworm stable\n\
                    deb broken\n";
        assert_eq!(
            lines(text, "bookworm"),
            "deb http://m.example/debian bookworm main non-free-firmware\n\
             deb [signed-by=/k.gpg arch=amd64] http://m.example/security bookworm-security main contrib \
             non-free-firmware\n"
        );
    }

    #[test]
    fn the_distributions_stanzas_are_taken_with_firmware() {
        let text = "Types: deb deb-src\n# note\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://x.example\nSuites: nodistro\n\
                    Components: main\n\nTypes: deb\nEnabled: no\nURIs: http://y.example\nSuites: bookworm\n\
                    Components: main\n";
        assert_eq!(
            stanzas(text, "bookworm"),
            "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n\
             Components: main non-free-firmware\nSigned-By: /k.gpg\n\n"
        );
    }

    #[test]
    fn suites_of_other_releases_are_not_ours() {
        assert!(is_ours("bookworm-security", &["main"], "bookworm"));
        assert!(is_ours("stable", &["main"], "trixie"));
        assert!(!is_ours("bookwormish", &["main"], "bookworm"));
        assert!(!is_ours("trixie", &["main"], "bookworm"));
        assert!(!is_ours("anything", &["main"], ""));
    }
}
