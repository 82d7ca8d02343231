//! The reference pages are what the program says about itself today.

use std::fs;
use std::path::Path;

use crate::program::{GANTRY, run};

#[test]
fn reference_pages_are_not_stale() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(Path::new(GANTRY), &["docs", folder.path().to_str().unwrap()], &[]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let mut stale = Vec::new();
    for fresh in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()) {
        let kept = fs::read(committed.join(fresh.file_name())).unwrap_or_default();
        if kept != fs::read(fresh.path()).unwrap() {
            stale.push(fresh.file_name());
        }
    }
    assert!(stale.is_empty(), "docs/reference: {stale:?} differ from what `make docs` writes");
}
