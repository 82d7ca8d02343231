//! Pools of machines: who is in them, and moves (reference: api.md §10.21). What a move does is decided by `gantry_workflow::pool`.
//!
//! All machines of a request move in one transaction or none does. Machines that the caller may not change are not chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gantry_api::claim::Wanted;
use gantry_api::refusal::Target;
use gantry_api::{Error, duration, lenient};
use gantry_model::filter::Query as Filter;
use gantry_model::parts::PoolAction;
use gantry_model::{Error as Refused, Kind, Machine, Tx, View};
use gantry_workflow::pool::{self, Expected, Move, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::{Ask, body};
use crate::auth::Subject;

/// The longest that a caller may wait for the end of a move.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// So many reasons why machines cannot move are told.
const REASONS: usize = 10;

/// One machine in an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    uuid: String,
    allocated: bool,
    status: String,
}

impl Member {
    fn of(machine: &Machine) -> Self {
        Self {
            name: machine.name.clone(),
            uuid: machine.uuid.to_string(),
            allocated: machine.pool_allocated,
            status: machine.pool_status.clone(),
        }
    }
}

/// `GET /pools-active`
pub(super) async fn active(ask: Ask) -> Answer {
    let view = ask.view.clone();
    let names =
        move || view.objects::<Machine>().map(|machine| machine.pool.clone()).collect::<BTreeSet<_>>();
    answer::ok(&super::blocking(names).await?)
}

/// `GET /pools/<id>/status`
pub(super) fn status(ask: &Ask) -> Answer {
    let id = ask.route.key.as_str();
    let mut by_status: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for key in ask.view.find(Kind::Machine, "Pool", id) {
        let Some(machine) = ask.view.object::<Machine>(key.as_str()) else { continue };
        if ask.may_see(Kind::Machine, key.as_str()) {
            by_status.entry(machine.pool_status.clone()).or_default().push(Member::of(&machine));
        }
    }
    if by_status.is_empty() && id != pool::DEFAULT && ask.view.record(Kind::Pool, id).is_none() {
        return Err(Error::not_found(ask.method, "pools", id));
    }
    answer::ok(&by_status)
}

/// What a request to move machines may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    #[serde(rename = "pool/filter")]
    filter: Option<Vec<String>>,
    #[serde(rename = "pool/machine-list")]
    machines: Option<Vec<String>>,
    #[serde(rename = "pool/count")]
    count: Option<usize>,
    #[serde(rename = "pool/minimum")]
    minimum: Option<usize>,
    #[serde(rename = "pool/all-machines")]
    all: Option<bool>,
    #[serde(rename = "pool/wait-timeout")]
    wait: Option<Value>,
    #[serde(rename = "pool/workflow")]
    workflow: Option<String>,
    #[serde(rename = "pool/add-profiles")]
    add_profiles: Option<Vec<String>>,
    #[serde(rename = "pool/remove-profiles")]
    remove_profiles: Option<Vec<String>>,
    #[serde(rename = "pool/add-parameters")]
    add_parameters: Option<Map<String, Value>>,
    #[serde(rename = "pool/remove-parameters")]
    remove_parameters: Option<Vec<String>>,
}

impl Wish {
    async fn read(ask: &mut Ask) -> Result<Self, Error> {
        let value = body::json(ask.take_body(), &ask.headers, body::JSON_LIMIT, json!({})).await?;
        lenient::from_value(value).map_err(|error| Error::malformed("POST", error.to_string()))
    }

    fn actions(&self) -> PoolAction {
        PoolAction {
            workflow: self.workflow.clone().unwrap_or_default(),
            add_profiles: self.add_profiles.clone().unwrap_or_default(),
            remove_profiles: self.remove_profiles.clone().unwrap_or_default(),
            add_parameters: self.add_parameters.clone().unwrap_or_default(),
            remove_parameters: self.remove_parameters.clone().unwrap_or_default(),
        }
    }

    fn named(&self) -> &[String] {
        self.machines.as_deref().unwrap_or_default()
    }

    /// How many machines at most, and at least.
    fn bounds(&self) -> Option<(usize, usize)> {
        let count = self.count.filter(|count| *count > 0);
        let minimum = self.minimum.filter(|minimum| *minimum > 0);
        let most = match (count, self.named().len()) {
            _ if self.all == Some(true) => return Some((usize::MAX, minimum.unwrap_or(0))),
            (Some(count), _) => count,
            (None, 0) => return None,
            (None, named) => named,
        };
        Some((most, minimum.unwrap_or(most)))
    }

