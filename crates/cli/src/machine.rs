//! Verbs of machines, their jobs and their boot traces; lists of profiles and tasks also of other kinds.

use gantry_client::Error as ClientError;
use gantry_model::Kind;
use gantry_model::shape::Type;
use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::run::Typed;
use crate::verb::Do;
use crate::{Error, input, merge, output};

type Answer = Result<Option<Value>, Error>;

/// How long one call for news of a trace waits on the server.
const NEWS: &str = "30s";

/// Merges fields into the object; refused if it changes meanwhile.
pub(crate) async fn change(typed: &Typed<'_>, change: &Value) -> Answer {
    let from = typed.get(&typed.path(), &[]).await?;
    let patch = merge::patch(&from, change);
    Ok(Some(typed.send(Method::PATCH, &typed.path(), Some(&patch)).await?))
}

/// Sets fields to the words after the id, each read as what the field is.
pub(crate) async fn set_fields(typed: &Typed<'_>, fields: &[&str]) -> Answer {
    let shape = Kind::from_prefix(&typed.noun).map(|kind| kind.spec().shape);
    let mut values = Map::new();
    for (index, name) in fields.iter().enumerate() {
        let ty = shape.and_then(|shape| shape.field(name)).map_or(&Type::Text, |field| field.ty);
        values.insert((*name).to_owned(), field_value(name, ty, typed.word(index + 1))?);
    }
    change(typed, &values.into()).await
}

fn field_value(name: &str, ty: &Type, word: &str) -> Result<Value, Error> {
    match ty {
        Type::Int => {
            let wrong = |_| Error::Usage(format!("{name} is `{word}`; it must be a whole number"));
            Ok(word.parse::<i64>().map_err(wrong)?.into())
        }
        Type::List(_) => Ok(word.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
        _ => Ok(word.into()),
    }
}

pub(crate) fn list(object: &Value, field: &str) -> Vec<Value> {
    object.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Names may come as several words or as comma lists.
fn names<'a>(typed: &Typed<'a>) -> Vec<&'a str> {
    typed.rest().iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty()).collect()
}

pub(crate) async fn add_to_list(typed: &Typed<'_>, field: &str) -> Answer {
    let from = typed.get(&typed.path(), &[]).await?;
    let mut to = list(&from, field);
    to.extend(names(typed).into_iter().map(Value::from));
    replace_list(typed, field, &from, to).await
}

pub(crate) async fn remove_from_list(typed: &Typed<'_>, field: &str) -> Answer {
    let from = typed.get(&typed.path(), &[]).await?;
    let gone = names(typed);
    let mut to = list(&from, field);
    to.retain(|name| !name.as_str().is_some_and(|name| gone.contains(&name)));
    replace_list(typed, field, &from, to).await
}

/// `tasks add <id> [at <offset>] <task>...`
pub(crate) async fn add_tasks(typed: &Typed<'_>) -> Answer {
    let (offset, tasks) = match typed.rest() {
        ["at", offset, tasks @ ..] => {
            let wrong = |_| Error::Usage(format!("the offset is `{offset}`; it must be a number from 0 on"));
            (Some(offset.parse::<usize>().map_err(wrong)?), tasks)
        }
        tasks => (None, tasks),
    };
    if tasks.is_empty() {
        return Err(Error::Usage("say which tasks: `tasks add ID [at OFFSET] TASK...`".into()));
    }
    let from = typed.get(&typed.path(), &[]).await?;
    let mut to = list(&from, "Tasks");
    let at = place(&to, from.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1), offset);
    to.splice(at..at, tasks.iter().map(|task| Value::from(*task)));
    replace_list(typed, "Tasks", &from, to).await
}

/// Where tasks are added: so many after the present one, at most at the end of its stage, which is also where they go without
/// an offset.
fn place(tasks: &[Value], present: i64, offset: Option<usize>) -> usize {
    let next = usize::try_from(present.saturating_add(1)).unwrap_or(0).min(tasks.len());
    let is_stage = |task: &Value| task.as_str().is_some_and(|task| task.starts_with("stage:"));
    let end = tasks[next..].iter().position(is_stage).map_or(tasks.len(), |left| next + left);
    offset.map_or(end, |offset| next.saturating_add(offset).min(end))
}

pub(crate) async fn insert_task(typed: &Typed<'_>) -> Answer {
    let from = typed.get(&typed.path(), &[]).await?;
    let text = typed.optional(2).unwrap_or("0");
    let offset: i64 =
        text.parse().map_err(|_| Error::Usage(format!("the offset is `{text}`; it must be a number")))?;
    let mut to = list(&from, "Tasks");
    let present = from.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1);
    let at = usize::try_from(present + 1 + offset).unwrap_or(0).min(to.len());
    to.insert(at, typed.word(1).into());
    replace_list(typed, "Tasks", &from, to).await
}

