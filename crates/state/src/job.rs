//! Writes on their way: what runs on the head, and what it comes to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gantry_model::{
    self as model, Change, Edit, Kind, Layer, LayerFault, Now, Rules, Stamp, Time, Tx, View, access,
};
use gantry_store::Store;
use tokio::sync::oneshot;

use crate::aside::Aside;
use crate::codec::{self, Changes};
use crate::packs::{self, Manifest, Packed};
use crate::{Audit, Error, Failure};

/// A write that is durable and visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// A View of this revision or later shows the write; for a write without edits, what it has seen.
    pub revision: u64,
}

/// The answer to whoever wrote.
pub(crate) type Answer<T, E> = Result<Committed<T>, Failure<E>>;

/// What jobs need besides the head.
pub(crate) struct Surroundings {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) clock: Box<dyn Fn() -> Now + Send + Sync>,
    /// What could not be read when the store was read.
    pub(crate) aside: Aside,
}

/// A write that may run several times, until it is durable.
pub(crate) trait Job: Send {
    /// Runs on a head. `None`: there is nothing to commit, be it because the write was refused.
    fn run(&mut self, head: &View, around: &Surroundings) -> Result<Option<Effect>, Error>;

    /// Tells whoever wrote. The revision is the one at which everything that the job has seen is visible.
    fn answer(self: Box<Self>, outcome: Result<u64, Error>);
}

/// What a job wants committed, and what comes of it if its revision is the one after the head's.
pub(crate) struct Effect {
    pub(crate) audit: Audit,
    pub(crate) time: Time,
    pub(crate) store: Changes,
    pub(crate) steps: Vec<Step>,
    pub(crate) view: View,
    pub(crate) changes: Vec<Change>,
}

/// A part of a commit, as it changes the View.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Edits(Vec<Edit>),
    PutLayer(Arc<Layer>),
    RemoveLayer(String),
}

impl Step {
    /// Applies what was accepted already, by this server or another. Nothing is judged: between a pack and its replacement,
    /// of which only the latter can still be read, the View need not be sound.
    pub(crate) fn follow(&self, view: &View, revision: u64) -> (View, Vec<Change>) {
        match self {
            Self::Edits(edits) => view.apply(edits, revision),
            Self::PutLayer(layer) => view.follow_layer(Arc::clone(layer), revision),
            Self::RemoveLayer(name) => view.follow_layer_removal(name, revision),
        }
    }
}

/// A closure over a draft.
pub(crate) struct Write<F, T, E> {
    work: F,
    audit: Audit,
    /// Fixed when it first runs.
    now: Option<Now>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Answer<T, E>>,
}

impl<F, T, E> Write<F, T, E>
where
    F: FnMut(&mut Tx) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    pub(crate) fn new(audit: Audit, work: F) -> (Self, oneshot::Receiver<Answer<T, E>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { work, audit, now: None, result: None, answer }, receiver)
    }
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnMut(&mut Tx) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, head: &View, around: &Surroundings) -> Result<Option<Effect>, Error> {
        let now = self.now.get_or_insert_with(&around.clock).clone();
        let time = now.time();
        let mut tx = Tx::new(head.clone(), now).with_rules(Arc::clone(&around.rules));
        // The draft is thrown away after a panic, so nobody sees it half done.
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(&mut tx))).map_err(|_| Error::Panicked)?;
        let refused = result.is_err();
        self.result = Some(result);
        let (view, edits, changes) = tx.into_parts();
        if refused || edits.is_empty() {
            return Ok(None);
        }
        let (view, _) = view.apply(&[], head.revision() + 1);
        let mut store = codec::changes(&edits)?;
        around.aside.keep(&mut store, &*around.store)?;
        let store = codec::guarded(store)?;
        let (audit, steps) = (self.audit.clone(), vec![Step::Edits(edits)]);
        Ok(Some(Effect { audit, time, store, steps, view, changes: merged(changes) }))
    }

    fn answer(self: Box<Self>, outcome: Result<u64, Error>) {
        // The caller may have stopped waiting; the write stands all the same.
        drop(self.answer.send(answer(self.result, outcome)));
    }
}

fn answer<T, E>(result: Option<Result<T, E>>, outcome: Result<u64, Error>) -> Answer<T, E> {
    let revision = outcome?;
    match result {
        Some(Ok(value)) => Ok(Committed { value, revision }),
        Some(Err(error)) => Err(Failure::Refused(error)),
        None => Err(Failure::Failed(Error::Panicked)),
    }
}

