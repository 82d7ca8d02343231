//! Logging in to machines from within the lab.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use gantry_lab::Program;
use gantry_testkit::Scenario;
use tempfile::TempDir;

use crate::DEADLINE;

/// A pair of keys; its files go away with it.
pub(crate) struct Key {
    folder: TempDir,
}

impl Key {
    pub(crate) fn new() -> Self {
        let key = Self { folder: tempfile::tempdir().unwrap() };
        let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
        let status = Command::new("ssh-keygen").args(words).arg(key.file()).status().unwrap();
        assert!(status.success(), "ssh-keygen: {status}");
        key
    }

    /// The line for `authorized_keys`.
    pub(crate) fn public(&self) -> String {
        fs::read_to_string(self.file().with_extension("pub")).unwrap().trim().to_owned()
    }

    /// Whether root at this address is let in and the command succeeds there.
    pub(crate) fn can(&self, scenario: &Scenario, address: &str, command: &str) -> bool {
        let unknown_hosts = ["-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"];
        let this_key = [
            "-oBatchMode=yes".to_owned(),
            "-oIdentitiesOnly=yes".to_owned(),
            format!("-i{}", self.file().display()),
        ];
        let program = Program::new("ssh").args(unknown_hosts).args(this_key);
        let program = program.args([format!("root@{address}"), command.to_owned()]);
        let end = scenario.lab().spawn(&program).unwrap().wait(DEADLINE).unwrap().unwrap();
        if !end.is_success() {
            let log = fs::read_to_string(scenario.lab().folder().join("ssh.log")).unwrap_or_default();
            eprintln!("ssh root@{address} {command}: {end}\n{log}");
        }
        end.is_success()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("key")
    }
}
