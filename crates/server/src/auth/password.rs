//! Passwords: how they are stored and how they are checked without costing 50 ms each time.
//!
//! New hashes are Argon2id in PHC form; users imported from DRP keep their scrypt hash (`N$r$p$salt$key`, hexadecimal) and it
//! is verified as such. A hash is slow by design, so verified credentials are remembered: under a digest keyed with a random
//! key of this process, over user name, password and stored hash. The password itself is not kept, and a changed hash makes
//! the memory miss by itself. Guesses are never remembered and run a few at a time, so guessing cannot eat all processors, and who
//! guesses on is slowed down ([`Brake`]).

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::hmac;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::brake::Brake;
use crate::{clock, incident};

/// Memory of one hash in KiB, its passes and lanes: the second choice of RFC 9106 §4 scaled to 19 MiB, as OWASP advises.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Verified credentials that are remembered.
const REMEMBERED: usize = 1_024;
/// Slow checks at the same time.
const AT_ONCE: usize = 2;
/// The costs of a scrypt hash that is verified: N up to 2^17 and r up to 16 take 256 MiB at most.
const SCRYPT_LIMITS: (u8, u32, u32) = (17, 16, 4);

/// Checks passwords and remembers those that were right.
#[derive(Debug)]
pub struct Passwords {
    key: hmac::Key,
    known: Mutex<Known>,
    brake: Mutex<Brake>,
    slots: Arc<Semaphore>,
    slow: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    digests: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &clock::random::<32>()),
            known: Mutex::default(),
            brake: Mutex::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            slow: AtomicU64::new(0),
        }
    }
}

/// What was found of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Right,
    /// It is another.
    Wrong,
    /// Not looked at: too many were wrong of late. The next one is, after this time.
    Later(Duration),
}

impl Passwords {
    /// Whether `password`, sent from an address, is the one behind `stored`, the text of the user's PasswordHash.
    pub async fn verify(&self, from: IpAddr, user: &str, password: &str, stored: &[u8]) -> Verdict {
        let digest = self.digest(user, password, stored);
        if self.known().digests.contains(&digest) {
            return Verdict::Right;
        }
        let Ok(_slot) = self.slots.acquire().await else { return Verdict::Wrong };
        // Asked with the slot in hand: of many guesses at once no more than the slots are ahead of the brake.
        if let Some(wait) = self.brake().wait(from, user, Instant::now()) {
            return Verdict::Later(wait);
        }
        self.slow.fetch_add(1, Ordering::Relaxed);
        let (word, stored) = (password.to_owned(), stored.to_owned());
        let checked = tokio::task::spawn_blocking(move || verify(&word, &stored)).await;
        // An empty password opens nothing, whatever hash was stored.
        if incident::done(checked).unwrap_or(false) && !password.is_empty() {
            self.known().remember(digest);
            return Verdict::Right;
        }
        self.brake().wrong(from, user, Instant::now());
        Verdict::Wrong
    }

    /// How many times a slow check was made.
    pub fn slow_checks(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// The hash to store for a new password.
    pub async fn hash(&self, password: &str) -> Option<Vec<u8>> {
        let _slot = self.slots.acquire().await.ok()?;
        let password = password.to_owned();
        incident::done(tokio::task::spawn_blocking(move || hash(&password)).await)?
    }

    fn digest(&self, user: &str, password: &str, stored: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), password.as_bytes(), stored] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn brake(&self) -> MutexGuard<'_, Brake> {
        self.brake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn remember(&mut self, digest: [u8; 32]) {
        if !self.digests.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.digests.remove(&oldest);
        }
    }
}

/// The Argon2id hash of a password, in PHC form. None only when the random source or memory fails.
pub fn hash(password: &str) -> Option<Vec<u8>> {
    let hash = argon().hash_password_with_salt(password.as_bytes(), &clock::random::<16>()).ok()?;
    Some(hash.to_string().into_bytes())
}