/// One change for each object, from what it was before the whole draft to what it is after it.
fn merged(changes: Vec<Change>) -> Vec<Change> {
    if changes.len() < 2 {
        return changes;
    }
    let mut places = std::collections::HashMap::new();
    let mut merged: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        let place = *places.entry((change.kind, change.key.clone())).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(earlier) => earlier.after = change.after,
            None => merged.push(change),
        }
    }
    merged.retain(|change| change.before.is_some() || change.after.is_some());
    merged
}

/// What is written, and what it means for the View.
type Plan = (Changes, Vec<Step>);

/// What a pack's write does to the View.
pub(crate) enum Pack {
    /// Writes keys that the View does not show: a chunk.
    Prepare(Changes),
    /// Makes the layer appear, in the place of the one of the same name. The stamps are those of what the engines' rules have
    /// seen when they judged it.
    Put(Arc<Layer>, Packed, Stamps, Over),
    /// Makes it vanish.
    Remove(String),
}

impl Pack {
    /// The pack that appears or vanishes.
    fn name(&self) -> &str {
        match self {
            Self::Prepare(_) => "",
            Self::Put(layer, ..) => layer.name(),
            Self::Remove(name) => name,
        }
    }
}

/// What becomes of writable objects that a new pack has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// They stay, and the pack is refused.
    Refuse,
    /// They go in the same commit in which the pack comes.
    ReplaceWritable,
}

/// What is there under the name of a pack that comes.
#[derive(Clone, Debug)]
pub enum Present {
    /// None may be there; one that is set aside gives way.
    No,
    /// One must be there, be it set aside.
    Yes,
    /// This very one must be there, for what comes was made from it.
    This(Arc<Layer>),
}

/// What a pack that comes finds, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Over {
    /// A pack of its name.
    pub present: Present,
    /// Writable objects that it has too.
    pub clash: Clash,
}

impl Over {
    /// Refuses a pack whose name is taken, or is not, or is that of another pack by now.
    pub(crate) fn judge(&self, name: &str, found: &Found<'_>) -> Result<(), model::Error> {
        match (&self.present, found.shown) {
            (Present::No, None) => Ok(()),
            (Present::No, Some(_)) => {
                Err(model::Error::AlreadyExists { kind: Kind::Content, key: name.into() })
            }
            (Present::Yes, Some(_)) => Ok(()),
            (Present::Yes, None) if found.aside => Ok(()),
            (Present::This(known), Some(shown)) if Arc::ptr_eq(known, shown) => Ok(()),
            (Present::This(_), Some(_)) => Err(model::Error::Conflict {
                kind: Kind::Content,
                key: name.into(),
                messages: vec!["it was replaced meanwhile".to_owned()],
            }),
            (Present::Yes | Present::This(_), None) => Err(model::Error::not_found(Kind::Content, name)),
        }
    }
}

/// What there is of a pack.
pub(crate) struct Found<'a> {
    /// The layer of the View.
    pub(crate) shown: Option<&'a Arc<Layer>>,
    /// It is in the store alone.
    pub(crate) aside: bool,
}

/// A step in the life of a content pack.
pub(crate) struct WritePack {
    pack: Pack,
    audit: Audit,
    result: Option<Result<(), model::Error>>,
    answer: oneshot::Sender<Answer<(), model::Error>>,
}

impl WritePack {
    pub(crate) fn new(audit: Audit, pack: Pack) -> (Self, oneshot::Receiver<Answer<(), model::Error>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { pack, audit, result: None, answer }, receiver)
    }

    /// The changes of the store and the step of the View. Reading the store's manifest here is right: one pack is written
    /// at a time, and another server's write makes this one run again.
    fn plan(&self, head: &View, store: &dyn Store) -> Result<Result<Plan, model::Error>, Error> {
        let old = |name: &str| packs::manifest(store, name);
        match &self.pack {
            Pack::Prepare(changes) => Ok(Ok((changes.clone(), Vec::new()))),
            Pack::Put(layer, packed, _, over) => {
                let name = layer.name();
                // Asked in the order of the writes: of two that come at the same moment one is first.
                let (shown, aside) = (layer_of(head, name), store.get(&codec::pack_key(name)?)?.is_some());
                if let Err(refused) = over.judge(name, &Found { shown, aside }) {
                    return Ok(Err(refused));
                }
                let unused = old(name)?.filter(|old| old.digest != packed.manifest.digest);
                let mut changes = unused.map_or(Ok(Changes::new()), |old| old.removal())?;
                changes.insert(codec::pack_key(name)?, Some(packed.manifest.encode()?));
                let given_way = given_way(head, layer, over.clash);
                changes.extend(codec::changes(&given_way)?);
                Ok(Ok((changes, vec![Step::Edits(given_way), Step::PutLayer(Arc::clone(layer))])))
            }
            Pack::Remove(name) => {
                let key = codec::pack_key(name)?;
                if store.get(&key)?.is_none() {
                    return Ok(Err(model::Error::not_found(Kind::Content, name)));
                }
                let mut changes = old(name)?.map_or(Ok(Changes::new()), |old: Manifest| old.removal())?;
                changes.insert(key, None);
                // A pack that was set aside is in the store only.
                let shown = layer_of(head, name);
                Ok(Ok((changes, shown.map(|_| Step::RemoveLayer(name.clone())).into_iter().collect())))
            }
        }
    }
}

