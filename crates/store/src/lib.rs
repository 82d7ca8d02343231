//! Bytes with revisions: the bottom of Gantry.
//!
//! The contract is etcd's own semantics, kept small, so that the embedded engine and a cluster on etcd can stand
//! under the same `state` crate:
//!
//! * a flat key space: byte keys, opaque byte values ([`Key`], [`Value`]);
//! * one total order of [`Revision`]s; every commit gets its own, also one that changes nothing;
//! * [`Commit`]s that compare, put and delete many keys at once, and carry their record (who, what, why);
//! * a *group* of commits is one transaction and one fsync ([`Store::submit`]);
//! * [`Store::load`] gives every key at one revision, [`Store::follow`] every commit after a revision;
//! * history is bounded: [`Lost::Gap`] is a normal answer, and means "load again".
//!
//! # Groups
//!
//! `state` runs write closures one after another on a private head and hands over the commits of many closures as
//! one group. The group is applied whole or not at all, in its order; compares are judged against the keys as they
//! were *before* the group, because what the group itself did is already known to whoever built it. Each commit of
//! the group gets its own revision: ascending, not promised to be dense (an etcd transaction has only one, so its
//! engine has to number the commits within it). The engine adds its own grouping: groups submitted while an fsync
//! is under way share the next one.
//!
//! # Engines
//!
//! [`Memory`] for tests and for simulated fleets, [`Embedded`] for one server with one file. Both pass the same
//! conformance suite (`tests/it/conformance.rs`). Electing a leader is left out until a cluster needs it.
//!
//! Large and append-only bytes (ISO images, uploads, job logs) do not belong into the key space: see [`blobs`].

pub mod blobs;
mod commit;
mod embedded;
mod error;
mod history;
mod key;
mod memory;
mod ticket;

pub use commit::{Commit, Committed, Compare, Entry, Revision};
pub use embedded::{Embedded, Options};
pub use error::{Conflict, Error};
pub use history::{Bounds, Dated, Follow, History, Lost};
pub use key::{Key, KeyRange, MAX_KEY, MAX_VALUE, Value};
pub use memory::Memory;
pub use ticket::Ticket;

/// Bytes with revisions. See the crate's documentation for the contract.
///
/// Methods that touch the disk block; none of them needs an async runtime.
pub trait Store: Send + Sync {
    /// The newest durable revision.
    fn revision(&self) -> Revision;

    /// Calls `each` with every key in key order, all as of one revision, and returns that revision.
    ///
    /// Commits go on while a load runs; following from the returned revision misses none of them.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn load(&self, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error>;

    /// Reads one key as of now; `None` when it does not exist.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn get(&self, key: &Key) -> Result<Option<Entry>, Error>;

    /// Hands over a group of commits, to be applied together or not at all.
    ///
    /// Returns at once. The ticket resolves when the group is durable, with one revision per commit, or when it
    /// was refused. Groups are judged in the order of their submission. The queue is not bounded: a caller limits
    /// how much it has in flight.
    fn submit(&self, group: Vec<Commit>) -> Ticket;

    /// Follows every commit after a revision, each exactly once and in order, once it is durable.
    fn follow(&self, after: Revision) -> Follow;
}
