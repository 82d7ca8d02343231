//! Incidents: faults of the program itself, which must neither end the server nor look like anything else.
//!
//! A handler that panics answers 500 with the number of its incident; the log has the same number with what was asked and
//! what the panic said. Work of a handler on other threads panics through the handler ([`done`]), so there is one place that
//! catches: the listener, around every handler.
//!
//! Three things are not handlers. The tree of files answers a panic as a file that failed, with its words ([`why_not`]), because
//! TFTP has no listener of this kind. A body that is being sent can only be cut. Background work (catalogue, trace, removal of
//! logs) loses one round; what the panic said is on standard error, as for every panic.

use std::any::Any;

use tokio::task::JoinError;

use crate::clock;
use crate::listen::Peer;

/// One fault, by the number under which the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident(String);

impl Incident {
    /// Logs a panic that was caught while a request was answered.
    pub(crate) fn note(panic: &(dyn Any + Send), asked: &str, peer: Peer) -> Self {
        let number = base16ct::lower::encode_string(&clock::random::<4>());
        let client = peer.remote.ip().to_canonical();
        tracing::error!(incident = %number, request = asked, %client, panic = said(panic), "a request failed in the program itself");
        Self(number)
    }
}

impl std::fmt::Display for Incident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "incident {}, see the server's log", self.0)
    }
}

/// The outcome of work that was given to another thread. A panic there goes on here; `None` when the runtime ended first.
pub(crate) fn done<T>(joined: Result<T, JoinError>) -> Option<T> {
    match joined {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

/// Why such work has no outcome, for services that answer in their own way.
pub(crate) fn why_not(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("the server failed: {}", said(&*panic)),
        Err(_) => "the server is stopping".into(),
    }
}

/// Goes on with a panic that the state caught in a closure; its place was printed when it happened.
pub(crate) fn write_panicked() -> ! {
    std::panic::resume_unwind(Box::new("the closure of a write panicked"))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[tokio::test]
    async fn a_panic_on_another_thread_is_no_end_of_the_server() {
        assert_eq!(done(tokio::task::spawn_blocking(|| 7).await), Some(7));
        let joined = tokio::task::spawn_blocking(|| panic!("number {}", 8)).await;
        let panic = catch_unwind(AssertUnwindSafe(|| done::<()>(joined))).unwrap_err();
        assert_eq!(said(&*panic), "number 8");
        let never = tokio::spawn(std::future::pending::<()>());
        never.abort();
        assert_eq!(done(never.await), None);
        let joined = tokio::task::spawn_blocking(|| panic!("number {}", 9)).await;
        assert_eq!(why_not(joined.unwrap_err()), "the server failed: number 9");
    }
}