impl Job for WritePack {
    fn run(&mut self, head: &View, around: &Surroundings) -> Result<Option<Effect>, Error> {
        let (store, steps) = match self.plan(head, &*around.store)? {
            Ok(plan) => plan,
            Err(refused) => {
                self.result = Some(Err(refused));
                return Ok(None);
            }
        };
        let judged = match &self.pack {
            Pack::Put(_, _, stamps, _) => *stamps == stamps_of(head),
            Pack::Prepare(_) | Pack::Remove(_) => true,
        };
        let rules: &dyn Rules = if judged { &() } else { &*around.rules };
        let judged = judge(head, &steps, rules).and_then(|judged| {
            keep_access(head, &judged.0, self.pack.name(), &*around.rules).map(|()| judged)
        });
        let (view, changes) = match judged {
            Ok(judged) => judged,
            Err(refused) => {
                self.result = Some(Err(refused));
                return Ok(None);
            }
        };
        self.result = Some(Ok(()));
        let (audit, time) = (self.audit.clone(), (around.clock)().time());
        let store = codec::guarded(store)?;
        Ok(Some(Effect { audit, time, store, steps, view, changes }))
    }

    fn answer(self: Box<Self>, outcome: Result<u64, Error>) {
        drop(self.answer.send(answer(self.result, outcome)));
    }
}

/// The pack of this name that the View has.
pub(crate) fn layer_of<'a>(view: &'a View, name: &str) -> Option<&'a Arc<Layer>> {
    view.layers().iter().find(|layer| layer.name() == name)
}

/// Writable objects that go when a pack comes.
pub(crate) fn given_way(head: &View, layer: &Layer, clash: Clash) -> Vec<Edit> {
    if clash == Clash::Refuse {
        return Vec::new();
    }
    let hidden = layer.objects().filter_map(|object| head.record(object.kind(), object.key()));
    hidden
        .filter(|record| !record.read_only())
        .map(|record| Edit::delete(record.kind(), record.key().clone()))
        .collect()
}

/// All that the engines' rules read when they judge a pack.
pub(crate) type Stamps = [Stamp; 4];

/// The present state of what the engines' rules read when they judge a pack.
pub(crate) fn stamps_of(view: &View) -> Stamps {
    [Kind::Template, Kind::BootEnv, Kind::Stage, Kind::Task].map(|kind| view.stamp(kind))
}

/// The View with the pack, if model and engines find nothing wrong with it.
pub(crate) fn judge_pack(
    view: &View,
    layer: &Arc<Layer>,
    revision: u64,
    rules: &dyn Rules,
) -> Result<(View, Vec<Change>), model::Error> {
    let (next, changes, mut faults) = view.lay(layer, revision);
    rules.check_layer(&next, layer, &mut faults);
    if faults.is_empty() { Ok((next, changes)) } else { Err(model::Error::layer(layer.name(), faults)) }
}

/// Refuses a pack that comes or goes when nobody could manage the server any more.
pub(crate) fn keep_access(
    head: &View,
    next: &View,
    pack: &str,
    rules: &dyn Rules,
) -> Result<(), model::Error> {
    let fault = |why| model::Error::layer(pack, vec![LayerFault::of_meta(why)]);
    access::lost(head, next, rules).map_or(Ok(()), |why| Err(fault(why)))
}

/// The next View, if the pack may come or go.
fn judge(head: &View, steps: &[Step], rules: &dyn Rules) -> Result<(View, Vec<Change>), model::Error> {
    let revision = head.revision() + 1;
    let (mut view, mut changes) = head.apply(&[], revision);
    for step in steps {
        let (next, more) = match step {
            Step::PutLayer(layer) => judge_pack(&view, layer, revision, rules)?,
            Step::RemoveLayer(name) => view.remove_layer(name, revision)?,
            Step::Edits(edits) => view.apply(edits, revision),
        };
        view = next;
        changes.extend(more);
    }
    Ok((view, merged(changes)))
}
