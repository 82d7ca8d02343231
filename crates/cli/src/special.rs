//! What only some nouns can do, and nouns that are no kind.

use clap::Command;
use gantry_model::Kind;

use crate::session::SEE;
use crate::verb::Word::{Literal, Needed, Optional, Rest};
use crate::verb::{Do, Flag, Takes, Verb, Word, verb};

const ID: Word = Needed("id");
const PURGE: &[Flag] = &[
    ("dry-run", Takes::Nothing, "Only tell which jobs would go"),
    (
        "machine",
        Takes::Value,
        "Only jobs of this machine; `missing`: those of machines that are gone, all of them",
    ),
    ("jobs-to-keep", Takes::Value, "How many jobs of each machine stay"),
    ("failed-after", Takes::Value, "How long failed jobs stay (duration)"),
    ("complete-after", Takes::Value, "How long finished jobs stay (duration)"),
];

const OPENED: Flag = ("key", Takes::Value, "The file with the key to sealed values of the pack");
const SEALED: Flag = (
    "key",
    Takes::Value,
    "Seal secure values; the key to them is saved in this file, or used again when it has one",
);
const UPLOAD: &[Flag] =
    &[("replace-writable", Takes::Nothing, "Objects of the store give way to those of the pack"), OPENED];
const BUNDLIZE: &[Flag] = &[
    ("delete", Takes::Nothing, "Remove the objects from the server when the file is written"),
    ("reload", Takes::Nothing, "Load the pack in their place"),
    SEALED,
];

