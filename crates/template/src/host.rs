//! [`Host`]: the only way in which a template meets the world. Randomness, the clock, the local time
//! zone, names, files and the deadline come from here, so a render is a function of its inputs and
//! its host.

use std::fs::File;
use std::io::Read as _;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What the world looks like to a template.
pub trait Host: Send + Sync {
    /// Fills `buffer` with random bytes fit for keys.
    fn random(&self, buffer: &mut [u8]);

    /// Time since the Unix epoch.
    fn now(&self) -> Duration;

    /// IANA name of the local time zone.
    fn time_zone(&self) -> &str {
        "UTC"
    }

    /// Addresses of a host name; empty when there are none.
    fn resolve(&self, name: &str) -> Vec<String> {
        let _ = name;
        Vec::new()
    }

    /// Content of a file that objects of the embedding program may show to templates; `None` when it
    /// does not exist.
    fn file(&self, path: &str) -> Option<Arc<[u8]>> {
        let _ = path;
        None
    }

    /// A render is about to look up the template of this name, which may not exist. For those who keep a result and want to
    /// know what it was made of.
    fn looks_up(&self, template: &[u8]) {
        let _ = template;
    }

    /// Whether the render has run out of time. Asked every thousand steps.
    fn expired(&self) -> bool {
        false
    }
}

/// The world as this process sees it, without files and without a deadline. Local time is UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Host for System {
    fn random(&self, buffer: &mut [u8]) {
        let filled = File::open("/dev/urandom").and_then(|mut source| source.read_exact(buffer));
        filled.expect("a running system has random bytes");
    }

    fn now(&self) -> Duration {
        // A clock before 1970 is as good as none.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn resolve(&self, name: &str) -> Vec<String> {
        let found = (name, 0).to_socket_addrs();
        found.map(|all| all.map(|address| address.ip().to_string()).collect()).unwrap_or_default()
    }
}

/// A host without a world: fixed time, a counting generator instead of randomness. For tests, and for
/// renderings that are only compared.
#[derive(Debug, Default)]
pub struct NoHost {
    counter: std::sync::atomic::AtomicU64,
}

impl Host for NoHost {
    fn random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let n = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            chunk.copy_from_slice(&split_mix(n).to_le_bytes()[..chunk.len()]);
        }
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

fn split_mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
