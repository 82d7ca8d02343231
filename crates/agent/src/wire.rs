//! The few API objects that the agent reads and writes, with just the fields it needs.
//!
//! The full objects live in `gantry-model`; the agent also talks to other servers of the same API and
//! must not mind fields that it does not know. Missing or null fields read as their zero value.
//! Reference: api.md §10.8 (jobs), §10.9 (machines), §10.20 (whoami), engine.md §4.

use crate::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads `null` as the default value, as the server's own clients do.
fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// A machine, as far as the agent cares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Machine {
    /// Key of the machine.
    pub uuid: String,
    /// Unique name.
    pub name: String,
    /// What the machine boots; a change of it means reboot.
    #[serde(rename = "BootEnv")]
    pub boot_env: String,
    /// Current stage.
    pub stage: String,
    /// Current workflow, empty for none.
    pub workflow: String,
    /// Which kind of runner may take jobs; empty is the machine's own agent.
    pub context: String,
    /// The task list, markers included.
    #[serde(deserialize_with = "null_default")]
    pub tasks: Vec<String>,
    /// Index of the last task handed out, -1 before the first.
    pub current_task: i64,
    /// Key of the last job, empty or all zero for none.
    pub current_job: String,
    /// True when jobs may be handed out.
    pub runnable: bool,
    /// False when the machine refers to something that is missing.
    pub available: bool,
    /// True when the task list is exhausted.
    pub workflow_complete: bool,
    /// Last known address.
    pub address: String,
    /// Architecture in the API's names (`amd64`, `arm64`).
    pub arch: String,
    /// MAC addresses.
    #[serde(deserialize_with = "null_default")]
    pub hardware_addrs: Vec<String>,
    /// Identity hashes, see `inventory::fingerprint`.
    #[serde(deserialize_with = "null_default")]
    pub fingerprint: Fingerprint,
}

impl Machine {
    /// The key of the last job, if there is one.
    pub fn last_job(&self) -> Option<&str> {
        let id = self.current_job.as_str();
        let some = id.bytes().any(|b| b != b'0' && b != b'-');
        some.then_some(id)
    }
}

/// A job, as far as the agent cares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Job {
    /// Key of the job.
    pub uuid: String,
    /// Key of its machine.
    pub machine: String,
    /// Task name, or a marker such as `stage:x`.
    pub task: String,
    /// Stage at creation.
    pub stage: String,
    /// Workflow at creation.
    pub workflow: String,
    /// Context at creation.
    pub context: String,
    /// `created`, `running`, `incomplete`, `failed`, `finished`, or empty for "no job".
    pub state: String,
    /// How it ended.
    pub exit_state: String,
    /// Token with extra rights, for elevated tasks only.
    #[serde(deserialize_with = "null_default")]
    pub token: Secret,
}

/// One file or script of a job (engine.md §4.9).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Action {
    /// Name of the template.
    pub name: String,
    /// Where to write it; empty means: run it.
    pub path: String,
    /// The rendered text.
    pub content: String,
    /// Hints such as `Interpreter`.
    #[serde(deserialize_with = "null_default")]
    pub meta: BTreeMap<String, String>,
}

/// What is known of a task before its job runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// Name of the task.
    pub name: String,
    /// `feature-flags` decides what exit codes mean.
    #[serde(deserialize_with = "null_default")]
    pub meta: BTreeMap<String, String>,
}

/// Identity of the hardware in hashes that survive a new network card (engine.md §6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Fingerprint {
    /// Base64 SHA-256 over manufacturer, product and serial of the system.
    #[serde(rename = "SSNHash", deserialize_with = "null_default")]
    pub ssn_hash: String,
    /// Base64 SHA-256 over manufacturer and serial of the chassis.
    #[serde(rename = "CSNHash", deserialize_with = "null_default")]
    pub csn_hash: String,
    /// Cloud name and instance.
    #[serde(rename = "CloudInstanceID", deserialize_with = "null_default")]
    pub cloud_instance_id: String,
    /// UUID of the board, if it is not one of the known nonsense values.
    #[serde(rename = "SystemUUID", deserialize_with = "null_default")]
    pub system_uuid: String,
    /// One base64 SHA-256 per memory module, sorted.
    #[serde(deserialize_with = "null_default")]
    pub memory_ids: Vec<String>,
}

