//! Who may know whom: reads the table of `ARCHITECTURE.md` and the manifests, and fails on an edge that the table does not have.
//!
//! Only normal and build dependencies count: a test may look wherever it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The heading above the table.
const HEADING: &str = "## Who may know whom";

/// The crates of ours that a crate may depend on, and the outside crates that it must not.
struct Row {
    may: BTreeSet<String>,
    never: BTreeSet<String>,
}

#[test]
fn every_edge_is_allowed() {
    let mut table = table();
    let mut faults = Vec::new();
    for (name, manifest) in manifests("crates") {
        match table.remove(&name) {
            Some(row) => faults.extend(wrong_edges(&name, &row, &manifest)),
            None => faults.push(format!("crates/{name} has no row in the table of ARCHITECTURE.md")),
        }
    }
    faults
        .extend(table.keys().map(|name| format!("ARCHITECTURE.md has a row for {name}, which is no crate")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_takes_the_lints_and_the_licence_of_the_workspace() {
    let mut faults = Vec::new();
    for (name, manifest) in manifests("crates").into_iter().chain(manifests("apps")) {
        let inherits = |table: &str, key: &str| {
            manifest.get(table).and_then(|t| t.get(key)).is_some_and(|v| {
                v.as_bool() == Some(true) || v.get("workspace").and_then(toml::Value::as_bool) == Some(true)
            })
        };
        for (table, key) in [("lints", "workspace"), ("package", "license"), ("package", "edition")] {
            if !inherits(table, key) {
                faults.push(format!("{name}: [{table}] {key} is not taken from the workspace"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn wrong_edges(name: &str, row: &Row, manifest: &toml::Table) -> Vec<String> {
    let dependencies = dependencies(manifest);
    let ours =
        dependencies.iter().filter_map(|d| d.strip_prefix("gantry-")).filter(|d| !row.may.contains(*d));
    let outside = dependencies.iter().filter(|d| row.never.contains(*d)).map(String::as_str);
    ours.chain(outside).map(|d| format!("crates/{name} must not know {d}")).collect()
}

/// The rows of the table, by the name of the crate.
fn table() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a readable page");
    let section = text.split_once(HEADING).unwrap_or_else(|| panic!("ARCHITECTURE.md lacks `{HEADING}`")).1;
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|line| {
        let [name, may, never] = cells(line)[..] else { panic!("three cells are meant: {line}") };
        (name.to_owned(), Row { may: names(may), never: names(never) })
    })
    .collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Folder name and parsed manifest of each crate under `folder`.
fn manifests(folder: &str) -> BTreeMap<String, toml::Table> {
    let root = root().join(folder);
    let entries = fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| {
            let text = fs::read_to_string(path.join("Cargo.toml")).expect("a readable manifest");
            let name = path.file_name().expect("a named folder").to_string_lossy().into_owned();
            (name, text.parse().expect("a manifest in TOML"))
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/house lies two below the root")
        .to_owned()
}
