//! Tokens that the server grants by itself: into rendered templates, and to machines that were recognised
//! (reference: network.md §2.13).

use std::time::Duration;

use gantry_model::View;

use crate::auth::Token;
use crate::clock;

/// How long tokens of known machines last.
pub fn known_timeout(view: &View) -> Duration {
    Duration::from_secs(view.preference("knownTokenTimeout").parse().unwrap_or(3_600))
}

/// A token that acts as a machine. Empty when the machine is gone.
pub fn machine(view: &View, uuid: &str, seconds: i64) -> String {
    Token::for_machine(uuid, clock::now(), duration(seconds)).issue(view).unwrap_or_default()
}

/// A token with which a machine that nobody knows registers itself.
pub fn unknown(view: &View, seconds: i64) -> String {
    Token::for_unknown(clock::now(), duration(seconds)).issue(view).unwrap_or_default()
}

/// A token for work on one profile.
pub fn profile(view: &View, profile: &str, seconds: i64) -> String {
    Token::for_profile(profile, clock::now(), duration(seconds)).issue(view).unwrap_or_default()
}

fn duration(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
