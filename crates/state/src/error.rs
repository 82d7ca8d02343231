//! What can go wrong with state.

/// Errors of the machinery: what the storage said, what is damaged, that it has ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] gantry_store::Error),
    /// What is stored does not make sense. What keeps the server from starting is listed, up to twenty faults,
    /// and then the number of the others.
    #[error("the stored state cannot be used: {}", faults.join("; "))]
    Damaged {
        /// One sentence per fault, with the key it is about.
        faults: Vec<String>,
    },
    /// The closure panicked. Nothing of it was written, and later writes are not affected.
    #[error("the write panicked; nothing of it was written")]
    Panicked,
    /// The thread that writes has panicked, outside of any closure: nothing can be written until the server starts again.
    #[error("the thread that writes has panicked")]
    Broken,
    /// The thread that writes could not be started.
    #[error("starting the thread that writes failed: {why}")]
    Start {
        /// What the system said.
        why: String,
    },
    /// The state was closed, or has ended because of an earlier error, see [`crate::State::ended`].
    #[error("the state is closed")]
    Closed,
}

/// Why a write came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure<E> {
    /// The closure returned this error; nothing of it was written.
    #[error("{0}")]
    Refused(E),
    /// The machinery failed. After an error of the storage it is unknown whether the write is durable.
    #[error(transparent)]
    Failed(#[from] Error),
}