pub(crate) async fn replace_list(typed: &Typed<'_>, field: &str, from: &Value, to: Vec<Value>) -> Answer {
    let path = format!("/{field}");
    let patch = json!([
        { "op": "test", "path": path, "value": from.get(field) },
        { "op": "replace", "path": path, "value": to },
    ]);
    Ok(Some(typed.send(Method::PATCH, &typed.path(), Some(&patch)).await?))
}

pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

async fn current_job(typed: &Typed<'_>) -> Result<String, Error> {
    let machine = typed.get(&typed.path(), &[]).await?;
    match text(&machine, "CurrentJob") {
        "" => Err(Error::Usage(format!("machine {} has no job", typed.word(0)))),
        job => Ok(job.to_owned()),
    }
}

pub(crate) async fn current_log(typed: &Typed<'_>) -> Answer {
    print_log(typed, &current_job(typed).await?).await
}

async fn print_log(typed: &Typed<'_>, job: &str) -> Answer {
    let client = &typed.session.client;
    let mut reply = client.send(client.request(Method::GET, &format!("/jobs/{job}/log"), &[])).await?;
    let broken =
        |error: reqwest::Error| ClientError::Unreachable { url: job.to_owned(), reason: error.to_string() };
    while let Some(piece) = reply.chunk().await.map_err(broken)? {
        crate::blob::write_out(&piece);
    }
    Ok(None)
}

pub(crate) async fn job_log(typed: &Typed<'_>) -> Answer {
    let Some(words) = typed.optional(1) else { return print_log(typed, typed.word(0)).await };
    let body = input::text(words).await?;
    let client = &typed.session.client;
    let request = client.request(Method::PUT, &format!("{}/log", typed.path()), &[]);
    client.send(request.header(CONTENT_TYPE, "application/octet-stream").body(body)).await?;
    Ok(None)
}

pub(crate) async fn jobs(act: Do, typed: &Typed<'_>) -> Answer {
    let machine = typed.get(&typed.path(), &[]).await?;
    if act == Do::JobsCreate {
        let body = json!({ "Machine": text(&machine, "Uuid"), "Context": text(&machine, "Context") });
        return Ok(Some(typed.send(Method::POST, "/jobs", Some(&body)).await?));
    }
    let path = format!("/jobs/{}", current_job(typed).await?);
    let job = typed.get(&path, &[]).await?;
    if act == Do::JobsCurrent {
        return Ok(Some(job));
    }
    let patch = merge::patch(&job, &json!({ "State": typed.word(1) }));
    Ok(Some(typed.send(Method::PATCH, &path, Some(&patch)).await?))
}

pub(crate) async fn delete_jobs(typed: &Typed<'_>) -> Answer {
    let machine = typed.get(&typed.path(), &[]).await?;
    let jobs = typed.get("/jobs", &[("Machine", text(&machine, "Uuid"))]).await?;
    for job in jobs.as_array().into_iter().flatten() {
        typed.send(Method::DELETE, &format!("/jobs/{}", text(job, "Uuid")), None).await?;
    }
    let count = jobs.as_array().map_or(0, Vec::len);
    output::print(&format!("Deleted {count} jobs of machine {}", typed.word(0)));
    Ok(None)
}

/// The flags are drpcli's, the query's names those of the preferences.
pub(crate) async fn purge_jobs(typed: &Typed<'_>) -> Answer {
    let named = [
        ("machine", "machine"),
        ("jobs-to-keep", "jobsToKeep"),
        ("failed-after", "failedJobsPurgedAfter"),
        ("complete-after", "completeJobsPurgedAfter"),
    ];
    let mut query: Vec<(&str, &str)> =
        named.iter().filter_map(|(flag, name)| Some((*name, typed.flag(flag)?))).collect();
    if typed.switch("dry-run") {
        query.push(("dryrun", "true"));
    }
    Ok(Some(typed.session.client.call(Method::DELETE, "/jobs", &query, None).await?))
}

pub(crate) async fn whoami(typed: &Typed<'_>) -> Answer {
    let body = match typed.optional(0) {
        Some(json) => input::value(json).await?,
        None => json!({}),
    };
    Ok(Some(typed.send(Method::POST, "/whoami", Some(&body)).await?))
}

/// Prints the trace as lines, or as it came when a format is asked for.
pub(crate) async fn trace(typed: &Typed<'_>) -> Answer {
    let path = format!("{}/trace", typed.path());
    let boot: Vec<(&str, &str)> = typed.flag("boot").map(|boot| ("boot", boot)).into_iter().collect();
    let mut entries = typed.get(&path, &boot).await?;
    if typed.flag("format").is_some() && !typed.switch("follow") {
        return Ok(Some(entries));
    }
    let mut lines = Lines::default();
    if entries.as_array().is_some_and(Vec::is_empty) {
        let nothing = nothing(typed);
        match typed.switch("follow") {
            true => output::say(&format!("{nothing}; waiting")),
            false => return Err(Error::Usage(nothing)),
        }
    }
    loop {
        for entry in entries.as_array().into_iter().flatten() {
            output::print(&lines.line(entry));
        }
        if !typed.switch("follow") {
            return Ok(None);
        }
        let since = lines.seq.to_string();
        entries = typed.get(&path, &[("since", &since), ("wait", NEWS)]).await?;
    }
}

