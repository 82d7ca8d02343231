//! Profiles and tasks: lists inside a machine.

use super::{Call, Result, ask, explain, patch_op, pointer};
use crate::drpcli::Output;
use crate::http::Fault;
use serde_json::{Value, json};

/// From the whole object and a list in it to the new list.
type Edit<'a> = dyn Fn(&Value, Vec<String>) -> Result<Vec<String>> + 'a;

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|all| all.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        .unwrap_or_default()
}

/// Changes a list field, guarded by a test of its old value; repeats when somebody else was faster.
fn edit_list(c: &Call<'_>, field: &str, edit: &Edit<'_>) -> Result {
    for _ in 0..5 {
        let object = ask(c.client, "GET", &c.path(), None)?;
        let old = texts(object.get(field).unwrap_or(&Value::Null));
        let new = edit(&object, old.clone())?;
        if new == old {
            return Ok(Output::Json(object));
        }
        let path = pointer(field);
        let patch = json!([patch_op("test", &path, json!(old)), patch_op("replace", &path, json!(new))]);
        match c.client.json("PATCH", &format!("{}{}", c.path(), c.line.query()), Some(&patch)) {
            Err(Fault::Refused(refusal)) if refusal.code == 409 => {}
            other => return other.map(|answer| Output::Json(answer.body)).map_err(explain),
        }
    }
    Err(format!("{}: changed by somebody else again and again", c.path()))
}

pub(in crate::drpcli) fn add_profiles(c: Call<'_>) -> Result {
    edit_list(&c, "Profiles", &|_, mut list| {
        for name in c.words.iter().skip(1) {
            if !list.iter().any(|known| known == name) {
                list.push((*name).to_owned());
            }
        }
        Ok(list)
    })
}

pub(in crate::drpcli) fn remove_profiles(c: Call<'_>) -> Result {
    edit_list(&c, "Profiles", &|_, mut list| {
        list.retain(|known| !c.words[1..].contains(&known.as_str()));
        Ok(list)
    })
}

/// The tasks that may be changed: behind the running one, up to the next stage (engine.md §4.6).
fn present(machine: &Value, tasks: &[String]) -> std::ops::Range<usize> {
    let current = machine.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1);
    let start = usize::try_from(current + 1).unwrap_or(0).min(tasks.len());
    let length = tasks[start..].iter().position(|task| task.starts_with("stage:"));
    start..length.map_or(tasks.len(), |length| start + length)
}

pub(in crate::drpcli) fn add_tasks(c: Call<'_>) -> Result {
    let with_offset = c.line.words.get(4).is_some_and(|word| word == "at");
    let (offset, names) = if with_offset {
        let offset: i64 = c.word(1).parse().map_err(|_| format!("offset {}: want a number", c.word(1)))?;
        (Some(offset), c.words.get(2..).unwrap_or_default())
    } else {
        (None, c.words.get(1..).unwrap_or_default())
    };
    edit_list(&c, "Tasks", &|machine, mut tasks| {
        let present = present(machine, &tasks);
        let at = match offset {
            None => present.end,
            Some(n) if n >= 0 => present.start + (n as usize).min(present.len()),
            Some(n) => present.end - (n.unsigned_abs() as usize).min(present.len()),
        };
        let there = tasks.get(at..at + names.len()).is_some_and(|slice| slice == names);
        if !there {
            tasks.splice(at..at, names.iter().map(|name| (*name).to_owned()));
        }
        Ok(tasks)
    })
}

/// Removes, in order, the first match of each name.
pub(in crate::drpcli) fn remove_tasks(c: Call<'_>) -> Result {
    edit_list(&c, "Tasks", &|machine, mut tasks| {
        let mut range = present(machine, &tasks);
        for name in c.words.iter().skip(1) {
            if let Some(found) = tasks[range.clone()].iter().position(|task| task == name) {
                tasks.remove(range.start + found);
                range = range.start + found..range.end - 1;
            }
        }
        Ok(tasks)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_part_of_a_task_list() {
        let tasks: Vec<String> = ["stage:a", "x", "y", "stage:b", "z"].map(str::to_owned).to_vec();
        assert_eq!(present(&json!({"CurrentTask": 1}), &tasks), 2..3);
        assert_eq!(present(&json!({"CurrentTask": 4}), &tasks), 5..5);
        assert_eq!(present(&json!({"CurrentTask": 9}), &tasks), 5..5);
    }
}
