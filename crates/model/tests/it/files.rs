//! Boot environments and the files that they need.

use std::sync::Arc;

use gantry_model::{Catalogue, Kind, Tx, View};
use serde_json::json;

use crate::support::{base, create, id, now};

fn catalogue(files: &[&str]) -> Arc<Catalogue> {
    let files = files.iter().map(|file| ((*file).to_owned(), 1)).collect();
    Arc::new(Catalogue { files, complete: true })
}

/// Two architectures and two machines, before anybody has looked at the files.
fn fleet() -> View {
    let mut tx = Tx::new(base(), now());
    let template = json!([{"Name": "ipxe", "Path": "x", "Contents": "x"}]);
    let arches = json!({"x86_64": {"Kernel": "k", "Initrds": ["../i"]}, "arm64": {"Kernel": "k"}});
    let env = json!({"Name": "os-install", "OS": {"Name": "os", "SupportedArchitectures": arches}, "Templates": template});
    create(&mut tx, Kind::BootEnv, env);
    for (n, arch) in [(1, "amd64"), (2, "arm64")] {
        let machine = json!({"Name": format!("mm{n}"), "Uuid": id(n), "Arch": arch, "BootEnv": "os-install"});
        create(&mut tx, Kind::Machine, machine);
    }
    tx.view().clone()
}

fn errors(view: &View, kind: Kind, key: &str) -> Vec<String> {
    view.record(kind, key).unwrap().derived().errors().to_vec()
}

#[test]
fn nothing_is_missing_before_somebody_has_looked() {
    let view = fleet();
    assert!(errors(&view, Kind::BootEnv, "os-install").is_empty());
    let (view, changes) = view.recatalogued(catalogue(&[]));
    assert_eq!(
        errors(&view, Kind::BootEnv, "os-install"),
        [
            "bootenv: os-install: missing kernel k (/os/install/k) for arch amd64",
            "bootenv: os-install: missing initrd ../i (/os/i) for arch amd64",
            "bootenv: os-install: missing kernel k (/os/arm64/install/k) for arch arm64",
        ]
    );
    assert_eq!(errors(&view, Kind::Machine, &id(1)), ["BootEnv os-install is not available"]);
    assert_eq!(changes.len(), 3);
    let (view, _) = view.recatalogued(catalogue(&["os/install/k", "os/i", "os/arm64/install/k"]));
    assert!(
        errors(&view, Kind::Machine, &id(1)).is_empty() && errors(&view, Kind::Machine, &id(2)).is_empty()
    );
}

#[test]
fn one_architecture_is_enough_for_the_environment_but_not_for_machines_of_the_other() {
    let (view, _) = fleet().recatalogued(catalogue(&["os/install/k", "os/i"]));
    assert!(errors(&view, Kind::BootEnv, "os-install").is_empty());
    assert!(errors(&view, Kind::Machine, &id(1)).is_empty());
    assert_eq!(
        errors(&view, Kind::Machine, &id(2)),
        [
            "bootenv: os-install: missing kernel k (/os/arm64/install/k) for arch arm64",
            "BootEnv os-install cannot boot Arch arm64",
        ]
    );
}

#[test]
fn an_install_source_stands_in_for_the_files() {
    let (view, _) = fleet().recatalogued(catalogue(&[]));
    let source = |arch: &str| json!({"tag": "t", "os": ["os"], "arch": arch, "installSource": true, "url": "http://x"});
    let mut tx = Tx::new(view, now());
    tx.set_param(Kind::Profile, "global", "package-repositories", json!([source("amd64")])).unwrap();
    assert!(errors(tx.view(), Kind::BootEnv, "os-install").is_empty());
    assert!(errors(tx.view(), Kind::Machine, &id(1)).is_empty());
    assert_eq!(errors(tx.view(), Kind::Machine, &id(2)).len(), 2);
    tx.set_param(
        Kind::Profile,
        "global",
        "package-repositories",
        json!([source("amd64"), source("aarch64")]),
    )
    .unwrap();
    assert!(errors(tx.view(), Kind::Machine, &id(2)).is_empty());
    tx.remove_param(Kind::Profile, "global", "package-repositories").unwrap();
    assert_eq!(errors(tx.view(), Kind::BootEnv, "os-install").len(), 3);
}

#[test]
fn the_folders_of_a_folder_are_each_told_once_whatever_is_in_them() {
    let paths = [
        "d/README", "d/a-b/x", "d/a/x", "d/a/y/z", "d/a0", "d/b/c/d", "d/b/e", "d/z//x", "dd/n/x", "d",
        "c/f/x",
    ];
    let catalogue = catalogue(&paths);
    assert_eq!(catalogue.folders("d/").collect::<Vec<_>>(), ["a-b", "a", "b", "z"]);
    assert_eq!(catalogue.folders("d/b/").collect::<Vec<_>>(), ["c"]);
    assert_eq!(catalogue.folders("gone/").count(), 0);
}
