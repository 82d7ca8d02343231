//! The typed, live, transactional View over a store.
//!
//! **Input + View → Answer + Edits; Edits → commit → follow → next View → Events.** This crate is the middle of that
//! sentence: [`State::write`] turns a closure into a commit, and what the store's `follow` brings back becomes the next
//! [`View`], then events.
//!
//! # The head
//!
//! Writing is done by one thread, which keeps a private *head*: the durable View plus what is on its way to the disk.
//! Closures run on the head one after another, so they see each other even before they are durable. While one group of
//! them is being synced, the next gathers; each group is one commit to the store and one fsync. Readers see durable
//! Views only: [`State::view`] is a pointer load and never waits.
//!
//! When somebody else (another server on the same store) has changed anything, the store refuses the group; the head is
//! thrown away and the closures run again on a new one, with the same [`Now`]: ids and time do not change. So a closure
//! may run several times; it must have no effect but its edits, and parsing or compiling belongs before it.
//! A group compares everything: no key may have been put since the View that it was made from, and because a compare of
//! a range does not notice a deletion, each commit that deletes also puts one guard key. That rules out write skew without
//! knowing what a closure has read.
//!
//! A closure's answer waits until everything that it saw is durable, also when it is an error or has no edits.
//!
//! # What follows from it
//!
//! * Only `follow` changes the View: a local write, another server's, and a restart all arrive the same way.
//! * [`State::write`] returns when the write is durable *and* visible: who reads the View then sees it.
//! * Events are made from the same step, so they are complete, in order, and say which View they belong to.
//!
//! What is left out: reading blobs (the shell gives the View its [`Catalogue`] of them), events that are no write (a bus
//! of their own in the shell), and finer compares than "nobody else wrote", which a busy cluster may ask for.

mod aside;
mod audit;
mod codec;
mod crowd;
mod error;
mod events;
mod head;
mod job;
mod load;
mod packs;
mod state;

pub use aside::SetAside;
pub use audit::Audit;
pub use error::{Error, Failure};
pub use events::Event;
pub use job::{Clash, Committed, Over, Present};
pub use state::{Setup, State};

#[doc(no_inline)]
pub use gantry_model::{Catalogue, Now, View};
#[doc(no_inline)]
pub use gantry_store::{Lost, Revision};

/// A subscriber's place among the events.
pub type Subscription = gantry_store::Follow<Event>;
