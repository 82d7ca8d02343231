//! How far a machine has come, told from what the server knows: its boot trace and its jobs.
//!
//! Left out: times of the machine's own clock. All times here are the server's, counted from the power-on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

/// Something that a machine does once on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// How long after the power-on it was seen.
    pub at: Duration,
    /// What, in words.
    pub text: String,
}

/// Turns what the server says into milestones, each told once.
#[derive(Debug, Default)]
pub struct Progress {
    seen: BTreeSet<String>,
}

impl Progress {
    /// What is new in the machine's trace (`GET /machines/KEY/trace`) and in its jobs (`GET /jobs`), seen `at`.
    pub fn update(&mut self, at: Duration, trace: &[Value], jobs: &[Value]) -> Vec<Milestone> {
        let told = trace.iter().filter_map(traced).chain(jobs.iter().filter_map(told_by_job));
        let new = told.filter(|(key, _)| self.seen.insert(key.clone()));
        new.map(|(_, text)| Milestone { at, text }).collect()
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The lines of a trace that mean something to people: key, words.
fn traced(entry: &Value) -> Option<(String, String)> {
    let words = text(entry, "Text");
    let meaning = match text(entry, "Kind") {
        "dhcp" if words.contains("ACK") => "has an address",
        "tftp" | "http" if words.contains("vmlinuz") => "has the discovery kernel",
        "tftp" | "http" if words.contains("initrd.img") => "has the discovery initramfs",
        _ => return None,
    };
    Some((meaning.to_owned(), meaning.to_owned()))
}

fn told_by_job(job: &Value) -> Option<(String, String)> {
    let (task, state) = (text(job, "Task"), text(job, "State"));
    let task = task.split(':').next().unwrap_or(task);
    let words = match (task, state) {
        ("", _) | (_, "created" | "") => return None,
        ("report-running", "finished") => "runs its own operating system".to_owned(),
        ("image-deploy", "finished") => "image written".to_owned(),
        (task, state) => format!("task {task} {state}"),
    };
    Some((format!("{} {state}", text(job, "Uuid")), words))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_milestone_is_told_once() {
        let trace = [
            json!({"Kind": "dhcp", "Text": "DISCOVER -> OFFER 192.168.124.10"}),
            json!({"Kind": "dhcp", "Text": "REQUEST -> ACK 192.168.124.10"}),
            json!({"Kind": "http", "Text": "http /discovery/vmlinuz 200 14186432 bytes"}),
            json!({"Kind": "dhcp", "Text": "REQUEST -> ACK 192.168.124.10"}),
        ];
        let mut progress = Progress::default();
        let texts = |found: Vec<Milestone>| found.into_iter().map(|one| one.text).collect::<Vec<_>>();
        let at = Duration::from_secs(1);
        assert_eq!(texts(progress.update(at, &trace, &[])), ["has an address", "has the discovery kernel"]);
        assert!(progress.update(at, &trace, &[]).is_empty());
    }

    #[test]
    fn jobs_are_told_by_state() {
        let job = |task: &str, state: &str| json!({"Uuid": task, "Task": task, "State": state});
        let mut progress = Progress::default();
        let mut told = |jobs: &[Value]| {
            let new = progress.update(Duration::ZERO, &[], jobs);
            new.into_iter().map(|one| one.text).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(told(&[job("inventory", "created")]), "");
        assert_eq!(told(&[job("inventory", "running")]), "task inventory running");
        assert_eq!(
            told(&[job("inventory", "finished"), job("image-deploy", "finished")]),
            "task inventory finished, image written"
        );
        assert_eq!(told(&[job("report-running", "finished"), json!({})]), "runs its own operating system");
    }
}
