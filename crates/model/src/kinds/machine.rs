//! Machines (API §10.9, engine §4).
//!
//! Create and update differ: a create that names a missing profile, task or parameter is refused, an update is stored and
//! the machine is not available until the reference is mended. What a change of Workflow, Stage or Tasks means for the task
//! list is the workflow engine's matter and comes in through [`crate::Rules`].

use serde_json::{Map, Value};

use crate::check::{self, Cross, Fill};
use crate::kind::{Behaviour, Index, IndexType, Shown};
use crate::shape::wire;
use crate::{Address, BootEnv, Bytes, Kind, Problems, Stage, TaskEntry, Uuid, View, Workflow};

wire! {
    /// Marks by which a machine is recognised although its disks and network cards changed.
    part Fingerprint {
        /// Hash of the system's serial number.
        ssn_hash: Bytes = "SSNHash",
        /// Hash of the chassis' serial number.
        csn_hash: Bytes = "CSNHash",
        /// The instance id that a cloud gave it.
        cloud_instance_id: String = "CloudInstanceID",
        /// The system UUID of its firmware.
        system_uuid: String = "SystemUUID",
        /// Hashes of its memory modules.
        memory_ids: Vec<Bytes> = "MemoryIds",
    }
}

wire! {
    /// A task list that was set aside while error handlers run.
    part TaskStack {
        /// Where it stood.
        current_task: i64 = "CurrentTask",
        /// Its entries.
        task_list: Vec<String> = "TaskList",
    }
}

wire! {
    /// A bare-metal or virtual machine.
    object Machine {
        /// True when `slim` or `params` trimmed the answer. Computed.
        partial: bool = "Partial" derived,
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Unique id, given at creation.
        uuid: Uuid = "Uuid",
        /// The newest job; written by the server.
        current_job: Uuid = "CurrentJob",
        /// The address that it was last known under.
        address: Address = "Address",
        /// The stage that it is in; `none` for no stage.
        stage: String = "Stage",
        /// What it boots.
        boot_env: String = "BootEnv",
        /// Profiles that give it parameters, the first being the most important.
        profiles: Vec<String> = "Profiles",
        /// Its own parameters, which win over every profile.
        params: Map<String, Value> = "Params",
        /// What is to run: task names and the markers `stage:`, `bootenv:`, `action:`, `context:`, `chroot:`.
        tasks: Vec<String> = "Tasks",
        /// The entry of `Tasks` that runs or ran last; -1 before the first.
        current_task: i64 = "CurrentTask",
        /// How often the current task was tried again.
        retry_task_attempt: i64 = "RetryTaskAttempt",
        /// Task lists set aside while error handlers run.
        task_error_stacks: Vec<TaskStack> = "TaskErrorStacks",
        /// Whether the server hands out jobs for it.
        runnable: bool = "Runnable",
        /// Part of the machine's tokens: changing it makes them invalid.
        secret: String = "Secret",
        /// The operating system that was installed last.
        os: String = "OS",
        /// The MAC addresses that it boots from.
        hardware_addrs: Vec<String> = "HardwareAddrs",
        /// The workflow that made the task list.
        workflow: String = "Workflow",
        /// Its architecture in canonical form.
        arch: String = "Arch",
        /// Whether people are kept from changing it.
        locked: bool = "Locked",
        /// Where its tasks run: empty for the machine itself.
        context: String = "Context",
        /// Marks to recognise it by.
        fingerprint: Fingerprint = "Fingerprint",
        /// The pool that it is in.
        pool: String = "Pool",
        /// Whether the pool gave it to somebody.
        pool_allocated: bool = "PoolAllocated",
        /// Where it stands in its pool.
        pool_status: String = "PoolStatus",
        /// The workflow that ends its move within or between pools; none when it is on no move.
        pool_workflow: String = "PoolWorkflow" omitted,
        /// True when nothing of the task list remains.
        workflow_complete: bool = "WorkflowComplete",
    }
}

