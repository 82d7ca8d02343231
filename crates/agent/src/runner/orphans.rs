//! What a former agent left running.

use super::env::JOB_MARK;
use super::say;
use crate::sys;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Kills the processes of jobs that a former agent with the same state folder left running, found by
/// their environment.
pub fn kill(state_dir: &Path) {
    // A script that runs the agent itself as a tool is part of a job, not its owner.
    if std::env::var_os(JOB_MARK).is_some() {
        return;
    }
    let state = format!("GANTRY_STATE_DIR={}", state_dir.display());
    for _ in 0..3 {
        let found = orphans(&state);
        if found.is_empty() {
            return;
        }
        for pid in &found {
            let _ = sys::kill(*pid, libc::SIGKILL);
        }
        say(&format!("killed {} processes of an interrupted job", found.len()));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn orphans(state: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| is_orphan(*pid, state)).collect()
}

fn is_orphan(pid: i32, state: &str) -> bool {
    let Ok(text) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let mut words = text.split(|byte| *byte == 0);
    let job = format!("{JOB_MARK}=");
    words.clone().any(|word| word == state.as_bytes()) && words.any(|word| word.starts_with(job.as_bytes()))
}
