//! What the documents point at is there: links between pages, and the source files that `ARCHITECTURE.md` walks through.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_link_leads_to_a_file() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a readable page");
        let folder = page.parent().expect("a page lies in a folder");
        for target in links(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn every_source_file_of_the_walk_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a readable page");
    let named = text.split('`').skip(1).step_by(2);
    let files: Vec<&str> =
        named.filter(|word| word.contains("/src/") && !word.contains(['<', ' '])).collect();
    assert!(files.len() > 20, "the walk names files as `crate/src/file.rs`; found {files:?}");
    let gone: Vec<_> = files.iter().filter(|file| !root().join("crates").join(file).exists()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names files that are not there: {gone:?}");
}

/// The targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.trim())
}

/// The pages at the root and below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    let of_root =
        fs::read_dir(root()).expect("a readable folder").map(|entry| entry.expect("an entry").path());
    found.extend(of_root.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    while let Some(folder) = folders.pop() {
        for path in
            fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path())
        {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                found.push(path);
            }
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/house lies two below the root")
        .to_owned()
}