/// What `PoolStatus` may be.
pub const POOL_STATES: [&str; 10] = [
    "Joining", "HoldJoin", "Free", "Building", "HoldBuild", "InUse", "Destroying", "HoldDestroy", "Leaving", "HoldLeave",
];

impl Behaviour for Machine {
    const KEY: &'static str = "Uuid";
    const SHOWN: Shown = Shown::Params;
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index { regex: true, unique: true, ..Index::of("Uuid", IndexType::Uuid) },
        Index::of("Address", IndexType::Address("Invalid address: ")).kept(),
        Index::text("BootEnv").refers(Kind::BootEnv),
        Index::text("Stage").refers(Kind::Stage),
        Index::text("Workflow").refers(Kind::Workflow),
        Index::list("Profiles").refers(Kind::Profile),
        Index::list("Params"),
        Index::list("Tasks").refers_scanned(Kind::Task),
        Index::list("HardwareAddrs").kept(),
        Index::list("HardwareAddr").at(&["HardwareAddrs"]),
        Index::flag("Runnable"),
        Index::text("Arch"),
        Index::text("Context"),
        Index::of("CurrentJob", IndexType::Uuid),
        Index::text("Description"),
        Index::flag("Locked"),
        Index::text("OS"),
        Index::text("Pool").kept(),
        Index::flag("PoolAllocated"),
        Index::text("PoolStatus"),
        Index::flag("WorkflowComplete"),
        // By these a machine finds itself again (API §10.20), at every start of every machine.
        Index::text("Fingerprint.SSNHash").at(&["Fingerprint", "SSNHash"]).kept().internal(),
        Index::text("Fingerprint.CSNHash").at(&["Fingerprint", "CSNHash"]).kept().internal(),
        Index::text("Fingerprint.SystemUUID").at(&["Fingerprint", "SystemUUID"]).kept().internal(),
        Index::text("Fingerprint.CloudInstanceID").at(&["Fingerprint", "CloudInstanceID"]).kept().internal(),
        Index::list("Fingerprint.MemoryIds").at(&["Fingerprint", "MemoryIds"]).kept().internal(),
    ];

    fn fill(machine: &mut Map<String, Value>, fill: &Fill<'_>) {
        check::default_text(machine, "Arch", "amd64");
        check::default_text(machine, "Pool", "default");
        check::default_text(machine, "PoolStatus", "Free");
        lower_case_macs(machine);
        if fill.creating() {
            fill_new(machine, fill);
        } else {
            check::default_text(machine, "Stage", "none");
            keep_pool_workflow(machine, fill);
        }
    }

    fn check(&self, problems: &mut Problems) {
        check::number_name(problems, "Invalid Name", &self.name);
        check::arch::check(problems, &self.arch);
        for mac in &self.hardware_addrs {
            if let Err(reason) = check::mac(mac) {
                problems.add(format!("Invalid Hardware Address `{mac}`: {reason}"));
            }
        }
        check::duplicate_profiles(problems, &self.profiles);
        check::param_keys(problems, &self.params);
        if !POOL_STATES.contains(&self.pool_status.as_str()) {
            problems.add(format!("Invalid PoolStatus `{}`: must be one of {}", self.pool_status, POOL_STATES.join(", ")));
        }
        for (i, entry) in self.tasks.iter().enumerate() {
            if TaskEntry::parse(entry).is_none() {
                problems.add(format!("{entry} (at {i}) is malformed"));
            }
        }
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        let missing = existence(self, cross);
        if !missing.is_empty() {
            problems.replace(missing);
            return;
        }
        check::param_values(cross, &self.params, problems);
        check_address(self, cross, problems);
        check_usable(self, cross, problems);
        if cross.creating() && !cross.force {
            let mut errors = Vec::new();
            check_references(self, cross.view, &mut errors);
            check_requirements(self, cross.view, &mut errors);
            errors.into_iter().for_each(|error| problems.add(error));
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        check_references(self, view, errors);
        check_environments(self, view, errors);
        check_requirements(self, view, errors);
    }
}

