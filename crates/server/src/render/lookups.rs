//! Addresses of names, for templates. A template decides over the name and its reader over the moment, and a server of names
//! may be slow; so look-ups are counted.

use std::net::ToSocketAddrs as _;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::Semaphore;

/// So many names are looked up at one time; while all wait for a slow server of names, further ones have no addresses.
const AT_ONCE: usize = 32;

/// Look-ups of names that are under way, those that nobody waits for any more included.
#[derive(Debug)]
pub(crate) struct Lookups(Arc<Semaphore>);

impl Default for Lookups {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Lookups {
    /// The addresses of a name, if the system finds them in time. Its resolver knows no deadline and cannot be interrupted, so
    /// it works on a thread of its own, which ends with it.
    pub(super) fn addresses(&self, name: String, patience: Duration) -> Option<Vec<String>> {
        if patience.is_zero() {
            return None;
        }
        let place = self.0.clone().try_acquire_owned().ok()?;
        let (sender, answer) = mpsc::channel();
        let look = move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            drop(place);
            // Fails when nobody waits any more.
            sender.send(found.map(|all| all.map(|address| address.ip().to_string()).collect())).ok();
        };
        std::thread::Builder::new().name("resolver".to_owned()).spawn(look).ok()?;
        answer.recv_timeout(patience).ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_are_bounded() {
        let lookups = Lookups(Arc::new(Semaphore::new(1)));
        let look = || lookups.addresses("192.0.2.7".to_owned(), Duration::from_secs(60));
        for _ in 0..2 {
            assert_eq!(look(), Some(vec!["192.0.2.7".to_owned()]));
        }
        let _other = lookups.0.clone().try_acquire_owned().unwrap();
        assert_eq!(look(), None);
    }
}
