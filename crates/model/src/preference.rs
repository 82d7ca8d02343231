//! The server's preferences: names, defaults and what each may be (API §18).

use crate::{Kind, View};

/// One preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its value while nobody set one. The two secrets have none: the server makes them at first start.
    pub default: &'static str,
    /// What it may be.
    pub rule: Rule,
    /// What it is for.
    pub doc: &'static str,
}

/// What the value of a preference may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A boot environment that machines may use.
    BootEnv,
    /// A boot environment for unknown machines.
    UnknownBootEnv,
    /// A stage.
    Stage,
    /// A workflow or nothing.
    Workflow,
    /// A whole number.
    Integer,
    /// A log level.
    Level,
    /// 32 bytes.
    Secret,
    /// `true` or `false`.
    Flag,
    /// Anything.
    Text,
}

const fn row(name: &'static str, default: &'static str, rule: Rule, doc: &'static str) -> Row {
    Row { name, default, rule, doc }
}

/// Every preference, by name.
pub const ROWS: &[Row] = &[
    row("baseTokenSecret", "", Rule::Secret, "The key that tokens are made with."),
    row("completeJobsPurgedAfter", "", Rule::Text, "How long finished jobs are kept; nothing keeps them."),
    row("debugBootEnv", "warn", Rule::Level, "The log level of boot environments."),
    row("debugDhcp", "warn", Rule::Level, "The log level of DHCP."),
    row("debugFrontend", "warn", Rule::Level, "The log level of the API."),
    row("debugPlugins", "warn", Rule::Level, "The log level of plugins."),
    row("debugRenderer", "warn", Rule::Level, "The log level of template rendering."),
    row("defaultBootEnv", "local", Rule::BootEnv, "The boot environment of new machines."),
    row("defaultStage", "none", Rule::Stage, "The stage of new machines."),
    row("defaultWorkflow", "", Rule::Workflow, "The workflow of new machines; nothing for none."),
    row("failedJobsPurgedAfter", "", Rule::Text, "How long failed jobs are kept; nothing keeps them."),
    row("jobsToKeep", "", Rule::Text, "How many jobs of each machine are kept."),
    row(
        "knownTokenTimeout",
        "3600",
        Rule::Integer,
        "How long the token of a known machine holds, in seconds.",
    ),
    row("logLevel", "warn", Rule::Level, "The log level of everything else."),
    row("manager", "false", Rule::Flag, "Whether this server manages others."),
    row(
        "systemGrantorSecret",
        "",
        Rule::Text,
        "The part of tokens that invalidates them all when it changes.",
    ),
    row(
        "unknownBootEnv",
        "ignore",
        Rule::UnknownBootEnv,
        "The boot environment of machines that nobody knows.",
    ),
    row(
        "unknownTokenTimeout",
        "600",
        Rule::Integer,
        "How long the token of an unknown machine holds, in seconds.",
    ),
];

/// The row of that name.
#[must_use]
pub fn row_of(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// The value while nobody set one; empty for an unknown name.
#[must_use]
pub fn default(name: &str) -> &'static str {
    row_of(name).map_or("", |row| row.default)
}

const LEVELS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "panic", "fatal"];

/// The form in which a value is stored: the old numbers for log levels become words.
#[must_use]
pub fn normal(name: &str, value: &str) -> String {
    let is_level = row_of(name).is_some_and(|row| row.rule == Rule::Level);
    match value {
        "0" if is_level => "warn".to_owned(),
        "1" if is_level => "info".to_owned(),
        "2" if is_level => "debug".to_owned(),
        value => value.to_owned(),
    }
}

/// Judges a value.
///
/// # Errors
/// The text of API §18.
pub fn check(view: &View, name: &str, value: &str) -> Result<(), String> {
    let Some(row) = row_of(name) else { return Err(format!("Unknown Preference {name}")) };
    let exists = |kind: Kind, what: &str| match view.record(kind, value) {
        Some(_) => Ok(()),
        None => Err(format!("{name}: {what} {value} does not exist")),
    };
    let only_unknown = || view.object::<crate::BootEnv>(value).is_some_and(|env| env.only_unknown);
    match row.rule {
        Rule::BootEnv => {
            exists(Kind::BootEnv, "Bootenv")?;
            if only_unknown() {
                Err(format!("BootEnv {value} cannot be used for the {name}"))
            } else {
                Ok(())
            }
        }
        Rule::UnknownBootEnv => {
            exists(Kind::BootEnv, "Bootenv")?;
            if only_unknown() {
                Ok(())
            } else {
                Err(format!("BootEnv {value} cannot be used for the {name}"))
            }
        }
        Rule::Stage => exists(Kind::Stage, "Stage"),
        Rule::Workflow if value.is_empty() => Ok(()),
        Rule::Workflow => exists(Kind::Workflow, "Workflow"),
        Rule::Integer => match value.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{name}: strconv.Atoi: parsing {value:?}: invalid syntax")),
        },
        Rule::Level if LEVELS.contains(&value) => Ok(()),
        Rule::Level => Err(format!("Invalid log value {value} for {name},  Ignoring change")),
        Rule::Secret if value.len() == 32 => Ok(()),
        Rule::Secret => Err(format!("{name}: Must be 32 bytes long")),
        Rule::Flag if matches!(value, "true" | "false") => Ok(()),
        Rule::Flag => Err(format!("{name}: must be true or false, not {value}")),
        Rule::Text => Ok(()),
    }
}