/// MAC addresses are kept in lower case with colons, so that they are found however they were typed.
fn lower_case_macs(machine: &mut Map<String, Value>) {
    let Some(Value::Array(macs)) = machine.get_mut("HardwareAddrs") else { return };
    for mac in macs {
        if let Some(text) = mac.as_str().and_then(|text| check::mac(text).ok()) {
            *mac = Value::String(text);
        }
    }
}

/// Clients of DRP do not know the field: whoever replaces a machine does not mean to let its move end with any workflow.
fn keep_pool_workflow(machine: &mut Map<String, Value>, fill: &Fill<'_>) {
    let Some(before) = fill.before.and_then(|before| before.get("PoolWorkflow")) else { return };
    let moving = !["Free", "InUse"].contains(&check::text(machine, "PoolStatus"));
    if moving && check::text(machine, "PoolWorkflow").is_empty() {
        machine.insert("PoolWorkflow".to_owned(), before.clone());
    }
}

fn fill_new(machine: &mut Map<String, Value>, fill: &Fill<'_>) {
    if check::text(machine, "Uuid").is_empty() {
        machine.insert("Uuid".to_owned(), fill.now.uuid().to_string().into());
    }
    if check::text(machine, "Secret").is_empty() {
        machine.insert("Secret".to_owned(), fill.now.secret(16).into());
    }
    if check::text(machine, "Stage").is_empty() {
        machine.insert("Stage".to_owned(), fill.view.preference("defaultStage").into());
    }
    if check::text(machine, "Workflow").is_empty() {
        machine.insert("Workflow".to_owned(), fill.view.preference("defaultWorkflow").into());
    }
    if check::text(machine, "BootEnv").is_empty() {
        machine.insert("BootEnv".to_owned(), first_bootenv(machine, fill.view).into());
    }
    machine.insert("Runnable".to_owned(), true.into());
    let empty = machine.get("Tasks").and_then(Value::as_array).is_none_or(Vec::is_empty);
    machine.insert("CurrentTask".to_owned(), if empty { 0 } else { -1 }.into());
    machine.insert("WorkflowComplete".to_owned(), empty.into());
    check::default_flags(machine, "change-stage-v2", "original-change-stage");
    let base = machine["Meta"].get("BaseContext").cloned().unwrap_or_else(|| "".into());
    if check::text(machine, "Context").is_empty() {
        machine.insert("Context".to_owned(), base);
    }
}

/// The boot environment of a new machine that names none: its stage's, else the preference.
fn first_bootenv(machine: &Map<String, Value>, view: &View) -> String {
    let stage = view.object::<Stage>(check::text(machine, "Stage"));
    match stage {
        Some(stage) if !stage.boot_env.is_empty() => stage.boot_env.clone(),
        _ => view.preference("defaultBootEnv"),
    }
}

/// Workflow, stage and boot environment must exist; when one does not, nothing else is reported.
fn existence(machine: &Machine, cross: &Cross<'_>) -> Vec<String> {
    let view = cross.view;
    let mut missing = Vec::new();
    if !machine.workflow.is_empty() {
        match view.record(Kind::Workflow, &machine.workflow) {
            _ if !cross.changed("Workflow") => {}
            None => missing.push(format!("Workflow {} does not exist", machine.workflow)),
            Some(workflow) if !workflow.derived().available() => missing.push(format!(
                "Machine {} wants Workflow {}, which is not available",
                machine.uuid, machine.workflow
            )),
            Some(_) => {}
        }
    }
    if view.record(Kind::Stage, &machine.stage).is_none() && cross.changed("Stage") {
        missing.push(format!("Stage {} does not exist", machine.stage));
    }
    if view.record(Kind::BootEnv, &machine.boot_env).is_none() && cross.changed("BootEnv") {
        missing.push(format!("Bootenv {} does not exist", machine.boot_env));
    }
    missing
}

