//! The writer's thread: many submitted groups, one transaction, one fsync.

use std::ops::Bound;
use std::sync::{Arc, mpsc};

use redb::{Database, ReadableTable, Table, WriteTransaction};
use tokio::sync::oneshot;

use super::{HISTORY, KEYS, META, codec, file};
use crate::commit::{Keys, first_conflict};
use crate::history::History;
use crate::ticket::Outcome;
use crate::{Commit, Committed, Error, Key, KeyRange, Revision};

/// Groups stop joining a transaction when it has about this many bytes, so that the first need not wait for ever.
const TRANSACTION_BYTES: usize = 8 << 20;

/// A submitted group and who waits for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) group: Vec<Commit>,
    pub(super) answer: oneshot::Sender<Outcome>,
}

pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) history: Arc<History>,
}

impl Writer {
    /// Writes until the store is dropped or the storage fails; then the queue ends, and later submissions with it.
    pub(super) fn run(self, requests: &mpsc::Receiver<Request>) {
        let _at_the_end = Close(&self.history);
        while let Ok(first) = requests.recv() {
            if self.write(take_waiting(first, requests)).is_err() {
                return;
            }
        }
    }

    /// Answers only after the fsync, refusals too: they may be because of a commit that is durable only then.
    fn write(&self, requests: Vec<Request>) -> Result<(), Error> {
        let (groups, answers): (Vec<_>, Vec<_>) = requests.into_iter().map(|r| (r.group, r.answer)).unzip();
        let result = self.transact(groups);
        let outcomes = match &result {
            Ok((outcomes, commits)) => {
                self.history.publish(commits.iter().cloned());
                outcomes.clone()
            }
            Err(error) => vec![Err(error.clone()); answers.len()],
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Nobody may be waiting any more; the commit is durable all the same.
            drop(answer.send(outcome));
        }
        result.map(drop)
    }

    fn transact(&self, groups: Vec<Vec<Commit>>) -> Result<(Vec<Outcome>, Vec<Arc<Committed>>), Error> {
        let write = self.database.begin_write().map_err(Error::storage("starting a transaction"))?;
        let mut tables = Tables::open(&write, self.history.newest())?;
        let outcomes = groups.into_iter().map(|group| tables.apply(group)).collect::<Result<_, _>>()?;
        let commits = tables.finish(&self.history)?;
        write.commit().map_err(Error::storage("writing a commit to the disk"))?;
        Ok((outcomes, commits))
    }
}

/// Closes the history when the writer ends, also by a panic.
struct Close<'a>(&'a History);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The first request and those that wait behind it.
fn take_waiting(first: Request, requests: &mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = size(&first);
    let mut taken = vec![first];
    while bytes < TRANSACTION_BYTES
        && let Ok(next) = requests.try_recv()
    {
        bytes += size(&next);
        taken.push(next);
    }
    taken
}

fn size(request: &Request) -> usize {
    request.group.iter().map(Commit::size).sum()
}

/// The tables of one write transaction, and what it has committed so far.
struct Tables<'t> {
    keys: Table<'t, &'static [u8], (u64, &'static [u8])>,
    history: Table<'t, u64, &'static [u8]>,
    meta: Table<'t, &'static str, u64>,
    newest: Revision,
    commits: Vec<Arc<Committed>>,
}

impl<'t> Tables<'t> {
    fn open(write: &'t WriteTransaction, newest: Revision) -> Result<Self, Error> {
        Ok(Self {
            keys: write.open_table(KEYS).map_err(Error::storage("opening the keys"))?,
            history: write.open_table(HISTORY).map_err(Error::storage("opening the history"))?,
            meta: write.open_table(META).map_err(Error::storage("opening the revision"))?,
            newest,
            commits: Vec::new(),
        })
    }

    /// Judges a group, then applies it. The outer error is the storage's and ends the engine.
    fn apply(&mut self, group: Vec<Commit>) -> Result<Outcome, Error> {
        if let Some(conflict) = first_conflict(&group, self, self.newest)? {
            return Ok(Err(Error::Conflict(conflict)));
        }
        group.into_iter().map(|commit| self.put(commit)).collect::<Result<_, _>>().map(Ok)
    }

    fn put(&mut self, commit: Commit) -> Result<Revision, Error> {
        let revision = self.newest.next();
        for (key, value) in &commit.changes {
            let done = match value {
                Some(value) => self.keys.insert(&**key, (revision.0, &**value)),
                None => self.keys.remove(&**key),
            };
            drop(done.map_err(Error::storage("changing a key"))?);
        }
        let row = codec::encode(&commit);
        self.history.insert(revision.0, row.as_slice()).map_err(Error::storage("writing the history"))?;
        let Commit { changes, record, .. } = commit;
        self.commits.push(Arc::new(Committed { revision, changes, record }));
        self.newest = revision;
        Ok(revision)
    }

    /// Trims the history to its bounds and notes the revision.
    fn finish(mut self, history: &History) -> Result<Vec<Arc<Committed>>, Error> {
        if let Some(compacted) = history.forgets(&self.commits) {
            let gone = self.history.retain_in(..=compacted.0, |_, _| false);
            gone.map_err(Error::storage("trimming the history"))?;
            file::set_number(&mut self.meta, "compacted", compacted.0)?;
        }
        file::set_number(&mut self.meta, "revision", self.newest.0)?;
        Ok(self.commits)
    }
}

impl Keys for Tables<'_> {
    fn revision_of(&self, key: &Key) -> Result<Revision, Error> {
        let found = self.keys.get(&**key).map_err(Error::storage("comparing a key"))?;
        Ok(found.map_or(Revision::ZERO, |found| Revision(found.value().0)))
    }

    /// By the commits since then, as long as the history has them: few, however many keys there are.
    fn put_after(&self, range: &KeyRange, revision: Revision) -> Result<Option<Key>, Error> {
        let doing = "comparing a range with the history";
        let since = self.history.range(revision.next().0..).map_err(Error::storage(doing))?;
        let mut expected = revision;
        for row in since {
            let (number, commit) = row.map_err(Error::storage(doing))?;
            expected = expected.next();
            if number.value() != expected.0 {
                return self.search(range, revision);
            }
            let commit = codec::decode(expected, commit.value())?;
            for (key, value) in commit.changes {
                if value.is_some() && range.contains(&key) && self.revision_of(&key)? > revision {
                    return Ok(Some(key));
                }
            }
        }
        if expected == self.newest { Ok(None) } else { self.search(range, revision) }
    }
}

impl Tables<'_> {
    /// [`Keys::put_after`] by a look at every key of the range.
    fn search(&self, range: &KeyRange, revision: Revision) -> Result<Option<Key>, Error> {
        let doing = "comparing a range";
        let start = Bound::Included(range.start.as_slice());
        let rows = self.keys.range::<&[u8]>((start, Bound::Unbounded)).map_err(Error::storage(doing))?;
        for row in rows {
            let (key, value) = row.map_err(Error::storage(doing))?;
            if !range.contains(key.value()) {
                break;
            }
            if value.value().0 > revision.0 {
                return Key::new(key.value()).map(Some);
            }
        }
        Ok(None)
    }
}
