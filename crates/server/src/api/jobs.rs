//! Jobs: asking for the next one, reporting on one, its files and scripts (reference: api.md §11).
//!
//! What happens next is decided by `gantry_workflow`; this file carries its answer out: objects into the store, texts into
//! the job's log, notes into the boot trace.

use gantry_api::Error;
use gantry_api::claim::Wanted;
use gantry_api::refusal::Target;
use gantry_model::patch::Patch;
use gantry_model::{Job, Kind, Machine, Record, Time, Tx, Uuid, View, params};
use gantry_workflow::job::{self, Controls};
use gantry_workflow::next::{self, Answer as Next, Outcome, Reason, Refused, Request};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::answer::{self, Answer};
use super::edit::Written;
use super::{Ask, body, joblog};
use crate::auth::Token;
use crate::clock;

/// The longest life of a job's token. It ends with its job, and jobs may take their time.
const JOB_TOKEN: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What the commit of `POST /jobs` is called.
pub(super) const ASKED: &str = "jobs.create";

/// `POST /jobs`
pub(super) async fn create(mut ask: Ask) -> Answer {
    let given = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let malformed = |text: String| Error::malformed("POST", text);
    let given = gantry_model::decode::object(Kind::Job, given).map_err(malformed)?;
    let text = |field: &str| given.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (machine, job, context) = (text("Machine"), text("Uuid"), text("Context"));
    if machine.is_empty() {
        return Err(malformed("Machine is missing; it must be the UUID of a machine".into()));
    }
    let wanted = Wanted::new("jobs", "create", &*machine);
    if !ask.caller.may(&wanted) {
        return Err(Error::forbidden(&ask.path, &wanted));
    }
    let (view, outcome) = loop {
        let (machine, job, context) = (machine.clone(), job.clone(), context.clone());
        let work = move |tx: &mut Tx| ask_for_work(tx, &machine, &job, &context);
        let written = ask.write(ASKED, Target::Object, work).await?;
        let outcome = written.value.map_err(|refused| refuse(&refused))?;
        match outcome.answer {
            Next::Nothing(Reason::Later(time)) => pause(&ask, time).await?,
            _ => break (written.view, outcome),
        }
    };
    append_logs(&ask, outcome.logs).await?;
    let machine = outcome.machine.as_ref();
    if let Some(left) = &outcome.left {
        let text = format!("job for {} is failed: the task list has left it behind", left.task);
        ask.api.note_machine(&view, &left.machine.to_string(), Some(ask.remote()), "job", text);
    }
    note_answer(&ask, &view, &outcome.answer, machine);
    match &outcome.answer {
        Next::Created(job) => show(&ask, &view, job, StatusCode::CREATED),
        Next::Again(job) => show(&ask, &view, job, StatusCode::ACCEPTED),
        Next::Invoke(job) => invoke(&ask, job).await,
        Next::Nothing(Reason::Unusable(reason)) => Err(Error::new(409, "Conflict", reason.clone())),
        Next::Nothing(_) => Ok(answer::nothing()),
    }
}

/// The pause before another attempt: the answer waits for it, for an agent that was told "nothing" would not ask again. Who
/// hangs up meanwhile asks anew, and waits for what is left.
async fn pause(ask: &Ask, until: Time) -> Result<(), Error> {
    let left = Duration::try_from(until.since(clock::now())).unwrap_or_default();
    tokio::select! {
        () = tokio::time::sleep(left) => Ok(()),
        () = ask.api.stop.cancelled() => Err(Error::unavailable(ask.method, "the server is stopping")),
    }
}

/// Runs the engine on the draft and saves what it says: all of it, or nothing when the engine refuses or what it made breaks
/// a rule of its kind.
fn ask_for_work(
    tx: &mut Tx,
    machine: &str,
    job: &str,
    context: &str,
) -> Result<Result<Outcome, Refused>, gantry_model::Error> {
    let stop_at = stop_at(tx.view(), machine);
    let request = Request {
        machine,
        job: Uuid::parse(job).ok().filter(|job| !job.is_nil()),
        context,
        stop_at: &stop_at,
    };
    let outcome = match next::job(tx.view(), request, tx.now()) {
        Ok(outcome) => outcome,
        Err(refused) => return Ok(Err(refused)),
    };
    outcome.jobs.iter().try_for_each(|job| tx.save(job).map(drop))?;
    outcome.machine.iter().try_for_each(|machine| tx.save(machine).map(drop))?;
    Ok(Ok(outcome))
}

