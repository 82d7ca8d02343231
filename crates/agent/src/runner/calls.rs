//! The session's questions as HTTP requests.

use super::{Config, Mode, credentials, kernel, log, say, stages};
use crate::http::{Answer, Client, Fault, decode, parse_date};
use crate::inventory::{self, Facts};
use crate::secret::Secret;
use crate::session::{Call, Milestone, Reply};
use crate::sys;
use crate::text::rfc3339;
use crate::wire::{Job, Machine, Refusal, Whoami, patch_op};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Life of the token that the agent asks for itself.
const TOKEN_LIFE: &str = "3y";
/// A clock further off than this is set from the server's answers, in seconds.
const CLOCK_TOLERANCE: i64 = 60;

/// Asks one question.
pub fn perform(config: &Config, client: &Client, uuid: &str, call: &Call) -> Result<Reply, Fault> {
    match call {
        Call::Credentials => credentials::fetch(config),
        Call::Whoami => whoami(config, client, uuid),
        Call::Search => search(config, client),
        Call::Create { name } => create(config, client, name),
        Call::Machine => {
            let answer = client.get(&format!("machines/{uuid}?slim=Params,Meta"))?;
            set_clock(config, &answer);
            machine(answer)
        }
        Call::Token => {
            let answer = client.get(&format!("machines/{uuid}/token?ttl={TOKEN_LIFE}"))?;
            let token = answer.body.get("Token").and_then(Value::as_str).unwrap_or_default();
            Ok(Reply::Token(Secret::new(token)))
        }
        Call::Publish => publish(config, client, uuid),
        Call::CheckIn { machine: known, arm, bare } => check_in(config, client, known, *arm, *bare),
        Call::Job(id) => job(client.get(&format!("jobs/{id}"))),
        Call::NewJob => {
            let body = json!({"Machine": uuid, "Context": config.settings.context});
            job(client.json("POST", "jobs", Some(&body)))
        }
        Call::Task(name) => Ok(Reply::Task(decode("task", client.get(&format!("tasks/{name}"))?.body)?)),
        Call::Actions(id) => {
            let answer = client.get(&format!("jobs/{id}/actions?os=linux"))?;
            let actions: Option<Vec<crate::wire::Action>> = decode("actions", answer.body)?;
            Ok(Reply::Actions(actions.unwrap_or_default()))
        }
        Call::JobState { job: id, from, to, exit } => {
            let mut patch = vec![patch_op("test", "/State", *from), patch_op("replace", "/State", *to)];
            if let Some(exit) = exit {
                patch.push(patch_op("replace", "/ExitState", *exit));
            }
            job(client.json("PATCH", &format!("jobs/{id}"), Some(&Value::Array(patch))))
        }
        Call::Disarm => {
            let patch = json!([
                patch_op("test", "/Context", config.settings.context.as_str()),
                patch_op("replace", "/Runnable", false)
            ]);
            machine(client.json("PATCH", &format!("machines/{uuid}"), Some(&patch))?)
        }
        Call::NextStage { stage, installing } => stages::next(client, uuid, stage, *installing),
        Call::SetStage { from, to } => {
            let patch = json!([
                patch_op("test", "/Stage", from.as_str()),
                patch_op("replace", "/Stage", to.as_str())
            ]);
            machine(client.json("PATCH", &format!("machines/{uuid}"), Some(&patch))?)
        }
        Call::Prepare { boot_env, restart } => {
            kernel::prepare(config, client, uuid, boot_env, *restart);
            Ok(Reply::Nothing)
        }
        Call::Flush(id) => log::Shipment::open(&config.state_dir, id)
            .and_then(|mut s| s.finish(client))
            .map(|()| Reply::Nothing),
        Call::LogLine { job: id, text } => {
            client.put_bytes(&format!("jobs/{id}/log"), format!("{text}\n").as_bytes(), &[])?;
            Ok(Reply::Nothing)
        }
    }
}

fn machine(answer: Answer) -> Result<Reply, Fault> {
    Ok(Reply::Machine(Box::new(decode("machine", answer.body)?)))
}

/// "Nothing to do" is an empty answer or a job without a state.
fn job(answer: Result<Answer, Fault>) -> Result<Reply, Fault> {
    let answer = answer?;
    let job: Option<Job> = decode("job", answer.body)?;
    Ok(Reply::Job(job.filter(|job| !job.state.is_empty())))
}

fn facts(config: &Config) -> Facts {
    inventory::facts(&config.root, &config.endpoint.url)
}

/// The key that we were told, or else have by now, outweighs the hardware.
fn whoami(config: &Config, client: &Client, uuid: &str) -> Result<Reply, Fault> {
    let facts = facts(config);
    let told = &config.settings.uuid;
    let question = Whoami {
        fingerprint: facts.fingerprint,
        mac_addrs: facts.macs,
        on_disk_uuid: if told.is_empty() { uuid.to_owned() } else { told.clone() },
        ..Whoami::default()
    };
    let body = serde_json::to_value(&question).map_err(|e| Fault::Nonsense(e.to_string()))?;
    let answer = client.json("POST", "whoami", Some(&body))?;
    Ok(Reply::Whoami(decode("whoami", answer.body)?))
}

