//! What a change would change: rendered files before and after, as counts and as diffs.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_boot::Renderer;
use gantry_boot::memo::{Memo, Outcome};
use gantry_boot::survey::{Render, Scripts, Target};
use gantry_model::{Kind, Machine, Record, View};
use serde_json::{Value, json};

use super::{Limits, Report, each};
use crate::counted;

/// What a change would change.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// What would be rendered afterwards, and what would fail.
    pub after: Report,
    /// Files and scripts that would come out otherwise, appear or vanish, over all machines.
    pub changed: usize,
    /// Machines that this concerns.
    pub machines: usize,
    /// Some of the changes, the same diff once.
    pub changes: Vec<FileChange>,
    /// Different changes that are not shown.
    pub unlisted: usize,
}

/// A rendered file that would come out otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The object and the template of it: `stages/x: y`.
    pub source: String,
    /// The path for the machine named here.
    pub path: String,
    /// One of the machines; empty for unknown machines.
    pub machine: String,
    /// How many machines get the same difference.
    pub machines: usize,
    /// Line by line, `-` before and `+` after.
    pub diff: String,
}

/// What one machine gets: by object, template and place among the cards.
type Files = BTreeMap<(Kind, Arc<str>, String, usize), (Target, Outcome)>;

/// The View as it is and as it would be, each with its compiled templates.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// As it is.
    pub before: (&'a View, &'a Renderer),
    /// As it would be.
    pub after: (&'a View, &'a Renderer),
}

/// Renders what every machine of `after` gets there and in `before`, and compares. What the memo knows is not rendered again,
/// but for what differs.
#[must_use]
pub fn preview(
    sides: Sides<'_>,
    machines: &[Arc<Record>],
    scripts: Scripts,
    limits: Limits,
    memo: &Memo,
) -> Preview {
    let result = Mutex::new((Preview::default(), BTreeMap::new()));
    let one = |key: Option<&str>| {
        let machine = |view: &View| key.and_then(|key| view.object::<Machine>(key));
        let (old, new) = (machine(sides.before.0), machine(sides.after.0));
        let mut known = memo.take(key.unwrap_or_default());
        let mut files = |(view, renderer): (&View, &Renderer), machine: Option<&Arc<Machine>>| -> Files {
            // A machine that is not there gets nothing.
            let targets = match (key, machine) {
                (Some(_), None) => Vec::new(),
                _ => renderer.targets(view, machine, scripts),
            };
            placed(targets.into_iter().map(|target| {
                let outcome = known.outcome(&target, view, memo);
                (target, outcome)
            }))
        };
        let (was, is) = (files(sides.before, old.as_ref()), files(sides.after, new.as_ref()));
        memo.keep(key.unwrap_or_default(), known);
        let mut report = Report { machines: usize::from(key.is_some()), ..Report::default() };
        for (target, outcome) in is.values() {
            report.note(sides.after.0, new.as_deref(), target, outcome, limits);
        }
        let name = new.map(|machine| machine.name.clone()).unwrap_or_default();
        let found = differences(sides, &was, &is, &name, limits, memo);
        let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
        let (preview, seen) = &mut *result;
        preview.after.take_in(report, limits);
        preview.machines += usize::from(!found.is_empty() && key.is_some());
        found.into_iter().for_each(|change| preview.add(change, seen, limits));
    };
    memo.begin();
    one(None);
    each(machines, |record| one(Some(record.key())));
    let (mut preview, _) = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    preview.after.findings.sort();
    preview.changes.sort_by(|a, b| (&a.source, &a.path).cmp(&(&b.source, &b.path)));
    preview
}

fn placed(targets: impl Iterator<Item = (Target, Outcome)>) -> Files {
    let mut files = Files::new();
    for (target, outcome) in targets {
        let key = |place| (target.kind, Arc::clone(&target.object), target.template().to_owned(), place);
        let place = (0..).find(|place| !files.contains_key(&key(*place))).unwrap_or_default();
        files.insert(key(place), (target, outcome));
    }
    files
}

fn differences(
    sides: Sides<'_>,
    was: &Files,
    is: &Files,
    machine: &str,
    limits: Limits,
    memo: &Memo,
) -> Vec<FileChange> {
    let mut changes = Vec::new();
    let keys: std::collections::BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        let (old, new) = (was.get(key), is.get(key));
        let digest = |file: Option<&(Target, Outcome)>| file.map(|(_, outcome)| outcome.digest);
        if digest(old) == digest(new) {
            continue;
        }
        let render = |file: Option<&(Target, Outcome)>, view: &View| {
            let (target, outcome) = file?;
            Some(outcome.render.clone().unwrap_or_else(|| target.render(view, memo.world())))
        };
        let (old, new) = (render(old, sides.before.0), render(new, sides.after.0));
        let (kind, object, template, _) = key;
        let path = new.as_ref().or(old.as_ref()).map(|render| render.path.clone()).unwrap_or_default();
        changes.push(FileChange {
            source: format!("{}/{object}: {template}", kind.prefix()),
            path,
            machine: machine.to_owned(),
            machines: usize::from(!machine.is_empty()),
            diff: shown(old.as_ref(), new.as_ref(), limits.lines),
        });
    }
    changes
}

