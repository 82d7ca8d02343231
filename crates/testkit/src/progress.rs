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
    /// What the machine does then, in words.
    pub next: String,
}

impl Milestone {
    /// The first: the machine has power.
    pub fn power_on() -> Self {
        let next = "the firmware starts and asks for an address".to_owned();
        Self { at: Duration::ZERO, text: "power on".to_owned(), next }
    }
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
            let (text, next) = meaning(entry)?;
            Some((time(entry).unwrap_or(now), text.to_owned(), text.to_owned(), next.to_owned()))
        });
        let jobs = jobs.iter().filter_map(told_by_job).map(|(key, text, next)| (now, key, text, next));
        let new = traced.chain(jobs).filter(|(_, key, _, _)| self.seen.insert(key.clone()));
        let since = |time: SystemTime| time.duration_since(self.power_on).unwrap_or_default();
        new.map(|(time, _, text, next)| Milestone { at: since(time), text, next }).collect()
    }
}

/// How far a running job is, from 0 to 1, and the rest of what it says: the last line of its log like ` 25 %  38.1 MiB
/// written  20.0 MB/s  6 s left`, unless it has gone on to something else since.
pub fn job_progress(log: &str) -> Option<(f64, String)> {
    let (percent, rest) = log.lines().next_back()?.split_once(" % ")?;
    // The job log begins its lines with the time.
    let percent: f64 = percent.split_whitespace().next_back()?.parse().ok()?;
    Some((percent / 100.0, format!("{percent:3.0} %  {}", rest.trim())))
}

fn time(entry: &Value) -> Option<SystemTime> {
    text(entry, "Time").parse::<Timestamp>().ok().map(SystemTime::from)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The lines of a trace that mean something to people, and what follows them.
fn meaning(entry: &Value) -> Option<(&'static str, &'static str)> {
    let words = text(entry, "Text");
    match text(entry, "Kind") {
        "dhcp" if words.contains("ACK") => {
            Some(("has an address", "boot loader and discovery kernel download"))
        }
        "tftp" | "http" if words.contains("vmlinuz") => {
            Some(("has the discovery kernel", "discovery initramfs downloads"))
        }
        "tftp" | "http" if words.contains("initrd.img") => {
            Some(("has the discovery initramfs", "the discovery OS starts"))
        }
        "agent" if words.starts_with("check-in from the discovery OS") => {
            Some(("the discovery OS checked in", "its workflow begins"))
        }
        "agent" if words.starts_with("check-in from its own system") => {
            Some(("its own system checked in", "it reports what it is"))
        }
        "power" if words.starts_with("kexec") => {
            Some(("starts the next kernel by kexec", "the kernel starts"))
        }
        "power" if words.starts_with("reboot") => Some(("restarts", "the firmware starts again")),
        "machine" if words.starts_with("registered") => Some(("discovered", "its workflow begins")),
        _ => None,
    }
}

fn told_by_job(job: &Value) -> Option<(String, String, String)> {
    let (task, state) = (text(job, "Task"), text(job, "State"));
    let task = task.split(':').next().unwrap_or(task);
    let (words, next) = match (task, state) {
        ("" | "stage", _) | (_, "created" | "") => return None,
        ("bootenv", "finished") => ("leaves the discovery OS".to_owned(), "its own kernel starts".to_owned()),
        ("report-running", "finished") => {
            ("runs its own operating system".to_owned(), "its workflow ends".to_owned())
        }
        ("image-deploy", "finished") => ("image written".to_owned(), "kexec into its own kernel".to_owned()),
        (task, "running") => (format!("task {task} running"), format!("task {task} runs")),
        (task, state) => (format!("task {task} {state}"), "the next task starts".to_owned()),
    };
    Some((format!("{} {state}", text(job, "Uuid")), words, next))
}

/// Seconds from the start of a kernel to the first check-in of its agent, from a machine's trace: of the discovery OS, and of
/// the machine's own system.
pub fn check_ins(trace: &[Value]) -> [Option<f64>; 2] {
    ["discovery", "service"].map(|mode| {
        let of_mode = |entry: &&Value| {
            text(entry, "Kind") == "agent"
                && text(entry, "Text").starts_with("check-in")
                && entry.get("Data").is_some_and(|data| text(data, "Mode") == mode)
        };
        trace.iter().find(of_mode)?.get("Data")?.get("Uptime")?.as_f64()
    })
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
        let milestones = progress.update(at, &[registered], &[]);
        assert_eq!(milestones.len(), 1);
        assert_eq!(
            (milestones[0].at, milestones[0].text.as_str()),
            (Duration::from_millis(7_500), "discovered")
        );
    }

    #[test]
    fn the_way_of_the_kernels_is_told() {
        let agent = |mode: &str, text: &str, uptime: f64| json!({"Kind": "agent", "Text": text, "Data": {"Mode": mode, "Uptime": uptime}});
        let trace = [
            json!({"Kind": "agent", "Text": "asks who it is", "Data": {}}),
            agent("discovery", "check-in from the discovery OS, 4.2 s after its kernel's start", 4.2),
            json!({"Kind": "power", "Text": "kexec out of the discovery OS, 12.0 s after its kernel's start"}),
            agent("service", "check-in from its own system, 14.0 s after its kernel's start", 14.0),
            agent("service", "check-in from its own system, 99.0 s after its kernel's start", 99.0),
        ];
        assert_eq!(check_ins(&trace), [Some(4.2), Some(14.0)]);
        assert_eq!(check_ins(&trace[..1]), [None, None]);
        let told = Progress::new(SystemTime::UNIX_EPOCH).update(SystemTime::now(), &trace, &[]);
        let texts: Vec<&str> = told.iter().map(|one| one.text.as_str()).collect();
        let want =
            ["the discovery OS checked in", "starts the next kernel by kexec", "its own system checked in"];
        assert_eq!(texts, want);
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

    #[test]
    fn the_log_tells_how_far_a_job_is() {
        let line = " 25 %  38.1 MiB written  20.0 MB/s  6 s left";
        let progress = job_progress(&format!("image x\n{line}\n")).unwrap();
        assert_eq!(progress, (0.25, " 25 %  38.1 MiB written  20.0 MB/s  6 s left".to_owned()));
        assert_eq!(job_progress(&format!("{line}\nimage written\n")), None);
        assert_eq!(job_progress(""), None);
    }
}
