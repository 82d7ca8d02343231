//! The clock and the dice of one transaction, as a value.
//!
//! A write closure may run more than once (see `state`), and an engine may be replayed in a test. Both must come to the
//! same result, so neither reads a clock nor draws random numbers: they take both from a [`Now`], which the shell makes once
//! per request. Cloning a `Now` starts its sequence of ids where the original stands.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::{Time, Uuid};

/// One instant and a deterministic source of fresh ids and secrets.
#[derive(Debug)]
pub struct Now {
    time: Time,
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl Now {
    /// The instant `time` with ids drawn from `seed`. The shell passes the wall clock and 32 bytes from the system's random
    /// source; a test passes constants. Secrets are as unguessable as the seed is.
    #[must_use]
    pub fn new(time: Time, seed: [u8; 32]) -> Self {
        Self { time, seed, drawn: AtomicU64::new(0) }
    }

    /// The instant.
    #[must_use]
    pub fn time(&self) -> Time {
        self.time
    }

    /// A fresh random (version 4) UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.draw(&mut bytes);
        Uuid(Some(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }

    /// A fresh secret of `length` characters of URL-safe base64.
    #[must_use]
    pub fn secret(&self, length: usize) -> String {
        let mut bytes = vec![0; length.div_ceil(4) * 3];
        self.draw(&mut bytes);
        let mut text = URL_SAFE.encode(&bytes);
        text.truncate(length);
        text
    }

    /// Fills `bytes` with fresh random bytes: keys, nonces.
    pub fn draw(&self, bytes: &mut [u8]) {
        let stream = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut dice = ChaCha20Rng::from_seed(self.seed);
        dice.set_stream(stream);
        dice.fill_bytes(bytes);
    }
}

impl Clone for Now {
    fn clone(&self) -> Self {
        Self { time: self.time, seed: self.seed, drawn: AtomicU64::new(self.drawn.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_draws_the_same_ids_and_one_now_never_the_same_twice() {
        let now = Now::new(Time::ZERO, [7; 32]);
        let again = now.clone();
        let first = now.uuid();
        assert_eq!(first, again.uuid());
        assert_ne!(first, now.uuid());
        assert_eq!(now.secret(16).len(), 16);
        assert_ne!(now.secret(16), now.secret(16));
    }
}