/// What an empty trace means.
fn nothing(typed: &Typed<'_>) -> String {
    let boot = typed.flag("boot").filter(|boot| *boot != "all").map(|boot| format!(" {boot} boots ago"));
    format!(
        "nothing has been heard of {}{}: no DHCP packet, no file, no agent",
        typed.word(0),
        boot.unwrap_or_default()
    )
}

/// Writes trace entries one by one: seconds since the first of the boot, what, and the pause before it.
#[derive(Debug, Default)]
struct Lines {
    seq: u64,
    boot: Option<u64>,
    first: f64,
    last: f64,
}

impl Lines {
    fn line(&mut self, entry: &Value) -> String {
        let number = |field: &str| entry.get(field).and_then(Value::as_u64).unwrap_or_default();
        self.seq = self.seq.max(number("Seq"));
        let at = seconds(text(entry, "Time"));
        let mut head = String::new();
        if self.boot != Some(number("Boot")) {
            self.boot = Some(number("Boot"));
            (self.first, self.last) = (at, at);
            head = format!("boot {} at {}\n", number("Boot"), text(entry, "Time"));
        }
        let pause = at - std::mem::replace(&mut self.last, at);
        let line = format!(
            "{:>9.3}  {pause:>+8.3}  {:<8} {}",
            at - self.first,
            text(entry, "Kind"),
            text(entry, "Text")
        );
        let data = |name: &str| entry.get("Data").and_then(|data| data.get(name));
        let lost = data("Lost").map(|lost| format!("  ({lost} entries lost before this one)"));
        let times = data("Times").map(|times| {
            let last = data("Last").and_then(Value::as_str).unwrap_or_default();
            format!("  ({times} times, the last at {last})")
        });
        head + &line + &times.unwrap_or_default() + &lost.unwrap_or_default()
    }
}

/// Seconds since 1970 of an RFC 3339 text; 0 for what is none.
fn seconds(text: &str) -> f64 {
    let Ok(time) = gantry_model::Time::parse(text) else { return 0.0 };
    time.since(gantry_model::Time::from_unix(0)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_what_the_field_is() {
        let fields = Kind::Subnet.spec().shape;
        let read = |name: &str, word: &str| field_value(name, fields.field(name).unwrap().ty, word);
        assert_eq!(read("ActiveLeaseTime", "60").unwrap(), json!(60));
        assert_eq!(read("Pickers", "none, nextFree").unwrap(), json!(["none", "nextFree"]));
        assert_eq!(read("NextServer", "192.0.2.1").unwrap(), json!("192.0.2.1"));
        let error = read("ActiveLeaseTime", "an hour").unwrap_err().to_string();
        assert_eq!(error, "ActiveLeaseTime is `an hour`; it must be a whole number");
    }

    #[test]
    fn tasks_are_added_within_the_present_stage() {
        let tasks: Vec<Value> = ["stage:a", "one", "two", "stage:b", "three"].map(Value::from).to_vec();
        for (present, offset, at) in [
            (-1, None, 0),
            (0, None, 3),
            (1, None, 3),
            (1, Some(0), 2),
            (1, Some(1), 3),
            (1, Some(9), 3),
            (2, Some(0), 3),
            (3, None, 5),
            (4, None, 5),
            (99, Some(7), 5),
            (i64::MAX, None, 5),
        ] {
            assert_eq!(place(&tasks, present, offset), at, "{present} {offset:?}");
        }
    }

    #[test]
    fn a_trace_counts_from_the_first_entry_of_each_boot() {
        let mut lines = Lines::default();
        let mut line = |boot: u64, time: &str, words: &str| {
            lines.line(&json!({ "Seq": 1, "Boot": boot, "Time": time, "Kind": "dhcp", "Text": words }))
        };
        let first = line(1, "2026-01-01T00:00:00Z", "DISCOVER");
        assert_eq!(first, "boot 1 at 2026-01-01T00:00:00Z\n    0.000    +0.000  dhcp     DISCOVER");
        assert_eq!(line(1, "2026-01-01T00:00:01.5Z", "REQUEST"), "    1.500    +1.500  dhcp     REQUEST");
        assert!(line(2, "2026-01-01T01:00:00Z", "DISCOVER").starts_with("boot 2 at"));
        let data = json!({ "Times": 9, "Last": "2026-01-02T00:00:00Z" });
        let folded = lines.line(
            &json!({ "Seq": 2, "Boot": 2, "Time": "2026-01-01T01:00:00Z", "Text": "ACK", "Data": data }),
        );
        assert!(folded.ends_with(" ACK  (9 times, the last at 2026-01-02T00:00:00Z)"), "{folded}");
    }
}