/// Question and answer of `POST /whoami`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Whoami {
    /// The best candidate, filled by the server.
    #[serde(deserialize_with = "null_default")]
    pub result: WhoamiResult,
    /// Who is asking.
    #[serde(deserialize_with = "null_default")]
    pub fingerprint: Fingerprint,
    /// MAC addresses of physical cards, sorted.
    #[serde(deserialize_with = "null_default")]
    pub mac_addrs: Vec<String>,
    /// A machine key found on the machine's own disk.
    #[serde(rename = "OnDiskUUID", deserialize_with = "null_default")]
    pub on_disk_uuid: String,
}

/// The best candidate for a whoami question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WhoamiResult {
    /// 100 and more is a match.
    #[serde(skip_serializing_if = "is_zero")]
    pub score: i64,
    /// Key of the machine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// A token for that machine.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_default")]
    pub token: Secret,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// An error body (api.md §21.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Refusal {
    /// HTTP status.
    #[serde(skip)]
    pub code: u16,
    /// Kind of object.
    #[serde(deserialize_with = "null_default")]
    pub model: String,
    /// Its key.
    #[serde(deserialize_with = "null_default")]
    pub key: String,
    /// What was tried.
    #[serde(rename = "Type", deserialize_with = "null_default")]
    pub kind: String,
    /// What was wrong.
    #[serde(deserialize_with = "null_default")]
    pub messages: Vec<String>,
}

impl Refusal {
    /// Whether the server, or something between, could not serve the request now, rather than refuse it: asking again helps.
    /// An error of its own (500) is none of these: some are answers for good.
    pub fn is_trouble(&self) -> bool {
        matches!(self.code, 408 | 429 | 502 | 503 | 504 | 507)
    }

    /// Reads an error body; whatever is no such JSON becomes a message of at most 1 KiB.
    pub fn parse(code: u16, body: &[u8]) -> Self {
        let parsed: Option<Self> = serde_json::from_slice(body).ok();
        let mut refusal = parsed.unwrap_or_default();
        refusal.code = code;
        if refusal.messages.is_empty() {
            let text = String::from_utf8_lossy(&body[..body.len().min(1024)]);
            refusal.messages = vec![text.trim().to_owned()];
        }
        refusal
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.kind)?;
        for part in [&self.model, &self.key] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        write!(f, ": {}", self.messages.join("; "))
    }
}

/// One RFC 6902 operation.
pub fn patch_op(op: &str, path: &str, value: impl Into<Value>) -> Value {
    serde_json::json!({"op": op, "path": path, "value": value.into()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_reads_null_and_missing_fields() {
        let text = r#"{"Uuid":"u","BootEnv":"local","Tasks":null,"CurrentTask":-1,"Fingerprint":null}"#;
        let machine: Machine = serde_json::from_str(text).expect("machine");
        assert_eq!(machine.boot_env, "local");
        assert_eq!(machine.current_task, -1);
        assert!(!machine.runnable && machine.tasks.is_empty());
    }

    #[test]
    fn zero_uuid_is_no_job() {
        let of = |id: &str| Machine { current_job: id.into(), ..Machine::default() };
        assert_eq!(of("").last_job(), None);
        assert_eq!(of("00000000-0000-0000-0000-000000000000").last_job(), None);
        assert_eq!(of("a0000000-0000-0000-0000-000000000000").last_job().map(str::len), Some(36));
    }

    #[test]
    fn whoami_question_has_an_empty_result_object() {
        let text = serde_json::to_string(&Whoami::default()).expect("json");
        assert!(text.starts_with(r#"{"Result":{},"Fingerprint":{"SSNHash":"""#), "{text}");
    }

    #[test]
    fn refusal_keeps_foreign_bodies_short() {
        let long = vec![b'x'; 5000];
        let refusal = Refusal::parse(502, &long);
        assert_eq!((refusal.code, refusal.messages[0].len()), (502, 1024));
        let json = br#"{"Model":"machines","Key":"k","Type":"PATCH","Messages":["Locked"],"Code":403}"#;
        assert_eq!(Refusal::parse(403, json).to_string(), "403 PATCH machines k: Locked");
    }
}