    fn wait(&self) -> Result<Duration, Error> {
        let text = match &self.wait {
            None | Some(Value::Null) => return Ok(Duration::ZERO),
            Some(Value::String(text)) if text.is_empty() => return Ok(Duration::ZERO),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let wait = duration::parse(&text).map_err(|text| Error::malformed("POST", text))?;
        Ok(wait.min(LONGEST_WAIT))
    }
}

/// `POST /pools/<id>/addMachines` and its like.
pub(super) async fn moved(mut ask: Ask, moved: Move) -> Answer {
    let wish = Wish::read(&mut ask).await?;
    let id = ask.route.key.clone();
    let from = match (moved, ask.query.get("source-pool").filter(|source| !source.is_empty())) {
        (Move::Add, Some(source)) => source.to_owned(),
        (Move::Add, None) => pool::parent(&ask.view, &id),
        _ => id.clone(),
    };
    let keys = candidates(&ask, &wish, &from)?;
    run(&ask, moved, &id, from, keys, &wish).await
}

/// `POST /machines/<k>/releaseToPool`
pub(super) async fn release(mut ask: Ask) -> Answer {
    let wish = Wish { machines: Some(vec![ask.route.key.clone()]), ..Wish::read(&mut ask).await? };
    let key = ask.view.lookup(Kind::Machine, &ask.route.key);
    let machine = key.and_then(|key| ask.view.object::<Machine>(key.as_str()));
    let machine = machine.ok_or_else(|| Error::not_found(ask.method, "machines", &ask.route.key))?;
    let (id, keys) = (machine.pool.clone(), vec![machine.uuid.to_string()]);
    may_give(&ask, &wish.actions(), &keys[0])?;
    run(&ask, Move::Release, &id, id.clone(), keys, &wish).await
}

/// Whoever releases a machine with its own right for that may change it besides only with the rights for the changes.
fn may_give(ask: &Ask, given: &PoolAction, key: &str) -> Result<(), Error> {
    let profiles = !given.add_profiles.is_empty() || !given.remove_profiles.is_empty();
    let params = !given.add_parameters.is_empty() || !given.remove_parameters.is_empty();
    let wanted = [
        (profiles, "update:/Profiles"),
        (params, "update:/Params"),
        (!given.workflow.is_empty(), "update:/Workflow"),
    ];
    for (_, action) in wanted.iter().filter(|(wanted, _)| *wanted) {
        let wanted = Wanted::new("machines", *action, key);
        if !ask.caller.may(&wanted) {
            return Err(Error::forbidden(&ask.path, &wanted));
        }
    }
    Ok(())
}

/// The machines that may be meant, in order and once each.
fn candidates(ask: &Ask, wish: &Wish, from: &str) -> Result<Vec<String>, Error> {
    if !wish.named().is_empty() {
        let find = |name: &String| {
            let key = ask.view.lookup(Kind::Machine, name);
            key.map(|key| key.as_str().to_owned())
                .ok_or_else(|| Error::not_found(ask.method, "machines", name))
        };
        let mut known = BTreeSet::new();
        let keys: Result<Vec<String>, Error> = wish.named().iter().map(find).collect();
        // One machine may be named twice: by its name and by its UUID.
        return keys.map(|keys| keys.into_iter().filter(|key| known.insert(key.clone())).collect());
    }
    let mut pairs = vec![("Pool", format!("Eq({from})"))];
    for filter in wish.filter.as_deref().unwrap_or_default() {
        let wrong = || Error::malformed("POST", format!("`{filter}` is no filter; write Field=Eq(value)"));
        let (name, value) = filter.split_once('=').ok_or_else(wrong)?;
        pairs.push((name, value.to_owned()));
    }
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    let query =
        Filter::parse(&ask.view, Kind::Machine, pairs).map_err(|error| ask.refuse(error, Target::Object))?;
    Ok(query.run_all(&ask.view).records.iter().map(|record| record.key().as_str().to_owned()).collect())
}

async fn run(ask: &Ask, moved: Move, id: &str, from: String, keys: Vec<String>, wish: &Wish) -> Answer {
    let say = "say which machines: pool/machine-list, pool/count or pool/all-machines";
    let (most, least) = wish.bounds().ok_or_else(|| Error::malformed("POST", say).about("pools", id))?;
    let (wait, given) = (wish.wait()?, wish.actions());
    let may = |key: &String| {
        let change = ["update:/Pool", "update:/Profiles", "update:/Params", "update:/Workflow"];
        let own = ask.route.kind == "machines";
        own || change.iter().all(|action| ask.caller.may(&Wanted::new("machines", *action, &**key)))
    };
    let keys: Vec<String> = keys.into_iter().filter(may).collect();
    let status = if ask.query.flag("force") { Status::Ignored } else { Status::Checked };
    let locks = matches!(ask.caller.subject, Subject::User(_));
    let pool = id.to_owned();
    let written = ask.write("update", Target::Object, move |tx| {
        let expected = Expected { from: &from, status, locks };
        let chosen = choose(tx.view(), &keys, moved, &pool, expected, (most, least))?;
        chosen.iter().try_for_each(|machine| start(tx, machine, moved, &pool, &given))?;
        Ok(chosen.iter().map(|machine| machine.uuid.to_string()).collect::<Vec<_>>())
    });
    let written = written.await?;
    for key in &written.value {
        ask.api.changed(&ask.view, &written.view, Kind::Machine, key);
    }
    let view = settled(ask, written.view, &written.value, wait).await;
    let machines = written.value.iter().filter_map(|key| view.object::<Machine>(key));
    answer::ok(&machines.map(|machine| Member::of(&machine)).collect::<Vec<_>>())
}

/// The first machines that can move; enough of them, or none.
fn choose(
    view: &View,
    keys: &[String],
    moved: Move,
    pool: &str,
    expected: Expected<'_>,
    (most, least): (usize, usize),
) -> Result<Vec<Arc<Machine>>, Refused> {
    let (mut chosen, mut reasons) = (Vec::new(), Vec::new());
    for machine in keys.iter().filter_map(|key| view.object::<Machine>(key)) {
        if chosen.len() >= most {
            break;
        }
        match pool::refusal(&machine, moved, expected) {
            None => chosen.push(machine),
            Some(reason) => reasons.push(reason),
        }
    }
    if chosen.len() >= least {
        return Ok(chosen);
    }
    let (verb, from) = (moved.verb(), expected.from);
    let (can, more) = (chosen.len(), reasons.len().saturating_sub(REASONS));
    let mut messages =
        vec![format!("{can} machines of pool {from} can be {verb}, {least} are needed: nothing was changed")];
    messages.extend(reasons.into_iter().take(REASONS));
    if more > 0 {
        messages.push(format!("and {more} more"));
    }
    Err(Refused::Conflict { kind: Kind::Pool, key: pool.to_owned(), messages })
}

/// Stores the machine as the move begins. A workflow without a task is complete at once, and so is the move.
fn start(tx: &mut Tx, machine: &Machine, moved: Move, pool: &str, given: &PoolAction) -> Result<(), Refused> {
    let key = machine.uuid.to_string();
    for step in pool::begin(tx.view(), machine, moved, pool, given) {
        put(tx, &key, &step)?;
    }
    let stored = tx.get(Kind::Machine, &key)?.typed::<Machine>();
    if stored.workflow_complete && pool::is_moving(&stored) {
        let mut ended = (*stored).clone();
        pool::done(tx.view(), &mut ended);
        put(tx, &key, &ended)?;
    }
    Ok(())
}

fn put(tx: &mut Tx, key: &str, machine: &Machine) -> Result<(), Refused> {
    let malformed =
        |error: serde_json::Error| Refused::Malformed { kind: Kind::Machine, message: error.to_string() };
    let value = serde_json::to_value(machine).map_err(malformed)?;
    tx.put(Kind::Machine, key, value).map(drop)
}

/// Waits until no machine of the request is on its way any more; returns the View at the end.
async fn settled(ask: &Ask, view: Arc<View>, keys: &[String], wait: Duration) -> Arc<View> {
    let deadline = tokio::time::Instant::now() + wait;
    let mut view = view;
    let moving = |view: &View, key: &String| view.object::<Machine>(key).is_some_and(|m| pool::is_moving(&m));
    while keys.iter().any(|key| moving(&view, key)) {
        let changed = ask.api.changed_after(view.revision());
        let woken = tokio::select! {
            woken = tokio::time::timeout_at(deadline, changed) => woken.is_ok(),
            () = ask.api.stop.cancelled() => false,
        };
        if !woken {
            break;
        }
        view = ask.api.state.view();
    }
    view
}
