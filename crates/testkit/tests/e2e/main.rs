//! Real machines with real firmware in QEMU, from their first DHCP packet on.
//!
//! `make test-e2e` builds what they need and says where by `GANTRY_ARTIFACTS`; without it every test says that it is skipped. All
//! machines are emulated in software, so that the tests run anywhere; deadlines are for a busy host.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod configure;
mod crash;
mod deploy;
mod discover;
mod generic;
mod jobs;
mod kexec;
mod lvm;
mod ssh;
mod user;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use gantry_lab::{Disk, DiskBus, Firmware, Machine, MachineSpec};
use gantry_testkit::{Artifacts, Scenario};
use http::Method;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(240);
const GIB: u64 = 1 << 30;

/// The artefacts; a test is skipped only when nobody says where they are.
fn artifacts(test: &str) -> Option<Artifacts> {
    let Some(folder) = env::var_os("GANTRY_ARTIFACTS") else {
        eprintln!("{test} skipped: GANTRY_ARTIFACTS is not set (make test-e2e sets it)");
        return None;
    };
    // Cargo runs tests in the crate's folder; a relative path is meant from the workspace's.
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(Artifacts::find(&workspace.join(folder)).unwrap_or_else(|error| panic!("{error}")))
}

fn ok<T>(result: gantry_testkit::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn power_on(scenario: &Scenario, firmware: Firmware) -> Machine {
    let disks = vec![Disk::blank(DiskBus::Virtio, 4 * GIB)];
    let spec = MachineSpec { firmware, disks, ..MachineSpec::new("m1") };
    let machine = scenario.lab().machine(spec).unwrap();
    machine.power_on().unwrap();
    machine
}

/// A task of one shell script.
fn task(scenario: &Scenario, name: &str, text: &str) {
    let script = json!({"Name": "script", "Contents": format!("#!/bin/sh\n{text}\n")});
    let meta = json!({"feature-flags": "sane-exit-codes"});
    let task = json!({"Name": name, "Templates": [script], "Meta": meta});
    ok(scenario.call(Method::POST, "/tasks", &[], &task));
}

/// A workflow for machines that register: stages with their boot environment and tasks.
fn offer(scenario: &Scenario, stages: &[(&str, &str, &[&str])]) {
    let post = |path: &str, object: &Value| ok(scenario.call(Method::POST, path, &[], object));
    for (name, boot_env, tasks) in stages {
        post("/stages", &json!({"Name": name, "BootEnv": boot_env, "Tasks": tasks}));
    }
    let names: Vec<&str> = stages.iter().map(|(name, _, _)| *name).collect();
    post("/workflows", &json!({"Name": "trial", "Stages": names}));
    post("/prefs", &json!({"defaultWorkflow": "trial"}));
}

/// Waits until the machine has switched itself off; fails with the first failed job.
fn wait_off(scenario: &Scenario, machine: &Machine, key: &str) {
    let look = || {
        scenario.check_jobs(&scenario.jobs(key)?, machine.name())?;
        Ok((!machine.is_on()?).then_some(()))
    };
    ok(scenario.wait(machine, "the machine to switch itself off", DEADLINE * 2, look));
}

/// How often the firmware of a BIOS machine has started, as its console tells.
fn firmware_starts(console: &str) -> usize {
    console.matches("SeaBIOS (version").count()
}

/// The lines of a trace of one kind, such as `tftp`.
fn lines<'a>(trace: &'a [Value], kind: &str) -> Vec<&'a str> {
    let of_kind = trace.iter().filter(|entry| entry["Kind"] == kind);
    of_kind.filter_map(|entry| entry["Text"].as_str()).collect()
}

/// Asserts that a line of the trace says this.
#[track_caller]
fn assert_traced(trace: &[Value], kind: &str, words: &str) {
    let lines = lines(trace, kind);
    assert!(lines.iter().any(|line| line.contains(words)), "no {kind} line has {words:?}: {lines:#?}");
}

/// Asserts that these lines are in the trace, in this order: kind, and how each begins.
#[track_caller]
fn assert_told_in_order(trace: &[Value], wanted: &[(&str, &str)]) {
    let mut entries = trace.iter();
    for (kind, words) in wanted {
        let begins = |entry: &Value| entry["Text"].as_str().is_some_and(|text| text.starts_with(words));
        let found = entries.any(|entry| entry["Kind"] == *kind && begins(entry));
        assert!(found, "no {kind} line begins with {words:?} in its place: {trace:#?}");
    }
}
