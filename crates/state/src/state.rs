//! The public face: open, view, write, subscribe.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use gantry_model::{self as model, Catalogue, Kind, Layer, Now, Rules, Tx, View};
use gantry_store::{History, Revision, Store};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::aside::{SetAside, Still};
use crate::events;
use crate::head::{Head, Message, Shown};
use crate::job::{
    Answer, Found, Job, Over, Pack, Surroundings, Write, WritePack, given_way, judge_pack, keep_access,
    layer_of, stamps_of,
};
use crate::packs::Packed;
use crate::{Audit, Committed, Error, Failure, Subscription, load};

/// Writes that wait for the thread; more make their callers wait.
const QUEUE: usize = 1024;

/// What a state is opened with.
pub struct Setup {
    /// The time and a fresh seed, asked once for each write.
    pub clock: Box<dyn Fn() -> Now + Send + Sync>,
    /// What engines add to saving objects.
    pub rules: Arc<dyn Rules>,
    /// Layers that are not stored but built in, such as BasicStore.
    pub layers: Vec<Arc<Layer>>,
}

/// Every object there is, live. Share it as an `Arc`. Dropping it finishes the writes that were begun.
pub struct State {
    shown: Arc<Shown>,
    /// Names of the layers that are built in.
    built_in: Vec<String>,
    rules: Arc<dyn Rules>,
    /// One pack is written at a time, as each takes several commits.
    packs: Mutex<()>,
    /// Taken by `drop`, which ends the thread.
    inbox: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl State {
    /// Reads the store and begins to follow it. Blocks while it reads; needs no async runtime.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read, [`Error::Damaged`] with every fault when it holds what a newer program
    /// wrote, or damage that cannot be set aside (see [`State::set_aside`]).
    pub fn open(store: Arc<dyn Store>, setup: Setup) -> Result<Self, Error> {
        let loaded = load::load(&*store, &setup.layers)?;
        let revision = loaded.view.revision();
        let shown = Arc::new(Shown {
            view: ArcSwap::from_pointee(loaded.view),
            events: History::new(events::BOUNDS, Revision(revision), Vec::new()),
            aside: Still::new(&loaded.aside),
            ended: watch::Sender::new(None),
        });
        let built_in = setup.layers.iter().map(|layer| layer.name().to_owned()).collect();
        let (inbox, messages) = mpsc::channel(QUEUE);
        if !loaded.orphans.is_empty() {
            let (job, _answer) =
                WritePack::new(Audit::new("server", "packs.clean"), Pack::Prepare(loaded.orphans));
            // The queue is new, so it has room.
            drop(inbox.try_send(Message::Job(Box::new(job))));
        }
        let rules = Arc::clone(&setup.rules);
        let around = Surroundings { store, rules: setup.rules, clock: setup.clock, aside: loaded.aside };
        let head = Head::new(
            around,
            setup.layers,
            Arc::clone(&shown),
            messages,
            RandomState::new().hash_one(revision),
        );
        let thread = start(head)?;
        let (inbox, thread) = (Some(inbox), Some(thread));
        Ok(Self { shown, built_in, rules, packs: Mutex::new(()), inbox, thread })
    }

    /// Objects and content packs that could not be read at the start, as far as nobody has replaced or removed them since. They
    /// are in the store as they were, and not in the View. Cheap, and never waits.
    #[must_use]
    pub fn set_aside(&self) -> Arc<Vec<SetAside>> {
        self.shown.aside.get()
    }

    /// The newest durable View. Cheap and never waits: take one for each request, and keep it through the request.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shown.view.load_full()
    }

    /// Runs a closure on the head, and returns when its edits are durable and visible. Nothing is written when it returns
    /// an error.
    ///
    /// The closure may run several times, see the crate's documentation. When the caller stops waiting, the write goes on.
    ///
    /// # Errors
    /// [`Failure::Refused`] with the closure's own error, [`Failure::Failed`] when it panicked or the store failed.
    pub async fn write<T, E, F>(&self, audit: Audit, work: F) -> Result<Committed<T>, Failure<E>>
    where
        F: FnMut(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (job, answer) = Write::new(audit, work);
        self.submit(Box::new(job), answer).await
    }