/// Verbs of single kinds, by prefix.
#[rustfmt::skip]
static VERBS: &[(&str, &[Verb])] = &[
    ("machines", &[
        verb("bootenv", &[ID, Needed("bootenv")], &[], Do::SetFields(&["BootEnv"]), "Change the boot environment"),
        verb("stage", &[ID, Needed("stage")], &[], Do::SetFields(&["Stage"]), "Change the stage"),
        verb("workflow", &[ID, Needed("workflow")], &[], Do::SetFields(&["Workflow"]), "Start a workflow; \"\" clears it"),
        verb("run", &[ID], &[], Do::SetRunnable(true), "Let jobs run"),
        verb("pause", &[ID], &[], Do::SetRunnable(false), "Let no more jobs run"),
        verb("addprofile", &[ID, Rest("profiles")], &[], Do::AddToList("Profiles"), "Add profiles"),
        verb("removeprofile", &[ID, Rest("profiles")], &[], Do::RemoveFromList("Profiles"), "Remove profiles"),
        verb("addtask", &[ID, Rest("tasks")], &[], Do::AddToList("Tasks"), "Append tasks"),
        verb("removetask", &[ID, Rest("tasks")], &[], Do::RemoveFromList("Tasks"), "Remove tasks"),
        verb("inserttask", &[ID, Needed("task"), Optional("offset")], &[], Do::InsertTask, "Insert a task after the present one, or so many further on"),
        verb("trace", &[ID], &[("follow", Takes::Nothing, "Go on while the machine does"), ("boot", Takes::Value, "`all`, or how many boots to go back")], Do::Trace, "Show the boot trace: what happened, when, how long it took (ID may be the MAC of a machine that has not registered)"),
        verb("currentlog", &[ID], &[], Do::CurrentLog, "Show the log of the present job"),
        verb("deletejobs", &[ID], &[], Do::DeleteJobs, "Delete all jobs of the machine"),
        verb("token", &[ID], &[("ttl", Takes::Value, "How long it lasts (duration)")], Do::MachineToken, "Make a token that acts as the machine"),
        verb("whoami", &[Optional("json")], &[], Do::Whoami, "Find the machine that fits a fingerprint"),
        verb("releaseToPool", &[ID], &[], Do::ReleaseToPool, "Release the machine to its pool"),
    ]),
    ("pools", &[
        verb("active", &[], &[], Do::PoolsActive, "Show the pools that machines are in"),
        verb("status", &[ID], &[], Do::PoolStatus, "Show the machines of a pool by their status"),
    ]),
    ("profiles", &[
        verb("addprofile", &[ID, Rest("profiles")], &[], Do::AddToList("Profiles"), "Add profiles"),
        verb("removeprofile", &[ID, Rest("profiles")], &[], Do::RemoveFromList("Profiles"), "Remove profiles"),
    ]),
    ("stages", &[
        verb("bootenv", &[ID, Needed("bootenv")], &[], Do::SetFields(&["BootEnv"]), "Change the boot environment"),
        verb("addprofile", &[ID, Rest("profiles")], &[], Do::AddToList("Profiles"), "Add profiles"),
        verb("removeprofile", &[ID, Rest("profiles")], &[], Do::RemoveFromList("Profiles"), "Remove profiles"),
        verb("addtask", &[ID, Rest("tasks")], &[], Do::AddToList("Tasks"), "Append tasks"),
        verb("removetask", &[ID, Rest("tasks")], &[], Do::RemoveFromList("Tasks"), "Remove tasks"),
    ]),
    ("subnets", &[
        verb("range", &[ID, Needed("start"), Needed("end")], &[], Do::SetFields(&["ActiveStart", "ActiveEnd"]), "Set the first and last address that are given to anybody"),
        verb("leasetimes", &[ID, Needed("active"), Needed("reserved")], &[], Do::SetFields(&["ActiveLeaseTime", "ReservedLeaseTime"]), "Set how long addresses may be kept, in seconds"),
        verb("nextserver", &[ID, Needed("address")], &[], Do::SetFields(&["NextServer"]), "Set the boot server that clients are told"),
        verb("pickers", &[ID, Needed("pickers")], &[], Do::SetFields(&["Pickers"]), "Set how a free address is picked (comma list)"),
        verb("get", &[ID, Literal("option"), Needed("number")], &[], Do::OptionGet, "Show a DHCP option"),
        verb("set", &[ID, Literal("option"), Needed("number"), Literal("to"), Needed("value")], &[], Do::OptionSet, "Set a DHCP option; `null` removes it"),
    ]),
    ("jobs", &[
        verb("purge", &[], PURGE, Do::JobsPurge, "Remove old jobs and their logs, by the preferences or these flags; prints which"),
        verb("actions", &[ID], &[("for-os", Takes::Value, "For this operating system")], Do::JobActions, "Show the files and scripts of a job"),
        verb("plugin_actions", &[ID], PLUGIN, Do::Actions, "Show the actions that plugins offer for the job"),
        verb("plugin_action", &[ID, Needed("command")], PLUGIN, Do::Action, "Show one action"),
        verb("runplugin_action", &[ID, Needed("command"), Rest("arguments")], PLUGIN, Do::RunAction, "Run an action with JSON or with key value pairs"),
        verb("log", &[ID, Optional("text")], &[], Do::JobLog, "Show the log of a job, or append text (- for standard input)"),
    ]),
    ("users", &[
        verb("token", &[ID, Rest("words")], &[], Do::Token, "Make a token: `ttl 3600`, `roles a,b`, or one right by `scope x action y specific z`; what the user does not have, it does not give"),
        verb("password", &[ID, Needed("password")], &[], Do::Password, "Set the password"),
        verb("passwordhash", &[Needed("password")], &[], Do::PasswordHash, "Print a hash of a password, for users in content packs"),
    ]),
    ("templates", &[
        verb("upload", &[Needed("file"), Literal("as"), Needed("id")], &[], Do::TemplateUpload, "Make a template from a file"),
    ]),
];

