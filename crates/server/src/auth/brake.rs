//! Slows down who guesses passwords: from one address a user's password may be wrong a few times in a row, then once every few seconds.
//!
//! One instant is kept for each pair of address and user name (the generic cell rate algorithm): when all wrong passwords so far
//! will have been forgiven. Pairs keep apart what must not hinder each other: a script with an old password stops neither another
//! user at the same address nor its own user elsewhere. The table is bounded; when it is full, who was wrong least gives way.
//! Left out: a brake over all addresses of a user, which would let strangers lock a user out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong passwords in a row that cost nothing but their check.
const FREE: u32 = 20;
/// After this time one of them is forgiven.
const EACH: Duration = Duration::from_secs(6);
/// Pairs of address and user that are kept.
const KEPT: usize = 4_096;

/// Who was wrong how often, of late.
#[derive(Debug, Default)]
pub(super) struct Brake {
    forgiven: HashMap<(IpAddr, Box<str>), Instant>,
}

impl Brake {
    /// How long `user` at `from` has to wait for the next check; none when it may be made.
    pub(super) fn wait(&self, from: IpAddr, user: &str, now: Instant) -> Option<Duration> {
        let forgiven = *self.forgiven.get(&key(from, user))?;
        let open = forgiven.checked_sub(EACH * (FREE - 1))?;
        open.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Counts a wrong password.
    pub(super) fn wrong(&mut self, from: IpAddr, user: &str, now: Instant) {
        let key = key(from, user);
        if self.forgiven.len() >= KEPT && !self.forgiven.contains_key(&key) {
            self.make_room(now);
        }
        let forgiven = self.forgiven.entry(key).or_insert(now);
        *forgiven = (*forgiven).max(now) + EACH;
    }

    fn make_room(&mut self, now: Instant) {
        self.forgiven.retain(|_, forgiven| *forgiven > now);
        if self.forgiven.len() < KEPT {
            return;
        }
        let least = self.forgiven.iter().min_by_key(|(_, forgiven)| **forgiven);
        if let Some(least) = least.map(|(key, _)| key.clone()) {
            self.forgiven.remove(&least);
        }
    }
}

/// Who has one IPv6 address has its whole network of 64 bits.
fn key(from: IpAddr, user: &str) -> (IpAddr, Box<str>) {
    let network = match from.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX))),
        four @ IpAddr::V4(_) => four,
    };
    (network, user[..user.floor_char_boundary(super::LONGEST_NAME)].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann";

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn twenty_are_free_and_then_one_in_six_seconds() {
        let (mut brake, now, here) = (Brake::default(), Instant::now(), at("192.0.2.1"));
        for _ in 0..FREE {
            assert_eq!(brake.wait(here, ANN, now), None);
            brake.wrong(here, ANN, now);
        }
        assert_eq!(brake.wait(here, ANN, now), Some(EACH));
        assert_eq!(brake.wait(here, ANN, now + EACH / 2), Some(EACH / 2));
        assert_eq!(brake.wait(here, ANN, now + EACH), None);
        brake.wrong(here, ANN, now + EACH);
        assert_eq!(brake.wait(here, ANN, now + EACH), Some(EACH));
        assert_eq!(brake.wait(here, ANN, now + EACH * (FREE + 1)), None);
    }

    #[test]
    fn others_are_not_hindered() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for _ in 0..FREE {
            brake.wrong(at("2001:db8::1"), ANN, now);
        }
        assert!(brake.wait(at("2001:db8::2"), ANN, now).is_some(), "the same network");
        assert_eq!(brake.wait(at("2001:db8:0:1::1"), ANN, now), None);
        assert_eq!(brake.wait(at("2001:db8::1"), "bob", now), None);
    }

    #[test]
    fn a_full_table_keeps_the_worst() {
        let (mut brake, now, here) = (Brake::default(), Instant::now(), at("192.0.2.1"));
        for _ in 0..FREE {
            brake.wrong(here, ANN, now);
        }
        for n in 0..KEPT * 2 {
            brake.wrong(here, &n.to_string(), now);
        }
        assert_eq!(brake.forgiven.len(), KEPT);
        assert!(brake.wait(here, ANN, now).is_some());
    }
}
