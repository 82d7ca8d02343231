//! The thread that writes: it runs closures on the head, submits them in groups, and applies what `follow` brings.
//!
//! At most one group is under way. Jobs that arrive meanwhile run at once, on the head that includes the group, and wait
//! to be the next. So running and syncing overlap, and a group grows by itself when there is much to write.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gantry_model::{Action, Catalogue, Change, Edit, View};
use gantry_store::{self as store, Commit, Compare, Follow, History, Key, KeyRange, Revision, Ticket, Value};
use tokio::sync::{mpsc, oneshot, watch};

use crate::aside::Still;
use crate::audit::Stamp;
use crate::codec::{self, Place};
use crate::crowd::Crowd;
use crate::events::Event;
use crate::job::{Effect, Job, Step, Surroundings};
use crate::packs::{self, Manifest};
use crate::{Error, load};

/// Jobs that may gather while a group is under way; more wait in the queue, and then their callers do.
const GATHERED: usize = 4096;

/// What reaches the thread.
pub(crate) enum Message {
    Job(Box<dyn Job>),
    Catalogue(Arc<Catalogue>, oneshot::Sender<()>),
}

/// What the thread shows to others.
pub(crate) struct Shown {
    pub(crate) view: ArcSwap<View>,
    pub(crate) events: History<Event>,
    pub(crate) aside: Still,
    /// Why the thread has ended.
    pub(crate) ended: watch::Sender<Option<Error>>,
}

impl Shown {
    /// Says why the thread has ended; what was said first stands.
    pub(crate) fn end(&self, error: &Error) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| error.clone());
            first
        });
        self.events.close();
    }
}

/// A job that ran on the head.
struct Ran {
    job: Box<dyn Job>,
    effect: Option<Effect>,
    number: u64,
}

/// A group that was submitted.
struct Flight {
    /// The View that its first job ran on.
    base: u64,
    jobs: VecDeque<Ran>,
    ticket: Option<Ticket>,
    /// Jobs whose commits came back already, to be answered when all have.
    landed: Vec<Ran>,
    /// The last revision of the group, once it is known to be durable.
    last: Option<u64>,
}

pub(crate) struct Head {
    around: Surroundings,
    base: Vec<Arc<gantry_model::Layer>>,
    shown: Arc<Shown>,
    inbox: mpsc::Receiver<Message>,
    follow: Follow,
    durable: View,
    /// The durable View with everything in flight and gathered.
    head: View,
    flight: Option<Flight>,
    gathered: VecDeque<Ran>,
    crowd: Crowd,
    /// Somebody else has written since the head was made.
    stale: bool,
    origin: u64,
    number: u64,
    closing: bool,
}

impl Head {
    pub(crate) fn new(
        around: Surroundings,
        base: Vec<Arc<gantry_model::Layer>>,
        shown: Arc<Shown>,
        inbox: mpsc::Receiver<Message>,
        origin: u64,
    ) -> Self {
        let durable = View::clone(&shown.view.load());
        let follow = around.store.follow(Revision(durable.revision()));
        let head = durable.clone();
        let (flight, gathered) = (None, VecDeque::new());
        let (stale, number, closing) = (false, 0, false);
        Self {
            around,
            base,
            shown,
            inbox,
            follow,
            durable,
            head,
            flight,
            gathered,
            crowd: Crowd::default(),
            stale,
            origin,
            number,
            closing,
        }
    }

    /// What the thread shows to others.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Runs until every sender of the inbox is gone and what they sent is done, or until the store fails.
    pub(crate) async fn run(mut self) {
        let end = loop {
            self.depart().await;
            if self.closing && self.flight.is_none() {
                break Error::Closed;
            }
            if let Err(error) = self.step().await {
                break error;
            }
        };
        self.end(&end);
    }

