//! Events that are no change of an object: posted ones, log lines, files served.
//!
//! Beside the ordered events of `state` this bus may lose: a listener that falls behind by more than [`DEPTH`] misses the
//! oldest, and is told how many.

use std::sync::Arc;

use gantry_api::Event;
use tokio::sync::broadcast;

/// Events that a slow listener may fall behind.
const DEPTH: usize = 1_024;

/// The sending side; cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<Arc<Event>>);

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::Sender::new(DEPTH))
    }
}

impl Bus {
    /// Sends to everybody who listens now.
    pub fn publish(&self, event: Event) {
        // Nobody listening is no failure.
        let _ = self.0.send(Arc::new(event));
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    /// Whether anybody would hear.
    pub fn has_listeners(&self) -> bool {
        self.0.receiver_count() > 0
    }
}
