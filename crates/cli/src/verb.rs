//! The verbs that nouns share, as a table, and how a row becomes a command.
//!
//! A row's words are drpcli's: `get <id> param <key>` has the literal `param` in the middle, and so has the row.

use clap::{Arg, ArgAction, Command};
use gantry_api::operation::WITH_ACTIONS;
use gantry_model::{Kind, shape};

use crate::session::SEE;

/// One word after the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A value that must be there.
    Needed(&'static str),
    /// A value that may be there.
    Optional(&'static str),
    /// Any number of values.
    Rest(&'static str),
    /// This very word.
    Literal(&'static str),
}

/// A flag of a verb: name, whether it takes a value, help.
pub(crate) type Flag = (&'static str, Takes, &'static str);

/// Whether a flag takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Value,
    Nothing,
}

/// What a verb does; [`crate::run`] has one arm per variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    List,
    Count,
    Indexes,
    Show,
    Exists,
    Etag,
    Create,
    Update,
    Patch,
    Destroy,
    Wait,
    MetaShow,
    MetaGet,
    MetaSet,
    MetaAdd,
    MetaRemove,
    Params,
    ParamGet,
    ParamSet,
    ParamAdd,
    ParamRemove,
    Actions,
    Action,
    RunAction,
    /// Set these fields to the words that follow the id.
    SetFields(&'static [&'static str]),
    /// Let jobs run, or not.
    SetRunnable(bool),
    /// One DHCP option of a subnet.
    OptionGet,
    OptionSet,
    AddToList(&'static str),
    RemoveFromList(&'static str),
    InsertTask,
    AddTasks,
    Trace,
    CurrentLog,
    DeleteJobs,
    Whoami,
    InspectJobs,
    InspectTasks,
    JobsCreate,
    JobsPurge,
    JobsCurrent,
    JobsState,
    JobActions,
    JobLog,
    Token,
    Password,
    PasswordHash,
    MachineToken,
    BlobList,
    BlobUpload,
    BlobDownload,
    BlobDestroy,
    BlobExists,
    PoolsActive,
    PoolStatus,
    /// The command of the API, such as `addMachines`.
    PoolMove(&'static str),
    ReleaseToPool,
    PrefsList,
    PrefsSet,
    InfoGet,
    InfoCheck,
    InfoStatus,
    EventsPost,
    EventsWatch,
    LogsGet,
    LogsWatch,
    ObjectsList,
    ContentList,
    ContentShow,
    ContentUpload,
    ContentUpdate,
    ContentDestroy,
    ContentExists,
    ContentBundle,
    ContentUnbundle,
    ContentDocument,
    ContentBundlize,
    ContentConvert,
    TemplateUpload,
    Raw,
}

/// One verb.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) words: &'static [Word],
    pub(crate) flags: &'static [Flag],
    pub(crate) act: Do,
    pub(crate) doc: &'static str,
}

pub(crate) const fn verb(
    name: &'static str,
    words: &'static [Word],
    flags: &'static [Flag],
    act: Do,
    doc: &'static str,
) -> Verb {
    Verb { name, words, flags, act, doc }
}

use Word::{Literal, Needed, Optional, Rest};

const ID: Word = Needed("id");
const SLIM: Flag = ("slim", Takes::Value, "Leave out Params, Meta or both (comma list)");
const NAMED: Flag = ("params", Takes::Value, "Show only these parameters (comma list)");
const DECODE: Flag = ("decode", Takes::Nothing, "Open secure parameters");
const LIMIT: Flag = ("limit", Takes::Value, "Show at most so many");
const OFFSET: Flag = ("offset", Takes::Value, "Leave out so many first");
const AGGREGATE: Flag = ("aggregate", Takes::Nothing, "Look also where the value is inherited from");
const COMPOSE: Flag = ("compose", Takes::Nothing, "Merge maps and lists of all levels");
const ORIGIN: Flag =
    ("origin", Takes::Nothing, "Show each value of a machine with where it was set, and what it hides");

const READ: &[Flag] = &[SLIM, NAMED, DECODE];
const PAGED: &[Flag] = &[LIMIT, OFFSET, SLIM, NAMED, DECODE];
const LONG: &[Flag] = &[
    ("wait", Takes::Value, "Wait so long for a change (duration)"),
    ("etag", Takes::Value, "A change from this tag, as `etag` prints it"),
];
const PARAM: &[Flag] = &[AGGREGATE, COMPOSE, DECODE, NAMED];
const PARAMS_SHOWN: &[Flag] = &[AGGREGATE, COMPOSE, DECODE, NAMED, ORIGIN];

/// Verbs of every kind that can be read; which others a kind has is decided by its row in the list of kinds.
#[rustfmt::skip]
static READING: &[Verb] = &[
    verb("list", &[Rest("filters")], PAGED, Do::List, "List objects; filters are `Field=value`, `Field=Gt(value)`, `sort=Field`, `reverse=true`"),
    verb("count", &[Rest("filters")], &[], Do::Count, "Count objects"),
    verb("indexes", &[], &[], Do::Indexes, "Show what lists can be filtered and sorted by"),
    verb("show", &[ID], READ, Do::Show, "Show one object, by key or `Index:value`"),
    verb("exists", &[ID], LONG, Do::Exists, "Exit with 0 if the object exists, else with 1"),
    verb("etag", &[ID], &[], Do::Etag, "Show the tag that changes with the object"),
];
#[rustfmt::skip]
static WRITING: &[Verb] = &[
    verb("update", &[ID, Needed("json")], &[], Do::Update, "Merge fields into an object; refused if it changes meanwhile"),
    verb("patch", &[ID, Needed("patch")], &[], Do::Patch, "Apply a JSON Patch"),
    verb("wait", &[ID, Needed("field"), Needed("value"), Optional("timeout")], &[], Do::Wait, "Wait until a field has a value; prints complete, timeout or interrupt, and exits with 0 in each case, as drpcli does"),
];
const CREATE: Verb = verb(
    "create",
    &[Needed("json")],
    &[],
    Do::Create,
    "Create an object; a word that is no JSON is its name",
);
const DESTROY: Verb = verb("destroy", &[ID], &[], Do::Destroy, "Delete an object");
#[rustfmt::skip]
static PARAMS: &[Verb] = &[
    verb("params", &[ID, Optional("json")], PARAMS_SHOWN, Do::Params, "Show all parameters, or replace them all"),
    verb("get", &[ID, Literal("param"), Needed("key")], PARAM, Do::ParamGet, "Show a parameter"),
    verb("set", &[ID, Literal("param"), Needed("key"), Literal("to"), Needed("json")], &[], Do::ParamSet, "Set a parameter"),
    verb("add", &[ID, Literal("param"), Needed("key"), Literal("to"), Needed("json")], &[], Do::ParamAdd, "Set a parameter that is not there yet"),
    verb("remove", &[ID, Literal("param"), Needed("key")], &[], Do::ParamRemove, "Remove a parameter"),
];
#[rustfmt::skip]
static ACTIONS: &[Verb] = &[
    verb("actions", &[ID], &[("plugin", Takes::Value, "Of this plugin only")], Do::Actions, "Show the actions that plugins offer"),
    verb("action", &[ID, Needed("command")], &[("plugin", Takes::Value, "Of this plugin only")], Do::Action, "Show one action"),
    verb("runaction", &[ID, Needed("command"), Rest("arguments")], &[("plugin", Takes::Value, "Of this plugin only")], Do::RunAction, "Run an action with JSON or with key value pairs"),
];
#[rustfmt::skip]
static META: &[Verb] = &[
    verb("get", &[ID, Needed("key")], &[], Do::MetaGet, "Show one Meta value"),
    verb("set", &[ID, Literal("key"), Needed("key"), Literal("to"), Needed("value")], &[], Do::MetaSet, "Set a Meta value"),
    verb("add", &[ID, Literal("key"), Needed("key"), Literal("val"), Needed("value")], &[], Do::MetaAdd, "Set a Meta value that is not there yet"),
    verb("remove", &[ID, Literal("key"), Needed("key")], &[], Do::MetaRemove, "Remove a Meta value"),
];

/// The verbs of a kind.
pub(crate) fn of_kind(kind: Kind) -> impl Iterator<Item = &'static Verb> {
    let spec = kind.spec();
    let take = |wanted: bool, verbs: &'static [Verb]| if wanted { verbs } else { &[] };
    take(spec.verbs.read, READING)
        .iter()
        .chain(take(spec.verbs.create, std::slice::from_ref(&CREATE)))
        .chain(take(spec.verbs.update || kind == Kind::Lease, WRITING))
        .chain(take(spec.verbs.delete, std::slice::from_ref(&DESTROY)))
        .chain(take(spec.params, PARAMS))
        .chain(take(WITH_ACTIONS.contains(&spec.prefix), ACTIONS))
        .chain(crate::special::verbs(spec.prefix))
}

/// The verbs below `meta`.
pub(crate) fn meta() -> &'static [Verb] {
    META
}