/// Nouns that are no kind.
#[rustfmt::skip]
static NOUNS: &[(&str, &str, &[Verb])] = &[
    ("info", "The server itself", &[
        verb("get", &[], &[], Do::InfoGet, "Show version, ports and features"),
        verb("check", &[], &[], Do::InfoCheck, "Exit with 0 if the server answers this user, else with 1"),
        verb("status", &[], &[], Do::InfoStatus, "Show which services are on, and which of them answer"),
    ]),
    ("prefs", "Preferences of the server", &[
        verb("list", &[], &[], Do::PrefsList, "Show all"),
        verb("set", &[Rest("pairs")], &[], Do::PrefsSet, "Set: JSON, or name value pairs"),
    ]),
    ("events", "What happens", &[
        verb("watch", &[Optional("filter")], &[("from", Takes::Value, "Begin after this revision")], Do::EventsWatch, "Show events as they come; the filter is type.action.key"),
        verb("post", &[Needed("json")], &[], Do::EventsPost, "Publish an event"),
    ]),
    ("logs", "The server's log", &[
        verb("get", &[], &[], Do::LogsGet, "Show the newest lines"),
        verb("watch", &[], &[], Do::LogsWatch, "Show lines as they come"),
    ]),
    ("objects", "Kinds of objects", &[
        verb("list", &[], &[], Do::ObjectsList, "Show their names"),
    ]),
    ("contents", "Content packs", &[
        verb("list", &[], &[], Do::ContentList, "Show all packs and layers"),
        verb("show", &[Needed("name")], &[SEALED], Do::ContentShow, "Show a whole pack, with secure values in plain text unless they are sealed"),
        verb("exists", &[Needed("name")], &[], Do::ContentExists, "Exit with 0 if the pack is there, else with 1"),
        verb("upload", &[Needed("file")], UPLOAD, Do::ContentUpload, "Load or replace a pack: JSON, YAML or a file of either"),
        verb("create", &[Needed("file")], UPLOAD, Do::ContentUpload, "The same"),
        verb("update", &[Needed("name"), Needed("file")], &[OPENED], Do::ContentUpdate, "Replace a pack that is there"),
        verb("destroy", &[Needed("name")], &[], Do::ContentDestroy, "Remove a pack"),
        verb("bundle", &[Needed("file"), Rest("meta")], &[], Do::ContentBundle, "Make one file of the pack in this folder; Field=value adds metadata"),
        verb("unbundle", &[Needed("file")], &[], Do::ContentUnbundle, "Write a bundle as a folder, into this one"),
        verb("document", &[Needed("file")], &[], Do::ContentDocument, "Write the manual of a pack, in Markdown"),
        verb("bundlize", &[Needed("file"), Rest("words")], BUNDLIZE, Do::ContentBundlize, "Make a pack of objects of the server: `Name=north profiles:north machines:Name=m1 params`"),
        verb("convert", &[Needed("file")], &[OPENED], Do::ContentConvert, "Make the objects of a pack objects of the store, which can be changed; the pack goes"),
    ]),
    ("files", "Files that machines can download", BLOBS),
    ("isos", "ISO images", BLOBS),
    ("api", "Any call of the API", &[
        verb("call", &[Needed("method"), Needed("path"), Optional("json")], &[], Do::Raw, "Call `GET /machines` and the like"),
    ]),
];

#[rustfmt::skip]
static BLOBS: &[Verb] = &[
    verb("list", &[Optional("path")], &[("recurse", Takes::Nothing, "Everything below the path")], Do::BlobList, "Show names"),
    verb("exists", &[Needed("path")], &[], Do::BlobExists, "Show the SHA-256 if it is there, else exit with 1"),
    verb("upload", &[Needed("file"), Literal("as"), Needed("path")], &[("explode", Takes::Nothing, "Unpack it where it lies")], Do::BlobUpload, "Upload a file (- for standard input)"),
    verb("download", &[Needed("path"), Optional("to"), Optional("file")], &[], Do::BlobDownload, "Download to standard output, or `to` a file"),
    verb("destroy", &[Needed("path")], &[], Do::BlobDestroy, "Delete"),
];

/// `machines jobs …`
#[rustfmt::skip]
static MACHINE_JOBS: &[Verb] = &[
    verb("create", &[ID], &[], Do::JobsCreate, "Ask for the next job"),
    verb("current", &[ID], &[], Do::JobsCurrent, "Show the present job"),
    verb("state", &[ID, Literal("to"), Needed("state")], &[], Do::JobsState, "Change the state of the present job"),
];
/// `machines tasks …`
#[rustfmt::skip]
static MACHINE_TASKS: &[Verb] = &[
    verb("add", &[ID, Rest("words")], &[], Do::AddTasks, "Add tasks at the end of the present stage, or `at 0`: after the present task, or so many further on"),
    verb("del", &[ID, Rest("tasks")], &[], Do::RemoveFromList("Tasks"), "Remove tasks"),
];
/// `machines inspect …`
#[rustfmt::skip]
static MACHINE_INSPECT: &[Verb] = &[
    verb("jobs", &[ID, Optional("index")], FULL, Do::InspectJobs, "Show the jobs of a machine, oldest first, or the one with this index"),
    verb("tasks", &[ID, Needed("task"), Optional("index")], FULL, Do::InspectTasks, "Show the jobs that ran a task on a machine, oldest first, or the one with this index"),
];
const FULL: &[Flag] = &[("full", Takes::Nothing, "With the log of each job in its Meta")];
const PLUGIN: &[Flag] = &[("plugin", Takes::Value, "Of this plugin only")];