    /// Everybody who waits learns why; everybody who comes later, too.
    fn end(mut self, error: &Error) {
        self.shown.end(error);
        self.inbox.close();
        let flight =
            self.flight.take().into_iter().flat_map(|flight| flight.landed.into_iter().chain(flight.jobs));
        for ran in flight.chain(self.gathered) {
            ran.job.answer(Err(error.clone()));
        }
        while let Ok(message) = self.inbox.try_recv() {
            if let Message::Job(job) = message {
                job.answer(Err(error.clone()));
            }
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        let room = !self.closing && self.gathered.len() < GATHERED;
        tokio::select! {
            biased;
            commits = self.follow.next() => self.followed(commits).map(|()| self.arrive()),
            outcome = landing(&mut self.flight) => self.landed(outcome).await,
            message = self.inbox.recv(), if room => {
                self.receive(message);
                Ok(())
            }
        }
    }

    /// Takes a message and those behind it, so that they share a group.
    fn receive(&mut self, first: Option<Message>) {
        self.closing = first.is_none();
        let mut next = first;
        while let Some(message) = next {
            match message {
                Message::Job(job) => self.gather(job),
                Message::Catalogue(catalogue, done) => self.set_catalogue(&catalogue, done),
            }
            next = if self.gathered.len() < GATHERED { self.inbox.try_recv().ok() } else { None };
        }
    }

    /// Runs a job on the head.
    fn gather(&mut self, mut job: Box<dyn Job>) {
        let effect = match job.run(&self.head, &self.around) {
            Ok(effect) => effect,
            Err(error) => return job.answer(Err(error)),
        };
        if let Some(effect) = &effect {
            self.head = effect.view.clone();
        } else if self.flight.is_none() && self.gathered.is_empty() {
            return job.answer(Ok(self.durable.revision()));
        }
        self.number += 1;
        self.gathered.push_back(Ran { job, effect, number: self.number });
    }

    /// Submits what has gathered.
    async fn depart(&mut self) {
        if self.flight.is_some() || self.gathered.is_empty() {
            return;
        }
        self.wait_for_company().await;
        let jobs = std::mem::take(&mut self.gathered);
        let mut commits: Vec<Commit> = jobs.iter().filter_map(|ran| self.commit(ran)).collect();
        let base = self.durable.revision();
        let Some(first) = commits.first_mut() else {
            return jobs.into_iter().for_each(|ran| ran.job.answer(Ok(base)));
        };
        first.compares.push(Compare::Range { range: KeyRange::all(), not_after: Revision(base) });
        let ticket = Some(self.around.store.submit(commits));
        self.crowd.departed();
        self.flight = Some(Flight { base, jobs, ticket, landed: Vec::new(), last: None });
    }

    /// Nothing is under way here, so nobody but those who gathered waits for this.
    async fn wait_for_company(&mut self) {
        let Some((writers, longest)) = self.crowd.pause(self.gathered.len()) else { return };
        let company = async {
            while self.gathered.len() < writers && !self.closing {
                let message = self.inbox.recv().await;
                self.receive(message);
            }
        };
        // Whoever has not come by then shares the next group.
        tokio::time::timeout(longest, company).await.ok();
    }

    fn commit(&self, ran: &Ran) -> Option<Commit> {
        let effect = ran.effect.as_ref()?;
        let stamp =
            Stamp { audit: effect.audit.clone(), time: effect.time, origin: self.origin, number: ran.number };
        Some(Commit { compares: Vec::new(), changes: effect.store.clone(), record: stamp.encode() })
    }

    /// The group's outcome. A conflict means that others have written: the head is made anew from what they wrote.
    async fn landed(&mut self, outcome: Result<Vec<Revision>, store::Error>) -> Result<(), Error> {
        let Some(flight) = &mut self.flight else { return Ok(()) };
        flight.ticket = None;
        match outcome {
            Ok(revisions) => {
                flight.last = revisions.last().map(|revision| revision.0);
                self.arrive();
                Ok(())
            }
            Err(store::Error::Conflict(_)) => {
                let base = flight.base;
                while self.durable.revision() <= base {
                    let commits = self.follow.next().await;
                    self.followed(commits)?;
                }
                let flight = self.flight.take().into_iter().flat_map(|flight| flight.jobs);
                let again = flight.chain(std::mem::take(&mut self.gathered)).collect();
                self.run_again(again);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the flight once all of it is durable and visible.
    fn arrive(&mut self) {
        let visible = self.durable.revision();
        let all = |flight: &mut Flight| flight.last.is_some_and(|last| last <= visible);
        if let Some(flight) = self.flight.take_if(all) {
            let answered = flight.landed.len() + flight.jobs.len();
            for ran in flight.landed.into_iter().chain(flight.jobs) {
                ran.job.answer(Ok(visible));
            }
            self.crowd.arrived(answered, self.gathered.len());
        }
        if self.flight.is_none() && self.stale {
            let again = std::mem::take(&mut self.gathered);
            self.run_again(again);
        }
    }

    fn run_again(&mut self, jobs: VecDeque<Ran>) {
        self.stale = false;
        self.head = self.durable.clone();
        jobs.into_iter().for_each(|ran| self.gather(ran.job));
    }

    /// Makes commits visible.
    fn followed(&mut self, commits: Result<Vec<Arc<store::Committed>>, store::Lost>) -> Result<(), Error> {
        let commits = match commits {
            Ok(commits) => commits,
            Err(store::Lost::Gap { .. }) => return self.reload(),
            Err(store::Lost::Closed) => return Err(Error::Closed),
        };
        let mut events = Vec::with_capacity(commits.len());
        for commit in &commits {
            events.push(Arc::new(self.advance(commit)?));
        }
        self.show_before_events();
        self.shown.events.publish(events);
        Ok(())
    }

    /// The next durable View, and what changed.
    fn advance(&mut self, commit: &store::Committed) -> Result<Event, Error> {
        let stamp = Stamp::decode(&commit.record)?;
        let revision = commit.revision.0;
        let changes = match self.own(&stamp) {
            Some(effect) => self.advance_own(effect, revision),
            None => {
                self.stale = true;
                let steps = self.steps(commit)?;
                self.apply(&steps, revision)
            }
        };
        self.shown.aside.written(commit.changes.keys());
        Ok(Event { revision, audit: stamp.audit, time: stamp.time, changes })
    }

    /// The effect of the commit if it is of the group under way.
    fn own(&mut self, stamp: &Stamp) -> Option<Effect> {
        let flight = self.flight.as_mut().filter(|_| stamp.origin == self.origin)?;
        let place = flight.jobs.iter().position(|ran| ran.number == stamp.number)?;
        flight.landed.extend(flight.jobs.drain(..=place));
        flight.landed.last_mut()?.effect.take()
    }

    /// What the job saw as the next View is it, if its commit got the revision that was expected.
    fn advance_own(&mut self, effect: Effect, revision: u64) -> Vec<Change> {
        if effect.view.revision() == revision {
            self.durable = effect.view.with_catalogue(Arc::clone(self.durable.catalogue()));
            return effect.changes;
        }
        self.stale = true;
        self.apply(&effect.steps, revision)
    }

    fn apply(&mut self, steps: &[Step], revision: u64) -> Vec<Change> {
        let (mut view, mut changes) = self.durable.apply(&[], revision);
        for step in steps {
            let (next, more) = step.follow(&view, revision);
            view = next;
            changes.extend(more);
        }
        self.durable = view;
        changes
    }

    /// What a commit of another server does to the View.
    fn steps(&self, commit: &store::Committed) -> Result<Vec<Step>, Error> {
        let mut edits = Vec::new();
        let mut steps = Vec::new();
        for (key, value) in &commit.changes {
            match codec::place(key) {
                Some(Place::Object(kind, name)) => {
                    edits.push(edit(kind, name, key, value.as_ref(), commit.revision)?);
                }
                Some(Place::Pack(name)) => steps.extend(self.pack_step(name, value.as_ref())?),
                Some(Place::Chunk { .. } | Place::Guard | Place::Aside) => {}
                None => {
                    return Err(Error::Damaged {
                        faults: vec![format!("{key}: no kind that this program knows")],
                    });
                }
            }
        }
        steps.insert(0, Step::Edits(edits));
        Ok(steps)
    }

    fn pack_step(&self, name: &str, value: Option<&Value>) -> Result<Option<Step>, Error> {
        let Some(value) = value else { return Ok(Some(Step::RemoveLayer(name.to_owned()))) };
        let manifest = Manifest::decode(name, value)?;
        Ok(packs::followed(&*self.around.store, name, &manifest)?.map(Step::PutLayer))
    }

    /// The history was gone: everything is read again, and subscribers are told.
    fn reload(&mut self) -> Result<(), Error> {
        let loaded = load::load(&*self.around.store, &self.base)?;
        self.shown.aside.set(&loaded.aside);
        self.around.aside = loaded.aside;
        self.durable = loaded.view.with_catalogue(Arc::clone(self.durable.catalogue()));
        self.follow = self.around.store.follow(Revision(self.durable.revision()));
        self.stale = true;
        self.show_before_events();
        self.shown.events.skip_to(Revision(self.durable.revision()));
        Ok(())
    }

    fn set_catalogue(&mut self, catalogue: &Arc<Catalogue>, done: oneshot::Sender<()>) {
        self.durable = self.durable.with_catalogue(Arc::clone(catalogue));
        self.head = self.head.with_catalogue(Arc::clone(catalogue));
        self.show();
        // Fails when whoever asked has stopped waiting; the catalogue stands all the same.
        done.send(()).ok();
    }

    /// Whoever is told of an event finds it in the View; whoever saw the View first may subscribe from it already.
    fn show_before_events(&self) {
        self.shown.events.announce(Revision(self.durable.revision()));
        self.show();
    }

    fn show(&self) {
        self.shown.view.store(Arc::new(self.durable.clone()));
    }
}

/// The outcome of the group under way; never ready when there is none.
async fn landing(flight: &mut Option<Flight>) -> Result<Vec<Revision>, store::Error> {
    match flight.as_mut().and_then(|flight| flight.ticket.as_mut()) {
        Some(ticket) => ticket.await,
        None => std::future::pending().await,
    }
}

fn edit(
    kind: gantry_model::Kind,
    name: &str,
    key: &Key,
    value: Option<&Value>,
    revision: Revision,
) -> Result<Edit, Error> {
    let Some(value) = value else { return Ok(Edit::delete(kind, name.into())) };
    let entry = store::Entry { key: key.clone(), value: value.clone(), revision };
    let record = codec::record(kind, name, &entry)
        .map_err(|unreadable| Error::Damaged { faults: vec![unreadable.why] })?;
    Ok(Edit { kind, key: record.key().clone(), action: Action::Put(Arc::new(record)) })
}