/// Whether [`Passwords::verify`] can find a password right for the stored text: what it cannot read is wrong for every one.
pub fn is_hash(stored: &[u8]) -> bool {
    let Ok(stored) = std::str::from_utf8(stored) else { return false };
    if stored.starts_with('$') {
        return PasswordHash::new(stored).is_ok_and(|hash| {
            Algorithm::try_from(hash.algorithm.as_str()).is_ok()
                && hash.salt.is_some()
                && hash.hash.is_some()
                && Params::try_from(&hash).is_ok()
        });
    }
    Scrypt::parse(stored).is_some()
}

/// Whether `password` is the one behind `stored`. Slow by design; for requests there is [`Passwords::verify`].
pub(crate) fn verify(password: &str, stored: &[u8]) -> bool {
    let Ok(stored) = std::str::from_utf8(stored) else { return false };
    if stored.starts_with('$') {
        return PasswordHash::new(stored)
            .is_ok_and(|hash| argon().verify_password(password.as_bytes(), &hash).is_ok());
    }
    Scrypt::parse(stored).is_some_and(|scrypt| scrypt.verify(password))
}

fn argon() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// `16384$8$1$<salt>$<key>`, salt and key in hexadecimal (reference: api.md §10.13).
struct Scrypt {
    params: scrypt::Params,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Scrypt {
    /// `None` when it is none, or costs more than is spent on one.
    fn parse(stored: &str) -> Option<Self> {
        let mut parts = stored.trim().split('$');
        let n: u64 = parts.next()?.parse().ok()?;
        let (r, p): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (salt, key) = (unhex(parts.next()?)?, unhex(parts.next()?)?);
        let log_n = u8::try_from(n.checked_ilog2()?).ok().filter(|_| n.is_power_of_two())?;
        let (most_log_n, most_r, most_p) = SCRYPT_LIMITS;
        if log_n > most_log_n || r > most_r || p > most_p || key.is_empty() || key.len() > 64 {
            return None;
        }
        Some(Self { params: scrypt::Params::new(log_n, r, p).ok()?, salt, key })
    }

    fn verify(&self, password: &str) -> bool {
        let mut got = vec![0; self.key.len()];
        let made = scrypt::scrypt(password.as_bytes(), &self.salt, &self.params, &mut got);
        made.is_ok() && got.ct_eq(&self.key).into()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914 §12: scrypt ("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1).
    const SCRYPT: &str = "16384$8$1$536f6469756d43686c6f72696465$7023bdcb3afd7348461c06cd81fd38eb\
                          fda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9\
                          e61e85dc0d651e40dfcf017b45575887";

    #[tokio::test]
    async fn a_right_password_is_slow_once_and_a_wrong_one_is_never_right() {
        let passwords = Passwords::default();
        let stored = hash("secret").unwrap();
        let here = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(passwords.verify(here, "bob", "Secret", &stored).await, Verdict::Wrong);
        assert_eq!(passwords.verify(here, "bob", "secret", &stored).await, Verdict::Right);
        assert!(passwords.known().digests.contains(&passwords.digest("bob", "secret", &stored)));
        assert_eq!(passwords.verify(here, "bob", "secret", &hash("other").unwrap()).await, Verdict::Wrong);
        assert_eq!(passwords.verify(here, "bob", "", &hash("").unwrap()).await, Verdict::Wrong);
    }

    #[test]
    fn hashes_of_drp_users_still_work() {
        assert!(verify("pleaseletmein", SCRYPT.as_bytes()));
        assert!(!verify("pleaseletmeout", SCRYPT.as_bytes()));
        assert!(is_hash(SCRYPT.as_bytes()) && is_hash(&hash("secret").unwrap()) && !is_hash(b"secret"));
    }

    #[test]
    fn a_damaged_or_greedy_hash_is_just_wrong() {
        for stored in [
            "",
            "$",
            "$argon2id$v=19$m=1",
            "16384$8$1$zz$00",
            "16384$8$1$00$+f",
            "1073741824$8$1$00$00",
            "16384$8$1$00",
        ] {
            assert!(!verify("x", stored.as_bytes()) && !is_hash(stored.as_bytes()), "{stored}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut known = Known::default();
        for n in 0..=u32::try_from(REMEMBERED).unwrap() {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.to_be_bytes());
            known.remember(digest);
        }
        assert_eq!((known.digests.len(), known.order.len()), (REMEMBERED, REMEMBERED));
    }
}
