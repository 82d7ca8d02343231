//! The wall clock and the dice: the only place of the server that reads either.

use gantry_model::{Now, Time};
use ring::rand::{SecureRandom, SystemRandom};

/// The present instant.
pub fn now() -> Time {
    Time(jiff::Timestamp::now())
}

/// The present instant with a fresh seed for ids and secrets.
///
/// # Panics
/// When the operating system has no random numbers to give: nothing secret can be made then.
pub fn dice() -> Now {
    Now::new(now(), random())
}

/// Fresh random bytes.
///
/// # Panics
/// As [`dice`].
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a server without random numbers must not go on")]
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random numbers");
    bytes
}