fn check_usable(machine: &Machine, cross: &Cross<'_>, problems: &mut Problems) {
    if !cross.changed("BootEnv") {
        return;
    }
    if let Some(reason) = BootEnv::unusable(cross.view, &machine.boot_env) {
        problems.add(reason);
    }
}

fn check_address(machine: &Machine, cross: &Cross<'_>, problems: &mut Problems) {
    if machine.address.0.is_none_or(|address| address.is_unspecified()) || !cross.changed("Address") {
        return;
    }
    let text = machine.address.to_string();
    let key = machine.uuid.to_string();
    for other in cross.view.find(Kind::Machine, "Address", &text).filter(|other| other.as_str() != key) {
        problems.add(format!("Machine {other} already has IP address {text}"));
        problems.add(format!("Machine {other} already has Address {text}, we cannot have it."));
    }
}

/// Profiles and task-list entries must name something that exists.
fn check_references(machine: &Machine, view: &View, errors: &mut Vec<String>) {
    for (i, profile) in machine.profiles.iter().enumerate() {
        if view.record(Kind::Profile, profile).is_none() {
            errors.push(format!("{}: Profile {profile} (at {i}) does not exist", machine.uuid));
        }
    }
    for (i, entry) in machine.tasks.iter().enumerate() {
        let (what, kind, name) = match TaskEntry::parse(entry) {
            Some(TaskEntry::Task(name)) => ("Task", Kind::Task, name),
            Some(TaskEntry::Stage(name)) => ("Stage", Kind::Stage, name),
            Some(TaskEntry::BootEnv(name)) => ("BootEnv", Kind::BootEnv, name),
            _ => continue,
        };
        if view.record(kind, name).is_none() {
            errors.push(format!("{}: {what} {name} (at {i}) does not exist", machine.uuid));
        }
    }
}

/// Stage, boot environment and workflow must be usable, and the environment must suit the architecture.
fn check_environments(machine: &Machine, view: &View, errors: &mut Vec<String>) {
    if view.record(Kind::Stage, &machine.stage).is_none() {
        errors.push(format!("Stage {} does not exist", machine.stage));
    }
    if !machine.workflow.is_empty() && view.record(Kind::Workflow, &machine.workflow).is_none() {
        errors.push(format!("Workflow {} does not exist", machine.workflow));
    }
    let Some(record) = view.record(Kind::BootEnv, &machine.boot_env) else {
        errors.push(format!("Bootenv {} does not exist", machine.boot_env));
        return;
    };
    if !record.derived().available() {
        errors.push(format!("BootEnv {} is not available", machine.boot_env));
    }
    let env = record.typed::<BootEnv>();
    let missing = if record.derived().available() { view.missing_files(&env, &machine.arch) } else { Vec::new() };
    let cannot = !missing.is_empty() || env.net_bootable() && env.kernel_for(&machine.arch).is_empty();
    errors.extend(missing);
    if cannot {
        errors.push(format!("BootEnv {} cannot boot Arch {}", machine.boot_env, machine.arch));
    }
}

/// The parameters that the stage and the boot environment require must have a value somewhere.
fn check_requirements(machine: &Machine, view: &View, errors: &mut Vec<String>) {
    if let Some(stage) = view.object::<Stage>(&machine.stage) {
        check::required_params(machine, view, ("stages", &stage.name), &stage.required_params, errors);
    }
    if let Some(env) = view.object::<BootEnv>(&machine.boot_env) {
        check::required_params(machine, view, ("bootenvs", &env.name), &env.required_params, errors);
    }
}

impl Machine {
    /// The workflow object, when the machine has one that exists.
    #[must_use]
    pub fn workflow_object(&self, view: &View) -> Option<std::sync::Arc<Workflow>> {
        view.object::<Workflow>(&self.workflow)
    }
}