/// What differs; of a file that no longer renders why, and how much it was, instead of all that it was.
fn shown(old: Option<&Render>, new: Option<&Render>, limit: usize) -> String {
    match (old.map(|old| &old.result), new.map(|new| &new.result)) {
        (Some(Ok(old)), Some(Err(failure))) => {
            let lines = String::from_utf8_lossy(old).lines().count();
            format!("+ !! {}\n  … instead of {}", failure.message, counted(lines, "line"))
        }
        _ => diff(&text(old), &text(new), limit),
    }
}

fn text(file: Option<&Render>) -> String {
    let Some(Render { path, result, .. }) = file else { return String::new() };
    match result {
        Ok(bytes) => format!("# {path}\n{}", String::from_utf8_lossy(bytes)),
        Err(failure) => format!("# {path}\n!! {}\n", failure.message),
    }
}

/// A line diff: what both begin and end with is left out but for its nearest line.
fn diff(old: &str, new: &str, limit: usize) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut lines: Vec<String> = Vec::new();
    lines.extend(head.checked_sub(1).map(|at| format!("  {}", old[at])));
    lines.extend(old[head..old.len() - tail].iter().map(|line| format!("- {line}")));
    lines.extend(new[head..new.len() - tail].iter().map(|line| format!("+ {line}")));
    lines.extend(old.get(old.len() - tail).map(|line| format!("  {line}")));
    let more = lines.len().saturating_sub(limit);
    lines.truncate(limit);
    if more > 0 {
        lines.push(format!("  … and {} more", counted(more, "line")));
    }
    lines.join("\n")
}

impl Preview {
    /// Counts a change, and shows it unless one like it is shown already: machines differ in their names and addresses, so
    /// what counts as alike is the template with the lines that differ.
    fn add(&mut self, change: FileChange, seen: &mut BTreeMap<u64, Option<usize>>, limits: Limits) {
        self.changed += 1;
        let mut hasher = DefaultHasher::new();
        (&change.source, changed_lines(&change.diff)).hash(&mut hasher);
        match seen.get(&hasher.finish()) {
            Some(Some(at)) => self.changes[*at].machines += change.machines,
            Some(None) => {}
            None if self.changes.len() < limits.changes => {
                seen.insert(hasher.finish(), Some(self.changes.len()));
                self.changes.push(change);
            }
            None => {
                // What is remembered stays bounded too.
                if seen.len() < limits.changes.saturating_mul(1000) {
                    seen.insert(hasher.finish(), None);
                }
                self.unlisted += 1;
            }
        }
    }

    /// The preview as the API gives it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let changes = self.changes.iter().map(|change| {
            json!({
                "Source": change.source, "Path": change.path, "Machine": change.machine,
                "Machines": change.machines, "Diff": change.diff,
            })
        });
        let mut value = self.after.to_value();
        value["ChangedFiles"] = self.changed.into();
        value["ChangedMachines"] = self.machines.into();
        value["Changes"] = changes.collect::<Vec<_>>().into();
        value["UnlistedChanges"] = self.unlisted.into();
        value
    }
}

fn changed_lines(diff: &str) -> Vec<&str> {
    diff.lines().filter(|line| line.starts_with(['-', '+']) && !line[1..].starts_with(" # ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_differs_with_its_neighbours() {
        assert_eq!(diff("a\nb\nc\nd\n", "a\nb\nx\nd\n", 9), "  b\n- c\n+ x\n  d");
        assert_eq!(diff("", "a\nb", 9), "+ a\n+ b");
        assert_eq!(diff("a\na\na", "a", 1), "  a\n  … and 2 lines more");
        assert_eq!(diff("1\n2\n3\n4", "5\n6\n7\n8", 3), "- 1\n- 2\n- 3\n  … and 5 lines more");
    }

    #[test]
    fn of_what_no_longer_renders_the_reason_is_shown_and_not_what_it_was() {
        let render = |result| Render {
            kind: Kind::Task,
            object: "t".into(),
            template: "t.sh".into(),
            path: String::new(),
            result,
        };
        let failure = gantry_boot::survey::Failure {
            template: "t".into(),
            line: 1,
            column: 1,
            message: "no".into(),
            param: None,
            origin: None,
        };
        let was = render(Ok(b"1\n2\n3\n".to_vec()));
        let is = render(Err(failure));
        assert_eq!(shown(Some(&was), Some(&is), 9), "+ !! no\n  … instead of 3 lines");
        assert_eq!(shown(Some(&is), Some(&was), 2), "  # \n- !! no\n  … and 3 lines more");
    }
}
