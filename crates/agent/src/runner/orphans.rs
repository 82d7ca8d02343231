//! What a former agent left running.

use super::env::JOB_MARK;
use super::say;
use crate::session::journal::Run;
use crate::sys;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Kills the processes of the job that a former agent with the same state folder was running when it died, found by their
/// environment. What a job that has ended left behind on purpose, such as a daemon, lives on.
pub fn kill(state_dir: &Path, run: &Run) {
    let Run::Running(job) = run else { return };
    // A script that runs the agent itself as a tool is part of a job, not its owner.
    if std::env::var_os(JOB_MARK).is_some() {
        return;
    }
    let marks = [format!("GANTRY_STATE_DIR={}", state_dir.display()), format!("{JOB_MARK}={job}")];
    for _ in 0..3 {
        let found = orphans(&marks);
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

fn orphans(marks: &[String]) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| is_orphan(*pid, marks)).collect()
}

fn is_orphan(pid: i32, marks: &[String]) -> bool {
    let Ok(text) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let words: Vec<&[u8]> = text.split(|byte| *byte == 0).collect();
    marks.iter().all(|mark| words.contains(&mark.as_bytes()))
}
