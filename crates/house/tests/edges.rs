//! Who may know whom: reads the manifests and fails on a wrong edge.
//!
//! The table is the one of `ARCHITECTURE.md`, "Who may know whom". Only normal and build dependencies count: a test may look
//! wherever it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A crate, the crates of ours that it may depend on, and the outside crates that it must not.
struct Row {
    name: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const ASYNC: &[&str] = &["tokio", "hyper", "axum", "reqwest", "async-std"];
const NOTHING: &[&str] = &[];

const TABLE: &[Row] = &[
    Row { name: "model", may: &[], never: ASYNC },
    Row { name: "template", may: &[], never: ASYNC },
    Row { name: "store", may: &[], never: &["axum", "reqwest"] },
    Row { name: "netboot", may: &["model"], never: ASYNC },
    Row { name: "workflow", may: &["model"], never: ASYNC },
    Row { name: "boot", may: &["model", "template"], never: ASYNC },
    Row { name: "pack", may: &["model", "template", "boot"], never: ASYNC },
    Row { name: "state", may: &["model", "store"], never: &["axum", "reqwest"] },
    Row { name: "api", may: &["model"], never: &["tokio", "axum", "reqwest"] },
    Row { name: "client", may: &["api", "model"], never: &["axum"] },
    Row { name: "plugin", may: &["client", "api", "model"], never: NOTHING },
    Row { name: "bmc", may: &["client", "api", "model"], never: NOTHING },
    Row { name: "image", may: &["client", "api", "model"], never: NOTHING },
    Row { name: "lab", may: &["client", "api", "model"], never: NOTHING },
    Row { name: "agent", may: &["client", "api", "model", "image"], never: NOTHING },
    Row {
        name: "cli",
        may: &["client", "api", "model", "image", "lab", "template", "boot", "pack"],
        never: NOTHING,
    },
    Row {
        name: "server",
        may: &[
            "model", "template", "store", "netboot", "workflow", "boot", "state", "api", "client", "plugin",
            "bmc", "image", "pack",
        ],
        never: NOTHING,
    },
    Row {
        name: "testkit",
        may: &["model", "api", "client", "lab", "image", "netboot", "store", "state", "server"],
        never: NOTHING,
    },
    Row { name: "house", may: &[], never: ASYNC },
];

#[test]
fn every_edge_is_allowed() {
    let mut faults = Vec::new();
    for (name, manifest) in manifests("crates") {
        match TABLE.iter().find(|row| row.name == name) {
            Some(row) => faults.extend(wrong_edges(row, &manifest)),
            None => faults.push(format!("crates/{name} has no row in the table of who may know whom")),
        }
    }
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

fn wrong_edges(row: &Row, manifest: &toml::Table) -> Vec<String> {
    let dependencies = dependencies(manifest);
    let ours = dependencies.iter().filter_map(|d| d.strip_prefix("gantry-")).filter(|d| !row.may.contains(d));
    let outside = dependencies.iter().map(String::as_str).filter(|d| row.never.contains(d));
    ours.chain(outside).map(|d| format!("crates/{} must not know {d}", row.name)).collect()
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