fn refuse(refused: &Refused) -> Error {
    let text = refused.to_string();
    match refused {
        Refused::NoSuchMachine(_) => Error::new(422, "ValidationError", text),
        Refused::NotRunnable(_) | Refused::Busy(_) | Refused::Taken(_) => Error::new(409, "Conflict", text),
        Refused::Malformed { .. } => Error::new(500, "POST", text),
    }
}

/// Actions of plugins: none runs, so the job fails and says so in its log (reference: api.md §11.5, step 6).
async fn invoke(ask: &Ask, invoked: &Job) -> Answer {
    let key = invoked.uuid.to_string();
    let command = invoked.task.rsplit(':').next().unwrap_or_default().to_owned();
    let text = format!(
        "Action {command} validation failed:\nGET: machines/{}: Action {command} on machines: Not Found\n",
        invoked.machine
    );
    append_logs(ask, vec![(invoked.uuid, text)]).await?;
    let failed = ask.write("jobs.fail", Target::Object, move |tx| {
        let Some(before) = tx.view().object::<Job>(&key) else { return Ok(()) };
        let mut after = (*before).clone();
        after.state = "failed".into();
        after.end_time = tx.now().time();
        tx.save(&after)?;
        if let Some(machine) = tx.view().object::<Machine>(&before.machine.to_string()) {
            let mut machine = (*machine).clone();
            machine.runnable = false;
            tx.save(&machine)?;
        }
        Ok(())
    });
    failed.await?;
    Ok(answer::nothing())
}

fn show(ask: &Ask, view: &View, job: &Job, status: StatusCode) -> Answer {
    let mut text = String::new();
    match view.record(Kind::Job, &job.uuid.to_string()) {
        Some(record) => match elevated(ask, view, record) {
            Some(shown) => text = shown.to_string(),
            None => record.write_json(&mut text),
        },
        // Somebody deleted it in the meantime; the agent gets what was made.
        None => text = serde_json::to_string(job).map_err(|error| Error::internal("POST", error))?,
    }
    Ok(answer::text(status, text.into_bytes()))
}

/// A job with rights of its own, as its machine's agent sees it: with a token that has them, until the job ends.
pub(super) fn elevated(ask: &Ask, view: &View, record: &Record) -> Option<Value> {
    if record.kind() != Kind::Job {
        return None;
    }
    let job = record.typed::<Job>();
    let machine = job.machine.to_string();
    if job.extra_claims.is_empty() || ask.caller.machine() != Some(&machine) {
        return None;
    }
    let token = Token::for_job(&machine, record.key().as_str(), clock::now(), JOB_TOKEN).issue(view)?;
    let mut shown = record.wire_value();
    shown.as_object_mut()?.insert("Token".into(), token.into());
    Some(shown)
}

async fn append_logs(ask: &Ask, logs: Vec<(Uuid, String)>) -> Result<(), Error> {
    if logs.is_empty() {
        return Ok(());
    }
    let core = ask.api.clone();
    super::blocking(move || {
        logs.iter().for_each(|(job, text)| joblog::write(&core, &job.to_string(), text));
    })
    .await
}

/// `PATCH /jobs/<k>`
pub(super) async fn patch(ask: &Ask, key: String, patch: Patch) -> Result<Written<Arc<Record>>, Error> {
    report(ask, key, move |tx, key| tx.patched_job(key, &patch)).await
}

/// `PUT /jobs/<k>`
pub(super) async fn replace(ask: &Ask, key: String, value: Value) -> Result<Written<Arc<Record>>, Error> {
    report(ask, key, move |tx, key| tx.replaced_job(key, value.clone())).await
}

/// A report changes the job, and through the engine perhaps its machine, in one transaction.
async fn report(
    ask: &Ask,
    key: String,
    reported: impl Fn(&Tx, &str) -> Result<Job, gantry_model::Error> + Send + Sync + 'static,
) -> Result<Written<Arc<Record>>, Error> {
    let written = ask.write("update", Target::Object, move |tx| {
        let record = tx.get(Kind::Job, &key)?;
        let before = record.typed::<Job>();
        let mut after = reported(tx, &key)?;
        let view = tx.view();
        let settled = job::changed(view, &before, &mut after, || controls(view, &before), tx.now());
        let machine = settled.map_err(|messages| gantry_model::Error::Invalid {
            kind: Kind::Job,
            key: record.key().clone(),
            messages,
        })?;
        let news = (&before.state, &before.exit_state) != (&after.state, &after.exit_state);
        let record = tx.save(&after)?;
        if let Some(machine) = machine {
            tx.save(&machine)?;
        }
        Ok((record, news))
    });
    let Written { value: (record, news), view } = written.await?;
    if news {
        note_report(ask, &view, &record.typed::<Job>());
    }
    Ok(Written { value: record, view })
}

