//! Results of a survey, remembered by what their renders read.
//!
//! A render is a function of what it asks of the View; so its result holds in every View that answers these questions alike.
//! For each target the memo keeps the questions ([`Input`]), a hash of the answers and of the result, and what went wrong. To look a
//! target up, the questions are asked again, which costs a few look-ups; only when an answer differs it is rendered. Nothing
//! has to be told to the memo when objects change, and nothing in it can be out of date.
//!
//! Two results are kept for each target, the ones used last: of the View as it is, and of the one with a change that
//! somebody looks at. Results are kept as hashes: who wants to show a difference renders both sides again. Hashes have
//! 64 bits; that two of a fleet's results are taken for each other is less likely than a fault of its memory.
//!
//! The size is bounded in bytes, of everything that grows: results, messages, questions, keys. When it is used up, nothing more
//! is remembered until [`Memo::begin`] drops the machines and targets that the last survey did not use. Not counted is what a
//! survey has taken out to work with: one machine's for each thread.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_model::View;
use gantry_model::params::Origin;

use crate::reads::{Input, Reads};
use crate::survey::{Failure, Render, Target, World};

/// Results of surveys in one world.
#[derive(Debug)]
pub struct Memo {
    world: World,
    most: usize,
    state: Mutex<State>,
    rendered: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    machines: HashMap<Box<str>, Known>,
    /// Lists of questions: most machines ask the same.
    lists: HashSet<Arc<[Input]>>,
    /// Bytes of `machines` and `lists`.
    size: usize,
    round: u64,
}

/// What is known of one machine, or of nobody.
#[derive(Debug, Default)]
pub struct Known {
    round: u64,
    targets: HashMap<u64, Remembered>,
}

/// Results of one target; at least one.
#[derive(Debug)]
struct Remembered {
    /// When it was asked for last.
    round: u64,
    traces: Vec<Trace>,
}

/// The default room in bytes: a result takes some 150, so that a million have room.
const ROOM: usize = 160 << 20;

/// How many results are kept of a target.
const SIDES: usize = 2;

/// The longest message of a failure that is remembered, in bytes.
const LONGEST: usize = 4000;

#[derive(Debug)]
struct Trace {
    inputs: Arc<[Input]>,
    fingerprint: u64,
    digest: u64,
    failure: Option<Arc<Failure>>,
}

/// How a target comes out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Stands for path and contents, or path and message: outcomes that have it in common are alike.
    pub digest: u64,
    /// What went wrong.
    pub failure: Option<Arc<Failure>>,
    /// The render itself, when there had to be one.
    pub render: Option<Render>,
}

impl Default for Memo {
    /// For the sample world, with 160 MiB of room.
    fn default() -> Self {
        Self::new(World::default(), ROOM)
    }
}

impl Memo {
    /// An empty memo of at most so many bytes. What the world's host answers may depend on nothing but its arguments, of
    /// machines on nothing but name, UUID and secret.
    #[must_use]
    pub fn new(world: World, most: usize) -> Self {
        Self { world, most, state: Mutex::default(), rendered: AtomicUsize::new(0) }
    }

    /// Where targets are rendered.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// How often something had to be rendered so far.
    #[must_use]
    pub fn rendered(&self) -> usize {
        self.rendered.load(Ordering::Relaxed)
    }

