//! One entry of a machine's task list, parsed.
//!
//! On the wire a task list is a list of strings, some with a prefix that makes them markers (reference: engine.md §4.1,
//! api.md §11.1). They are split here and nowhere else; everything behind this border matches on [`TaskEntry`].

use std::fmt;

/// What one entry of a task list asks for. Borrows the text that it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEntry<'a> {
    /// Run this task through the agent.
    Task(&'a str),
    /// The machine enters this stage.
    Stage(&'a str),
    /// The machine changes to this boot environment.
    BootEnv(&'a str),
    /// The runner of this context goes on; empty means the machine's own agent.
    Context(&'a str),
    /// The server calls a plugin.
    Action {
        /// The plugin to ask; `None` lets any plugin that offers the command answer.
        plugin: Option<&'a str>,
        /// The command, as the plugin announces it.
        command: &'a str,
    },
    /// The agent changes its root to this directory.
    Chroot(&'a str),
}

impl<'a> TaskEntry<'a> {
    /// Parses one entry. `None` when it is empty, or has a colon but no known form (`frob:x`, `stage:`, `action:a:b:c`).
    pub fn parse(text: &'a str) -> Option<Self> {
        let Some((prefix, rest)) = text.split_once(':') else {
            return (!text.is_empty()).then_some(TaskEntry::Task(text));
        };
        match (prefix, rest) {
            ("context", context) => Some(TaskEntry::Context(context)),
            (_, "") => None,
            ("stage", stage) => Some(TaskEntry::Stage(stage)),
            ("bootenv", env) => Some(TaskEntry::BootEnv(env)),
            ("chroot", directory) => Some(TaskEntry::Chroot(directory)),
            ("action", call) => Self::parse_action(call),
            _ => None,
        }
    }

    fn parse_action(call: &'a str) -> Option<Self> {
        match call.split_once(':') {
            None => Some(TaskEntry::Action { plugin: None, command: call }),
            Some((plugin, command))
                if !plugin.is_empty() && !command.is_empty() && !command.contains(':') =>
            {
                Some(TaskEntry::Action { plugin: Some(plugin), command })
            }
            Some(_) => None,
        }
    }

    /// Whether `text` opens a stage. Unparsable entries do not.
    pub fn is_stage(text: &str) -> bool {
        matches!(TaskEntry::parse(text), Some(TaskEntry::Stage(_)))
    }
}

impl fmt::Display for TaskEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskEntry::Task(task) => write!(f, "{task}"),
            TaskEntry::Stage(stage) => write!(f, "stage:{stage}"),
            TaskEntry::BootEnv(env) => write!(f, "bootenv:{env}"),
            TaskEntry::Context(context) => write!(f, "context:{context}"),
            TaskEntry::Action { plugin: None, command } => write!(f, "action:{command}"),
            TaskEntry::Action { plugin: Some(plugin), command } => write!(f, "action:{plugin}:{command}"),
            TaskEntry::Chroot(directory) => write!(f, "chroot:{directory}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_survives_a_round_trip() {
        let forms = [
            "task1",
            "stage:s",
            "bootenv:b-install",
            "context:",
            "context:runner",
            "action:on",
            "action:ipmi:on",
            "chroot:/mnt",
        ];
        for text in forms {
            let entry = TaskEntry::parse(text).unwrap_or_else(|| panic!("{text} does not parse"));
            assert_eq!(entry.to_string(), text);
        }
    }

    #[test]
    fn malformed_entries_are_refused() {
        for text in [
            "",
            "frob:x",
            "stage:",
            "bootenv:",
            "action:",
            "action:a:b:c",
            "action::b",
            "action:a:",
            "chroot:",
        ] {
            assert_eq!(TaskEntry::parse(text), None, "{text}");
        }
    }
}
