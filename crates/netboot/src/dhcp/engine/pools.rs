//! What was found out about pools by looking at all of them: a cache, which saves time and changes no promise.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::Ipv4Addr;

use gantry_model::Time;

/// How long a pool that was found full is believed to be full.
const FULL_SECONDS: i64 = 2;
/// How long the order of expiry of a pool is believed when nothing in it has expired.
const QUEUE_SECONDS: i64 = 10;

/// All pools, by the name of their subnet.
#[derive(Debug, Default)]
pub(crate) struct Pools(RefCell<HashMap<String, Memo>>);

/// What was found out about a pool by looking at all of it.
#[derive(Debug, Default)]
struct Memo {
    full: Option<(Time, usize)>,
    queue: BinaryHeap<Reverse<(Time, Ipv4Addr)>>,
    queued: Option<Time>,
}

impl Pools {
    /// A lease ended before its time.
    pub(crate) fn ended(&mut self, address: Ipv4Addr) {
        self.0.get_mut().values_mut().for_each(|memo| memo.queue.push(Reverse((Time::ZERO, address))));
    }

    /// Was the pool full a moment ago, with no lease deleted since?
    pub(crate) fn is_full(&self, subnet: &str, leases: usize, now: Time) -> bool {
        let memo = self.0.borrow();
        memo.get(subnet).and_then(|m| m.full).is_some_and(|(until, had)| now < until && leases >= had)
    }

    /// The pool was searched and is full.
    pub(crate) fn note_full(&self, subnet: &str, leases: usize, now: Time) {
        let mut memo = self.0.borrow_mut();
        memo.entry(subnet.to_owned()).or_default().full = Some((now.plus_seconds(FULL_SECONDS), leases));
    }

    /// The lease of a pool that expired first and is still free for the taking.
    ///
    /// `expiry` tells an address's real expiry now, `None` when there is no lease to take there; `all` lists the pool and is
    /// called when nothing is known. The queue holds lower bounds, so that a renewed lease is simply queued again: the cost
    /// of one answer does not grow with the pool.
    pub(crate) fn oldest(
        &self,
        subnet: &str,
        now: Time,
        expiry: impl Fn(Ipv4Addr) -> Option<Time>,
        all: impl Fn() -> Vec<(Time, Ipv4Addr)>,
    ) -> Option<Ipv4Addr> {
        let mut memo = self.0.borrow_mut();
        let memo = memo.entry(subnet.to_owned()).or_default();
        if let Some(address) = pop(&mut memo.queue, now, &expiry) {
            return Some(address);
        }
        if memo.queued.is_some_and(|at| now < at.plus_seconds(QUEUE_SECONDS)) {
            return None;
        }
        memo.queued = Some(now);
        memo.queue = all().into_iter().map(Reverse).collect();
        pop(&mut memo.queue, now, &expiry)
    }
}

fn pop(
    queue: &mut BinaryHeap<Reverse<(Time, Ipv4Addr)>>,
    now: Time,
    expiry: impl Fn(Ipv4Addr) -> Option<Time>,
) -> Option<Ipv4Addr> {
    let mut later = Vec::new();
    let mut found = None;
    while let Some(Reverse((bound, address))) = queue.peek().copied() {
        if bound > now {
            break;
        }
        queue.pop();
        match expiry(address) {
            Some(real) if real < now => {
                // Stays queued: whoever takes it renews it, and then this entry is a lower bound again.
                later.push(Reverse((real, address)));
                found = Some(address);
                break;
            }
            Some(real) => later.push(Reverse((real.max(now.plus_seconds(1)), address))),
            None => later.push(Reverse((now.plus_seconds(QUEUE_SECONDS), address))),
        }
    }
    queue.extend(later);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    #[test]
    fn the_oldest_lease_is_found_without_looking_at_all_twice() {
        let pools = Pools::default();
        let address = |n: u8| Ipv4Addr::new(10, 0, 0, n);
        let looked = std::cell::Cell::new(0);
        let all = || {
            looked.set(looked.get() + 1);
            vec![(at(50), address(1)), (at(30), address(2)), (at(90), address(3))]
        };
        let real = |a: Ipv4Addr| Some(if a == address(2) { at(200) } else { at(50) });
        assert_eq!(pools.oldest("s", at(60), real, all), Some(address(1)), "2 was renewed meanwhile");
        assert_eq!(pools.oldest("s", at(61), |_| Some(at(300)), all), None);
        assert_eq!(pools.oldest("s", at(62), |_| Some(at(300)), all), None);
        assert_eq!(looked.get(), 1);
        let oldest = pools.oldest("s", at(301), |_| Some(at(300)), all);
        assert_eq!(oldest, Some(address(3)), "the lowest bound first");
    }
}
