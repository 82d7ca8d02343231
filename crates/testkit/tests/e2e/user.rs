//! Root is needed to install packages, for nothing else: a whole boot as an ordinary user, when it is root who runs the tests.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::artifacts;

const TEST: &str = "discover::bios_pxe_discovers";

#[test]
fn an_ordinary_user_boots_a_machine() {
    let Some(artifacts) = artifacts("an_ordinary_user_boots_a_machine") else { return };
    if !nix::unistd::geteuid().is_root() {
        // Then the other tests have shown it.
        return;
    }
    let home = tempfile::Builder::new()
        .prefix("gantry-user-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir();
    let home = home.unwrap();
    copy(&env::current_exe().unwrap(), &home.path().join("tests"));
    for (from, name) in [
        (&artifacts.gantry, "gantry"),
        (&artifacts.agent, "gantry-agent"),
        (&artifacts.discovery, "discovery"),
        (&artifacts.loaders, "loaders"),
    ] {
        copy(from, &home.path().join(name));
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--no-new-privs",
    ]);
    command.arg(home.path().join("tests")).args(["--exact", TEST]).current_dir("/");
    command.env("GANTRY_ARTIFACTS", home.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Copies a file or a folder so that everybody may read and execute it.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
}