/// The command of a kind.
pub(crate) fn noun(kind: Kind) -> Command {
    let spec = kind.spec();
    let command = Command::new(spec.prefix)
        .about(first_sentence(spec.shape.doc))
        .after_help(SEE)
        .subcommand_required(true)
        .arg_required_else_help(true);
    let command = of_kind(kind).fold(command, |command, verb| {
        let takes_fields = matches!(verb.act, Do::Create | Do::Update | Do::Patch);
        let row = verb.command(spec.prefix);
        command.subcommand(match verb.act {
            Do::List if !spec.order.is_empty() => {
                row.about(format!("{}; in the order of {}, oldest first", verb.doc, spec.order))
            }
            _ if takes_fields => row.after_help(fields(spec.shape)),
            _ => row,
        })
    });
    let command = if spec.verbs.update { command.subcommand(meta_command(spec.prefix)) } else { command };
    crate::special::groups(kind, command)
}

/// What a list of commands says about one of them.
fn first_sentence(doc: &str) -> String {
    let line = doc.trim().lines().next().unwrap_or_default();
    line.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn meta_command(noun: &str) -> Command {
    let command =
        Command::new("meta").about("Show or change the Meta map").args_conflicts_with_subcommands(true);
    let command = command.arg(Arg::new("id").required(true).help(word_help("id")));
    let under = format!("{noun} meta");
    META.iter().fold(command, |command, verb| command.subcommand(verb.command(&under)))
}

/// The fields of a kind, for the foot of its help.
fn fields(shape: &shape::Shape) -> String {
    let lines = shape.fields.iter().filter(|field| field.role != shape::Role::Derived).map(|field| {
        let doc = field.doc.trim().lines().next().unwrap_or_default();
        format!("  {:<20} {doc}", field.name)
    });
    format!("Fields:\n{}\n\n{SEE}", lines.collect::<Vec<_>>().join("\n"))
}

/// What the words of the rows stand for.
const WORDS: &[(&str, &str)] = &[
    ("id", "Its key, or `Index:value`, such as `Name:rack7-u3`"),
    ("key", "Its name"),
    ("field", "The name of a field, as `show` prints it"),
    ("value", "The value, as text"),
    ("json", "JSON or YAML: the text itself, a file, a URL, or - for standard input"),
    ("patch", "A JSON Patch (RFC 6902): the text itself, a file, a URL, or - for standard input"),
    (
        "filters",
        "`Field=value`, `Field=Gt(value)` or the three words `Field Gt value`; tests are Eq Ne Lt Lte Gt Gte Re Between Except In Nin",
    ),
    ("timeout", "How long to wait: seconds, or a duration such as 10m; a day when not given"),
    ("file", "A file, or - for standard input"),
    (
        "filter",
        "`type.action.key`; * stands for anything, a comma separates alternatives; a type alone, such as machines, means all its events",
    ),
];

fn word_help(name: &str) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help)
}

