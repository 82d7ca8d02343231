//! The table of verbs.

use super::verbs as v;
use super::{Line, Output};
use crate::http::Client;

/// What a verb is given.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The server.
    pub client: &'a Client,
    /// The whole command line.
    pub line: &'a Line,
    /// Kind of object, as in the URL.
    pub kind: &'a str,
    /// The words that stand at the places of the pattern's capital words.
    pub words: &'a [&'a str],
}

impl<'a> Call<'a> {
    /// The n-th captured word.
    pub fn word(&self, n: usize) -> &'a str {
        self.words.get(n).copied().unwrap_or_default()
    }

    /// `kind/key`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.kind, self.word(0))
    }
}

/// One verb: on which kind (`*` for all), its words (capital ones are taken, `…` takes the rest), its
/// function.
pub type Row = (&'static str, &'static str, fn(Call<'_>) -> Result<Output, String>);

/// All verbs; the first row that fits counts.
pub const VERBS: &[Row] = &[
    ("info", "get", |c| v::get(c.client, "info")),
    ("gohai", "", |_| v::gohai()),
    ("fingerprint", "", |_| v::fingerprint()),
    ("version", "", |_| Ok(Output::Text(format!("{}\n", env!("CARGO_PKG_VERSION"))))),
    ("events", "post EVENT", v::post_event),
    ("files", "list …", v::list_files),
    ("files", "download NAME to PLACE", v::download),
    ("files", "upload PLACE as NAME", v::upload),
    ("files", "destroy NAME", v::destroy),
    ("jobs", "log ID", v::job_log),
    ("jobs", "log ID TEXT", v::append_log),
    ("jobs", "actions ID", |c| v::get(c.client, &format!("{}/actions?os=linux", c.path()))),
    ("machines", "workflow ID VALUE", |c| v::set_field(c, "Workflow")),
    ("machines", "stage ID VALUE", |c| v::set_field(c, "Stage")),
    ("machines", "bootenv ID VALUE", |c| v::set_field(c, "BootEnv")),
    ("machines", "run ID", |c| v::set_runnable(c, true)),
    ("machines", "pause ID", |c| v::set_runnable(c, false)),
    ("machines", "tasks add ID at OFFSET …", v::add_tasks),
    ("machines", "tasks add ID …", v::add_tasks),
    ("machines", "addtask ID …", v::add_tasks),
    ("machines", "tasks del ID …", v::remove_tasks),
    ("machines", "removetask ID …", v::remove_tasks),
    ("machines", "jobs current ID", v::current_job),
    ("machines", "currentlog ID", v::current_log),
    ("*", "list …", v::list),
    ("*", "show ID", |c| v::get(c.client, &format!("{}{}", c.path(), c.line.query()))),
    ("*", "exists ID", v::exists),
    ("*", "create OBJECT", v::create),
    ("*", "update ID OBJECT", v::update),
    ("*", "patch ID OPERATIONS", v::patch),
    ("*", "destroy ID", v::destroy),
    ("*", "wait ID FIELD VALUE", v::wait),
    ("*", "wait ID FIELD VALUE SECONDS", v::wait),
    ("*", "params ID", |c| v::get(c.client, &format!("{}/params{}", c.path(), c.line.query()))),
    ("*", "params ID OBJECT", v::replace_params),
    ("*", "get ID param NAME", v::get_param),
    ("*", "set ID param NAME to VALUE", v::set_param),
    ("*", "add ID param NAME to VALUE", v::add_param),
    ("*", "remove ID param NAME", v::remove_param),
    ("*", "addprofile ID …", v::add_profiles),
    ("*", "removeprofile ID …", v::remove_profiles),
    ("*", "meta get ID NAME", v::get_meta),
    ("*", "meta set ID key NAME to VALUE", v::set_meta),
    ("*", "actions ID", |c| v::get(c.client, &format!("{}/actions", c.path()))),
    ("*", "runaction ID NAME …", v::run_action),
];

/// Finds the verb and runs it.
pub fn dispatch(client: &Client, line: &Line) -> Result<Output, String> {
    let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
    let (kind, rest) = words.split_first().ok_or_else(usage)?;
    for (wanted, pattern, verb) in VERBS.iter().filter(|row| row.0 == *kind || row.0 == "*") {
        let _ = wanted;
        if let Some(taken) = fits(pattern, rest) {
            return verb(Call { client, line, kind, words: &taken });
        }
    }
    Err(format!("no such command: {}\n{}", words.join(" "), usage()))
}

/// The captured words when the pattern fits.
fn fits<'a>(pattern: &str, words: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut taken = Vec::new();
    let mut rest = words;
    for part in pattern.split_whitespace() {
        if part == "…" {
            taken.extend_from_slice(rest);
            return Some(taken);
        }
        let (word, tail) = rest.split_first()?;
        if part.starts_with(|c: char| c.is_ascii_uppercase()) {
            taken.push(*word);
        } else if part != *word {
            return None;
        }
        rest = tail;
    }
    rest.is_empty().then_some(taken)
}

fn usage() -> String {
    let rows = VERBS.iter().map(|(kind, pattern, _)| {
        let kind = if *kind == "*" { "KIND" } else { kind };
        format!("  drpcli {kind} {pattern}")
    });
    format!("usage:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<(&'static str, Vec<String>)> {
        let words: Vec<&str> = text.split(' ').collect();
        let (kind, rest) = words.split_first()?;
        VERBS.iter().filter(|row| row.0 == *kind || row.0 == "*").find_map(|row| {
            let taken = fits(row.1, rest)?;
            Some((row.1, taken.into_iter().map(str::to_owned).collect()))
        })
    }

    #[test]
    fn verbs_of_public_content() {
        let rows = [
            ("machines get u-1 param net/x", "get ID param NAME", "u-1 net/x"),
            ("machines set u-1 param net/x to -", "set ID param NAME to VALUE", "u-1 net/x -"),
            ("machines tasks add u-1 at 0 a b", "tasks add ID at OFFSET …", "u-1 0 a b"),
            ("machines tasks add u-1 a", "tasks add ID …", "u-1 a"),
            (
                "machines wait u-1 WorkflowComplete true 60",
                "wait ID FIELD VALUE SECONDS",
                "u-1 WorkflowComplete true 60",
            ),
            ("profiles show p", "show ID", "p"),
            ("jobs log j text", "log ID TEXT", "j text"),
            ("machines list Name=x", "list …", "Name=x"),
            ("machines meta set u key a to b", "meta set ID key NAME to VALUE", "u a b"),
        ];
        for (text, pattern, taken) in rows {
            let (found, words) = find(text).unwrap_or_else(|| panic!("{text}: no verb"));
            assert_eq!((found, words.join(" ").as_str()), (pattern, taken), "{text}");
        }
        assert_eq!(find("machines get u"), None);
        assert_eq!(find("profiles workflow p x"), None);
    }
}