    /// Adds a content pack, or replaces the one of the same name. It appears whole or not at all. `over` says what must be there
    /// or not, and what becomes of writable objects that the pack has too.
    ///
    /// # Errors
    /// [`Failure::Refused`] with everything that is wrong with the pack, when its name is that of a built-in layer, and with
    /// [`model::Error::AlreadyExists`], [`model::Error::NotFound`] or [`model::Error::Conflict`] when `over` does not hold;
    /// [`Failure::Failed`] when the store failed.
    pub async fn put_pack(
        &self,
        audit: Audit,
        layer: Arc<Layer>,
        over: Over,
    ) -> Result<Committed<()>, Failure<model::Error>> {
        self.check_not_built_in(layer.name())?;
        let _one_at_a_time = self.packs.lock().await;
        // Judged before anything is written, and again when it appears.
        let view = self.view();
        let aside = |aside: &SetAside| aside.kind == Kind::Content && aside.key == layer.name();
        let (shown, aside) = (layer_of(&view, layer.name()), self.set_aside().iter().any(aside));
        over.judge(layer.name(), &Found { shown, aside }).map_err(Failure::Refused)?;
        let stamps = stamps_of(&view);
        let (room, _) = view.apply(&given_way(&view, &layer, over.clash), view.revision());
        judge_pack(&room, &layer, view.revision(), &*self.rules)
            .and_then(|(next, _)| keep_access(&view, &next, layer.name(), &*self.rules))
            .map_err(Failure::Refused)?;
        let packed = Packed::new(&layer)?;
        for chunk in packed.chunk_changes()? {
            self.write_pack(audit.clone(), Pack::Prepare(chunk)).await?;
        }
        self.write_pack(audit, Pack::Put(layer, packed, stamps, over)).await
    }

    /// Removes a content pack, whole.
    ///
    /// # Errors
    /// [`Failure::Refused`] when there is none of this name, when it is built in, or when another pack needs it;
    /// [`Failure::Failed`] when the store failed.
    pub async fn remove_pack(
        &self,
        audit: Audit,
        name: &str,
    ) -> Result<Committed<()>, Failure<model::Error>> {
        self.check_not_built_in(name)?;
        let _one_at_a_time = self.packs.lock().await;
        self.write_pack(audit, Pack::Remove(name.to_owned())).await
    }

    /// Puts the list of files into the View. Returns when it is visible.
    ///
    /// # Errors
    /// [`Error::Closed`] when the state has ended.
    pub async fn set_catalogue(&self, catalogue: Arc<Catalogue>) -> Result<(), Error> {
        let (done, seen) = oneshot::channel();
        self.send(Message::Catalogue(catalogue, done)).await?;
        seen.await.map_err(|_| self.why_ended())
    }

    /// Subscribes to every event after a revision, or to those from now on. A View's revision gives the events after that
    /// View, without a seam.
    #[must_use]
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        let events = &self.shown.events;
        events.follow(after.map_or_else(|| events.newest(), Revision))
    }

    /// Waits until the state can write no more, and says why: the store failed, or it was closed.
    pub async fn ended(&self) -> Error {
        let mut ended = self.shown.ended.subscribe();
        // The sender lives as long as `self`.
        let error = ended.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        error.unwrap_or(Error::Closed)
    }

    async fn write_pack(&self, audit: Audit, pack: Pack) -> Answer<(), model::Error> {
        let (job, answer) = WritePack::new(audit, pack);
        self.submit(Box::new(job), answer).await
    }

    async fn submit<T, E>(&self, job: Box<dyn Job>, answer: oneshot::Receiver<Answer<T, E>>) -> Answer<T, E> {
        self.send(Message::Job(job)).await?;
        answer.await.unwrap_or_else(|_| Err(Failure::Failed(self.why_ended())))
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        let Some(inbox) = &self.inbox else { return Err(Error::Closed) };
        inbox.send(message).await.map_err(|_| self.why_ended())
    }

    fn why_ended(&self) -> Error {
        self.shown.ended.borrow().clone().unwrap_or(Error::Closed)
    }

    fn check_not_built_in(&self, name: &str) -> Result<(), Failure<model::Error>> {
        if self.built_in.iter().any(|known| known == name) {
            return Err(Failure::Refused(model::Error::ReadOnly { kind: Kind::Content, key: name.into() }));
        }
        Ok(())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        drop(self.inbox.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A thread of its own with the smallest runtime: closures never hold up the server's, and the server's never them.
fn start(head: Head) -> Result<JoinHandle<()>, Error> {
    let why = |error: std::io::Error| Error::Start { why: error.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(why)?;
    let shown = head.shown();
    let work = move || {
        let _ended = Ended(shown);
        runtime.block_on(head.run());
    };
    std::thread::Builder::new().name("state".to_owned()).spawn(work).map_err(why)
}

/// Says that the thread has ended, also when that was a panic: else everybody would wait for what never comes.
struct Ended(Arc<Shown>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end(&Error::Broken);
    }
}