/// The name in a word of the form `--name` or `--name=value`.
fn option_name(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--")?.split('=').next()?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    (name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.chars().all(plain)).then_some(name)
}

impl Word {
    /// The word in a line of usage.
    fn usage(self) -> String {
        match self {
            Needed(name) => format!("<{name}>"),
            Literal(word) => word.to_owned(),
            Optional(name) => format!("[{name}]"),
            Rest(name) => format!("[{name}]..."),
        }
    }
}

impl Verb {
    /// Refuses a word that looks like a mistyped option; text such as `-5` or `--- quiet` is none.
    fn no_option(&self) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
        let flags = self.flags;
        move |word: &str| {
            let Some(name) = option_name(word) else { return Ok(word.to_owned()) };
            let globals = crate::session::flags();
            let known = flags.iter().map(|(flag, ..)| *flag);
            let known = known.chain(globals.iter().filter_map(Arg::get_long));
            let meant = gantry_pack::similar(name, known).map(|meant| format!("; did you mean `--{meant}`?"));
            let quoted = format!("; a text that begins so is written '\"{word}\"' where JSON is wanted");
            Err(format!("there is no option `--{name}` here{}", meant.unwrap_or(quoted)))
        }
    }

    /// The row as a command below `under`, the words before it.
    pub(crate) fn command(&self, under: &str) -> Command {
        let words: String = self.words.iter().map(|word| format!(" {}", word.usage())).collect();
        let options = if self.flags.is_empty() { "" } else { " [OPTIONS]" };
        let command = Command::new(self.name)
            .about(self.doc)
            .after_help(SEE)
            .override_usage(format!("gantry {under} {}{options}{words}", self.name));
        let command = self.words.iter().enumerate().fold(command, |command, (index, word)| {
            let arg = Arg::new(format!("w{index}")).index(index + 1).allow_hyphen_values(true);
            let arg = match word {
                Needed(_) | Optional(_) => arg.value_parser(self.no_option()),
                Literal(_) | Rest(_) => arg,
            };
            command.arg(match word {
                Needed(name) => arg.required(true).value_name(*name).help(word_help(name)),
                Literal(word) => arg
                    .required(true)
                    .value_name(*word)
                    .value_parser([*word])
                    .hide_possible_values(true)
                    .hide(true),
                Optional(name) => arg.value_name(*name).help(word_help(name)),
                Rest(name) => {
                    arg.num_args(0..).value_name(*name).allow_hyphen_values(false).help(word_help(name))
                }
            })
        });
        self.flags.iter().fold(command, |command, (name, takes, help)| {
            let arg = Arg::new(*name).long(*name).help(*help);
            command.arg(match takes {
                Takes::Value => arg.num_args(1),
                Takes::Nothing => arg.action(ArgAction::SetTrue),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_look_like_options_are_told_from_text() {
        for (word, name) in [
            ("--orign", Some("orign")),
            ("--dry-run=yes", Some("dry-run")),
            ("--- quiet", None),
            ("---", None),
            ("--", None),
            ("-5", None),
            ("-", None),
            ("--a word", None),
            ("x", None),
        ] {
            assert_eq!(option_name(word), name, "{word}");
        }
    }
}
