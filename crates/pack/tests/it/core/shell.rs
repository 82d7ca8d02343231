//! Every script that the pack renders is read by the shells that will run it, and by shellcheck.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::golden::{cases, objects};
use super::{renders, there_is};

/// What shellcheck warns of and we mean:
/// SC1091 (not following a sourced file), SC2317 (a function that this rendering does not call), SC2034 (a variable for another
/// script); and of data between single quotes, which looks like code: SC1003, SC2016, SC2089, SC2090.
const MEANT: &str = "SC1091,SC2317,SC2034,SC1003,SC2016,SC2089,SC2090";

fn check(command: &mut Command, what: &str, problems: &mut Vec<String>) {
    let output = command.output().unwrap();
    if !output.status.success() {
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        problems.push(format!("{what}: {}\n{text}", command.get_program().to_string_lossy()));
    }
}

#[test]
fn scripts_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (shellcheck, busybox) = (there_is("shellcheck"), there_is("busybox"));
    let mut problems = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for case in cases() {
        for (kind, object) in objects() {
            for render in renders(&case.view, kind, &object, &case.machine) {
                let Ok(text) = render.result.map(|bytes| String::from_utf8(bytes).unwrap()) else { continue };
                let shell = match text.lines().next() {
                    Some("#!/bin/sh") => "sh",
                    Some("#!/bin/bash" | "#!/usr/bin/env bash") => "bash",
                    _ => continue,
                };
                if !seen.insert(text.clone()) {
                    continue;
                }
                let name = format!("{}-{}-{}", object, render.template, case.name);
                let path = folder.path().join(&name);
                fs::write(&path, &text).unwrap();
                check(Command::new(shell).arg("-n").arg(&path), &name, &mut problems);
                if shell == "sh" {
                    check(Command::new("bash").arg("-n").arg(&path), &name, &mut problems);
                    if busybox {
                        check(Command::new("busybox").args(["sh", "-n"]).arg(&path), &name, &mut problems);
                    }
                }
                if shellcheck {
                    check(&mut shellchecked(shell, &path), &name, &mut problems);
                }
            }
        }
    }
    assert!(seen.len() > 20, "only {} scripts", seen.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn shellchecked(shell: &str, path: &Path) -> Command {
    let mut command = Command::new("shellcheck");
    command.args(["--shell", shell, "--exclude", MEANT, "--format", "gcc"]).arg(path);
    command
}
