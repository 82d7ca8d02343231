//! How far a machine has come, told from what the server knows: its boot trace and its jobs.
//!
//! What the trace tells has the trace's time; of a job it counts when its state was seen.
//!
//! Left out: the machine's own clock. All times are the host's, counted from the power-on.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
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
#[derive(Debug)]
pub struct Progress {
    power_on: SystemTime,
    seen: BTreeSet<String>,
}

impl Progress {
    /// Nothing has been told of a machine that was powered on then.
    pub fn new(power_on: SystemTime) -> Self {
        Self { power_on, seen: BTreeSet::new() }
    }

    /// What is new in the machine's trace (`GET /machines/KEY/trace`) and in its jobs (`GET /jobs`), looked at `now`.
    pub fn update(&mut self, now: SystemTime, trace: &[Value], jobs: &[Value]) -> Vec<Milestone> {
        let traced = trace.iter().filter_map(|entry| {
            let meaning = meaning(entry)?;
            Some((time(entry).unwrap_or(now), meaning.to_owned(), meaning.to_owned()))
        });
        let jobs = jobs.iter().filter_map(told_by_job).map(|(key, text)| (now, key, text));
        let new = traced.chain(jobs).filter(|(_, key, _)| self.seen.insert(key.clone()));
        let since = |time: SystemTime| time.duration_since(self.power_on).unwrap_or_default();
        new.map(|(time, _, text)| Milestone { at: since(time), text }).collect()
    }
}

fn time(entry: &Value) -> Option<SystemTime> {
    text(entry, "Time").parse::<Timestamp>().ok().map(SystemTime::from)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The lines of a trace that mean something to people.
fn meaning(entry: &Value) -> Option<&'static str> {
    let words = text(entry, "Text");
    match text(entry, "Kind") {
        "dhcp" if words.contains("ACK") => Some("has an address"),
        "tftp" | "http" if words.contains("vmlinuz") => Some("has the discovery kernel"),
        "tftp" | "http" if words.contains("initrd.img") => Some("has the discovery initramfs"),
        "machine" if words.starts_with("registered") => Some("discovered"),
        _ => None,
    }
}

fn told_by_job(job: &Value) -> Option<(String, String)> {
    let (task, state) = (text(job, "Task"), text(job, "State"));
    let task = task.split(':').next().unwrap_or(task);
    let words = match (task, state) {
        ("" | "stage", _) | (_, "created" | "") => return None,
        ("bootenv", "finished") => "leaves the discovery OS".to_owned(),
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
        let power_on = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap();
        let mut progress = Progress::new(power_on.into());
        let texts = |found: Vec<Milestone>| found.into_iter().map(|one| one.text).collect::<Vec<_>>();
        let at = SystemTime::from(power_on) + Duration::from_secs(9);
        assert_eq!(texts(progress.update(at, &trace, &[])), ["has an address", "has the discovery kernel"]);
        assert!(progress.update(at, &trace, &[]).is_empty());
        let registered =
            json!({"Kind": "machine", "Text": "registered as m1", "Time": "2026-01-02T03:04:12.5Z"});
        let milestone = Milestone { at: Duration::from_millis(7_500), text: "discovered".to_owned() };
        assert_eq!(progress.update(at, &[registered], &[]), [milestone]);
    }

    #[test]
    fn jobs_are_told_by_state() {
        let job = |task: &str, state: &str| json!({"Uuid": task, "Task": task, "State": state});
        let mut progress = Progress::new(SystemTime::UNIX_EPOCH);
        let mut told = |jobs: &[Value]| {
            let new = progress.update(SystemTime::now(), &[], jobs);
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
