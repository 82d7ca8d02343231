//! Starting and stopping.

use std::path::Path;

use crate::program::{GANTRY, Serving, alias, run};

#[test]
fn the_ready_line_names_the_ports_and_sigterm_ends_it_well() {
    let server = Serving::start();
    assert!(server.ready.starts_with("ready api="), "{}", server.ready);
    assert_eq!(server.tell(&["info", "get", "-F", "text", "-J", "version", "-H"]).trim(), "v4.8.0");
    assert!(server.terminate().success());
}

#[test]
fn called_as_dr_provision_it_serves_and_as_drpcli_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start_as(&alias(&folder, "dr-provision"), &[]);
    let drpcli = alias(&folder, "drpcli");
    let asked = run(&drpcli, &["-E", &server.endpoint, "prefs", "list"], &[]);
    assert_eq!(asked.status, 0, "{}", asked.err);
    assert!(asked.out.contains("\"defaultBootEnv\": \"local\""), "{}", asked.out);
    assert_ne!(run(&drpcli, &["serve"], &[]).status, 0, "the client does not serve");
}

#[test]
fn flags_that_are_not_there_yet_say_what_to_use() {
    let ran = run(Path::new(GANTRY), &["serve", "--ha-enabled"], &[("RS_CREATE_SELF", "1")]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("--ha-enabled is not there: this server stands alone"), "{}", ran.err);
    assert!(ran.err.contains("RS_CREATE_SELF is not there"), "{}", ran.err);
}

#[test]
fn a_taken_port_is_named() {
    let server = Serving::start();
    let port = server.endpoint.rsplit(':').next().unwrap();
    let base = tempfile::tempdir().unwrap();
    let base = base.path().to_str().unwrap();
    let args =
        ["serve", "--base-root", base, "--listen", "127.0.0.1", "--api-port", port, "--backend", "memory"];
    let ran = run(Path::new(GANTRY), &args, &[]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains(&format!("cannot listen on API 127.0.0.1:{port}")), "{}", ran.err);
}

#[test]
fn dr_provision_tells_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&alias(&folder, "dr-provision"), &["--version"], &[]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    // Scripts for DRP look for its version.
    assert!(ran.out.contains("v4.") && ran.out.contains(env!("CARGO_PKG_VERSION")), "{}", ran.out);
}

/// The store of a server that was killed, and a way in for whoever may write it.
#[test]
fn recover_prints_a_new_password_and_says_what_next() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().to_str().unwrap();
    let nothing = run(Path::new(GANTRY), &["recover", "--base-root", folder], &[]);
    assert_eq!((nothing.status, nothing.out.as_str()), (1, ""));
    assert!(nothing.err.contains("there is no store"), "{}", nothing.err);
    let server = Serving::start_kept(base);
    let busy = server.recover("rocketskates");
    assert_eq!(busy.status, 1);
    assert!(busy.err.contains("is in use by another process"), "{}", busy.err);
    let base = server.end();
    let folder = base.path().to_str().unwrap();
    let done = run(Path::new(GANTRY), &["recover", "ann"], &[("RS_BASE_ROOT", folder)]);
    assert_eq!(done.status, 0, "{}", done.err);
    let word = done.out.trim();
    assert!(done.err.contains("user ann has this new password and the role superuser"), "{}", done.err);
    let server = Serving::start_kept(base);
    let shown =
        server.ask(&["-U", "ann", "-P", word, "users", "show", "ann", "-F", "text", "-J", "Roles", "-H"]);
    assert_eq!(shown.status, 0, "{}", shown.err);
}