/// `pools manage …`
#[rustfmt::skip]
static POOL_MANAGE: &[Verb] = &[
    verb("add", &[ID, Rest("filters")], MOVE_IN, Do::PoolMove("addMachines"), "Move free machines into the pool, from its parent or --source-pool"),
    verb("remove", &[ID, Rest("filters")], MOVE, Do::PoolMove("removeMachines"), "Move free machines out of the pool, into its parent"),
    verb("allocate", &[ID, Rest("filters")], MOVE, Do::PoolMove("allocateMachines"), "Allocate free machines of the pool"),
    verb("release", &[ID, Rest("filters")], MOVE, Do::PoolMove("releaseMachines"), "Release allocated machines of the pool"),
];
const MOVE_IN: &[Flag] = &[
    ("source-pool", Takes::Value, "The pool that they come from"),
    MOVE[0],
    MOVE[1],
    MOVE[2],
    MOVE[3],
    MOVE[4],
    MOVE[5],
    MOVE[6],
    MOVE[7],
    MOVE[8],
    MOVE[9],
];
const MOVE: &[Flag] = &[
    ("count", Takes::Value, "How many machines"),
    ("minimum", Takes::Value, "Move none when there are fewer; as many as --count without it"),
    ("all-machines", Takes::Nothing, "All that can move"),
    ("machine-list", Takes::Value, "These machines: UUIDs or Field:Value (comma list)"),
    ("new-workflow", Takes::Value, "The workflow that they run, instead of the pool's"),
    ("add-profiles", Takes::Value, "Profiles that they get (comma list)"),
    ("remove-profiles", Takes::Value, "Profiles that they lose (comma list)"),
    ("add-parameters", Takes::Value, "Parameters that they get (JSON, YAML or file)"),
    ("remove-parameters", Takes::Value, "Parameters that they lose (comma list)"),
    ("wait-timeout", Takes::Value, "Wait so long for the end (seconds or a duration)"),
];

/// The verbs that only the kind with this prefix has.
pub(crate) fn verbs(prefix: &str) -> &'static [Verb] {
    VERBS.iter().find(|(name, _)| *name == prefix).map_or(&[], |(_, verbs)| verbs)
}

/// The verbs of a noun that is no kind.
pub(crate) fn of_noun(noun: &str) -> &'static [Verb] {
    NOUNS.iter().find(|(name, ..)| *name == noun).map_or(&[], |(.., verbs)| verbs)
}

/// The verbs of a group below `machines`.
pub(crate) fn group(name: &str) -> &'static [Verb] {
    match name {
        "jobs" => MACHINE_JOBS,
        "tasks" => MACHINE_TASKS,
        "inspect" => MACHINE_INSPECT,
        "manage" => POOL_MANAGE,
        _ => &[],
    }
}

/// The commands of nouns that are no kind.
pub(crate) fn nouns() -> impl Iterator<Item = Command> {
    NOUNS.iter().map(|(name, about, verbs)| grouped(Command::new(*name).about(*about), name, verbs))
}

/// Adds `jobs`, `tasks` and `inspect` to the command of machines, `manage` to that of pools.
pub(crate) fn groups(kind: Kind, command: Command) -> Command {
    if kind == Kind::Pool {
        let manage = Command::new("manage").about("Move machines into, out of and within pools");
        return command.subcommand(grouped(manage, "pools manage", POOL_MANAGE));
    }
    if kind != Kind::Machine {
        return command;
    }
    let jobs = grouped(Command::new("jobs").about("Jobs of one machine"), "machines jobs", MACHINE_JOBS);
    let tasks =
        grouped(Command::new("tasks").about("The task list of one machine"), "machines tasks", MACHINE_TASKS);
    let inspect = Command::new("inspect").about("What ran on one machine");
    let inspect = grouped(inspect, "machines inspect", MACHINE_INSPECT);
    command.subcommand(jobs).subcommand(tasks).subcommand(inspect)
}

/// `under` is what is typed before the verbs.
fn grouped(command: Command, under: &str, verbs: &[Verb]) -> Command {
    let command = command.subcommand_required(true).arg_required_else_help(true).after_help(SEE);
    verbs.iter().fold(command, |command, verb| command.subcommand(verb.command(under)))
}