fn search(config: &Config, client: &Client) -> Result<Reply, Fault> {
    let macs = facts(config).macs;
    if macs.is_empty() {
        return Ok(Reply::Machines(Vec::new()));
    }
    let answer = client.get(&format!("machines?HardwareAddr={}&slim=Params,Meta", macs.join(",")))?;
    let found: Option<Vec<Machine>> = decode("machines", answer.body)?;
    Ok(Reply::Machines(found.unwrap_or_default()))
}

fn create(config: &Config, client: &Client, name: &str) -> Result<Reply, Fault> {
    let facts = facts(config);
    let name = if name.is_empty() { facts.default_name() } else { name.to_owned() };
    let body = json!({
        "Name": name,
        "Arch": facts.arch,
        "HardwareAddrs": facts.macs,
        "Fingerprint": facts.fingerprint,
    });
    machine(client.json("POST", "machines", Some(&body))?)
}

/// One patch of the machine's params; `add` also replaces.
fn publish(config: &Config, client: &Client, uuid: &str) -> Result<Reply, Fault> {
    let inventory = inventory::gather(&config.root);
    let mut params = vec![
        ("gantry-inventory", serde_json::to_value(&inventory).map_err(|e| Fault::Nonsense(e.to_string()))?),
        ("gohai-inventory", inventory::gohai::of(&inventory)),
        ("detected-bios-mode", json!(inventory.firmware.bios_mode())),
    ];
    if let Some(mac) = &config.bootif {
        params.push(("last-boot-macaddr", json!(format!("01-{}", mac.replace(':', "-")))));
    }
    let patch: Vec<Value> =
        params.into_iter().map(|(name, value)| patch_op("add", &format!("/{name}"), value)).collect();
    client.json("PATCH", &format!("machines/{uuid}/params"), Some(&Value::Array(patch)))?;
    Ok(Reply::Nothing)
}

fn check_in(
    config: &Config,
    client: &Client,
    known: &Machine,
    arm: bool,
    bare: bool,
) -> Result<Reply, Fault> {
    let mut patch = Vec::new();
    if arm && !known.runnable {
        patch.push(patch_op("replace", "/Runnable", true));
    }
    if !bare {
        patch.extend(differences(known, &facts(config)));
    }
    if patch.is_empty() {
        return Ok(Reply::Machine(Box::new(known.clone())));
    }
    machine(client.json("PATCH", &format!("machines/{}", known.uuid), Some(&Value::Array(patch)))?)
}

/// What the server should know better. Cards that it knows and we do not see stay: a card may be
/// without a driver today.
fn differences(known: &Machine, facts: &Facts) -> Vec<Value> {
    let mut patch = Vec::new();
    let missing: Vec<&String> = facts.macs.iter().filter(|mac| !known.hardware_addrs.contains(mac)).collect();
    if !missing.is_empty() {
        let all: Vec<&String> = known.hardware_addrs.iter().chain(missing).collect();
        patch.push(patch_op("replace", "/HardwareAddrs", json!(all)));
    }
    if !facts.arch.is_empty() && known.arch != facts.arch {
        patch.push(patch_op("replace", "/Arch", facts.arch.as_str()));
    }
    if !facts.address.is_empty() && known.address != facts.address {
        patch.push(patch_op("replace", "/Address", facts.address.as_str()));
    }
    if facts.fingerprint != known.fingerprint {
        patch.push(patch_op("add", "/Fingerprint", json!(facts.fingerprint)));
    }
    patch
}

/// Tells the boot trace; a failure only costs that line.
pub fn trace(config: &Config, client: &Client, uuid: &str, milestone: Milestone) {
    let action = match milestone {
        Milestone::CheckIn => "checkin",
        Milestone::Reboot if crate::kexec::is_ready() => "kexec",
        Milestone::Reboot => "reboot",
        Milestone::PowerOff => "poweroff",
    };
    let event = trace_event(config, uuid, action);
    if let Err(fault) = client.json("POST", "events", Some(&event)) {
        say(&format!("boot trace: {fault}"));
    }
}

/// The event of a milestone: `Object` has `Mode`, `BootID`, `Kernel`, `Uptime` (seconds since the
/// kernel's start) and `Milestones` (name and uptime of each timed point before).
pub fn trace_event(config: &Config, uuid: &str, action: &str) -> Value {
    let milestones: Vec<Value> =
        config.milestones.iter().map(|(name, at)| json!({"Name": name, "Uptime": at})).collect();
    json!({
        "Time": rfc3339(SystemTime::now()),
        "Type": "trace",
        "Action": action,
        "Key": uuid,
        "Object": {
            "Mode": config.mode.name(),
            "BootID": inventory::boot_id(&config.root),
            "Kernel": sys::kernel_release(),
            "Uptime": sys::uptime(),
            "Milestones": milestones,
        },
    })
}

/// A machine without a battery has no idea of the time; TLS and logs want one.
fn set_clock(config: &Config, answer: &Answer) {
    if config.mode != Mode::Discovery {
        return;
    }
    let Some(server) = answer.date.as_deref().and_then(parse_date) else { return };
    let own = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
    if (server - own).abs() > CLOCK_TOLERANCE {
        match sys::set_clock(server) {
            Ok(()) => say(&format!("clock was {} s off", server - own)),
            Err(error) => say(&format!("clock: {error}")),
        }
    }
}

/// A refusal made up here.
pub fn refusal(text: String) -> Fault {
    Fault::Refused(Refusal { code: 0, messages: vec![text], ..Refusal::default() })
}