    /// How many bytes are held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().size
    }

    /// Another survey begins. When half of the room is used, what the last one did not use is dropped.
    pub fn begin(&self) {
        let mut state = self.lock();
        if state.size > self.most / 2 {
            let last = state.round;
            state.machines.retain(|_, known| known.used_since(last));
            state.machines.shrink_to_fit();
            state.lists.retain(|list| Arc::strong_count(list) > 1);
            state.lists.shrink_to_fit();
            let machines = state.machines.iter().map(|(key, known)| known.size(key)).sum::<usize>();
            state.size = machines + state.lists.iter().map(|list| bytes_of(list)).sum::<usize>();
        }
        state.round += 1;
    }

    /// What is known of a machine by its key; of nobody under the empty one. It is the caller's until it is given back with
    /// [`Memo::keep`]; whoever asks meanwhile starts anew.
    #[must_use]
    pub fn take(&self, machine: &str) -> Known {
        let mut state = self.lock();
        let mut known = state.machines.remove(machine).unwrap_or_default();
        state.size -= known.size(machine);
        known.round = state.round;
        known
    }

    /// Gives back what is known of a machine, if there is room.
    pub fn keep(&self, machine: &str, known: Known) {
        let size = known.size(machine);
        let mut state = self.lock();
        if size == 0 || state.size + size > self.most {
            return;
        }
        state.size += size;
        if let Some(other) = state.machines.insert(machine.into(), known) {
            state.size -= other.size(machine);
        }
    }

    /// The list, or the equal one that is there already; none when there is no room for it.
    fn shared(&self, inputs: Vec<Input>) -> Option<Arc<[Input]>> {
        let mut state = self.lock();
        if let Some(list) = state.lists.get(inputs.as_slice()) {
            return Some(Arc::clone(list));
        }
        let size = bytes_of(&inputs);
        if state.size + size > self.most {
            return None;
        }
        state.size += size;
        let list: Arc<[Input]> = inputs.into();
        state.lists.insert(Arc::clone(&list));
        Some(list)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Its bytes in the memo under this key; none when nothing is known.
    fn size(&self, key: &str) -> usize {
        if self.targets.is_empty() {
            return 0;
        }
        let targets = self.targets.values().map(Remembered::size).sum::<usize>();
        SPARE * size_of::<(Box<str>, Self)>() + key.len() + targets
    }

    /// Forgets targets that were not asked for since; whether any is left.
    fn used_since(&mut self, round: u64) -> bool {
        self.targets.retain(|_, target| target.round >= round);
        self.targets.shrink_to_fit();
        !self.targets.is_empty()
    }

    /// How the target comes out in the View: as remembered, or rendered now.
    pub fn outcome(&mut self, target: &Target, view: &View, memo: &Memo) -> Outcome {
        let identity = target.identity();
        if let Some(remembered) = self.targets.get_mut(&identity) {
            remembered.round = self.round;
            let holds =
                |trace: &Trace| target.fingerprint(view, &memo.world, &trace.inputs) == trace.fingerprint;
            let traces = &mut remembered.traces;
            if let Some(at) = traces.iter().position(holds) {
                // The one used last goes first.
                traces[..=at].rotate_right(1);
                return Outcome {
                    digest: traces[0].digest,
                    failure: traces[0].failure.clone(),
                    render: None,
                };
            }
        }
        memo.rendered.fetch_add(1, Ordering::Relaxed);
        let reads = Arc::new(Reads::default());
        let render = target.render_noting(view, &memo.world, Some(&reads));
        let (digest, failure) = (digest(&render), render.result.as_ref().err().cloned().map(Arc::new));
        let short = failure.as_ref().is_none_or(|failure| failure.message.len() <= LONGEST);
        let inputs = reads.finish(failure.is_some()).filter(|_| short);
        if let Some(inputs) = inputs.and_then(|inputs| memo.shared(inputs)) {
            let fingerprint = target.fingerprint(view, &memo.world, &inputs);
            let trace = Trace { inputs, fingerprint, digest, failure: failure.clone() };
            let new = || Remembered { round: self.round, traces: Vec::new() };
            self.targets.entry(identity).or_insert_with(new).add(trace);
        }
        Outcome { digest, failure, render: Some(render) }
    }
}

impl Remembered {
    fn add(&mut self, trace: Trace) {
        self.traces.truncate(SIDES - 1);
        self.traces.reserve_exact(1);
        self.traces.insert(0, trace);
    }

    fn size(&self) -> usize {
        let failures = self.traces.iter().filter_map(|trace| trace.failure.as_deref());
        SPARE * size_of::<(u64, Self)>()
            + self.traces.capacity() * size_of::<Trace>()
            + failures.map(failure_bytes).sum::<usize>()
    }
}

/// Hash tables keep about as much room free as they use.
const SPARE: usize = 2;

fn bytes_of(inputs: &[Input]) -> usize {
    let names = inputs.iter().map(|input| input.name().len()).sum::<usize>();
    SPARE * size_of::<Arc<[Input]>>() + size_of_val(inputs) + names
}

fn failure_bytes(failure: &Failure) -> usize {
    let texts =
        failure.template.len() + failure.message.len() + failure.param.as_ref().map_or(0, String::len);
    let name = |name: &String| size_of::<String>() + name.len();
    let names = |names: &[String]| names.iter().map(name).sum::<usize>();
    let origin = failure.origin.as_ref().map_or(0, |origin| match origin {
        Origin::Machine | Origin::Default => 0,
        Origin::Profile(profiles) | Origin::Global(profiles) => names(profiles),
        Origin::Stage(stage) => stage.len(),
        Origin::StageProfile(stage, profiles) => stage.len() + names(profiles),
    });
    size_of::<Failure>() + texts + origin
}

fn digest(render: &Render) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&render.path, render.result.as_ref().map_err(|failure| &failure.message)).hash(&mut hasher);
    hasher.finish()
}