/// `GET /jobs/<k>/actions`
pub(super) async fn actions(ask: Ask) -> Answer {
    let key = joblog::job(&ask)?;
    let os = ask.query.get("os").unwrap_or_default().to_owned();
    let core = ask.api.clone();
    let view = ask.view.clone();
    let client = ask.peer;
    let rendered = super::blocking(move || crate::render::job_actions(&core, &view, &key, &os, client));
    answer::ok(&rendered.await??)
}

/// A parameter of a machine, from wherever it is set.
fn param(view: &View, machine: &str, name: &str) -> Option<Value> {
    let machine = view.object::<Machine>(machine)?;
    params::lookup(view, &params::layers(view, &machine), name).map(|(value, _)| value)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Tasks before which the machine is to stop.
fn stop_at(view: &View, machine: &str) -> Vec<String> {
    match param(view, machine, "task-stop-at") {
        Some(Value::String(task)) => vec![task],
        other => texts(other.as_ref()),
    }
}

/// What happens after the job's task failed (reference: engine.md §4.11).
fn controls(view: &View, job: &Job) -> Controls {
    let machine = job.machine.to_string();
    let of_task = |name: &str| {
        let by_task = param(view, &machine, name)?;
        by_task.as_object().and_then(|map: &Map<String, Value>| map.get(&job.task).cloned())
    };
    Controls {
        retries: of_task("task-retry")
            .and_then(|value| value.as_array().map_or(value.as_i64(), |l| i64::try_from(l.len()).ok()))
            .unwrap_or_default(),
        handlers: texts(of_task("task-error-handlers").as_ref()),
        single_step: param(view, &machine, "task-single-step")
            .is_some_and(|value| value == Value::Bool(true)),
    }
}

fn note_answer(ask: &Ask, view: &View, answer: &Next, machine: Option<&Machine>) {
    let text = match answer {
        Next::Created(job) => format!("job for {} handed out", job.task),
        Next::Again(job) => format!("job for {} continues", job.task),
        Next::Invoke(job) => format!("action {}", job.task),
        Next::Nothing(reason) => match machine {
            Some(machine) => words(reason, machine),
            None => return,
        },
    };
    let uuid = match (answer, machine) {
        (Next::Created(job) | Next::Again(job) | Next::Invoke(job), _) => job.machine,
        (Next::Nothing(_), Some(machine)) => machine.uuid,
        (Next::Nothing(_), None) => Uuid::default(),
    };
    ask.api.note_machine(view, &uuid.to_string(), Some(ask.remote()), "job", text);
}

/// Why there is no job.
fn words(reason: &Reason, machine: &Machine) -> String {
    let place = format!("stage {}, bootenv {}", machine.stage, machine.boot_env);
    match reason {
        Reason::Exhausted => format!("no task left: {place}"),
        Reason::OtherContext => format!("the runner of context {} is next", machine.context),
        Reason::Marker => format!("the task list goes on: {place}"),
        Reason::Later(time) => format!("another attempt after {time}"),
        Reason::StoppedAt(task) => {
            format!("stopped before {task}: task-stop-at names it, and it stops there as long as it does")
        }
        Reason::Unusable(reason) => format!("stopped: {reason}"),
    }
}

fn note_report(ask: &Ask, view: &View, job: &Job) {
    let exit = if job.exit_state.is_empty() { String::new() } else { format!(" ({})", job.exit_state) };
    let follows = after_failure(view, job).unwrap_or_default();
    let text = format!("job for {} is {}{exit}{follows}", job.task, job.state);
    ask.api.note_machine(view, &job.machine.to_string(), Some(ask.remote()), "job", text);
}

/// How the machine goes on after its task failed.
fn after_failure(view: &View, job: &Job) -> Option<String> {
    let machine = view.object::<Machine>(&job.machine.to_string())?;
    if job.state != "failed" || machine.current_job != job.uuid {
        return None;
    }
    Some(match machine.retry_task_attempt {
        _ if !machine.runnable => "; the machine is not runnable".to_owned(),
        _ if !machine.task_error_stacks.is_empty() => "; its error handlers follow".to_owned(),
        0 => return None,
        attempt => format!("; attempt {} follows after {} s", attempt + 1, next::pause(attempt)),
    })
}
