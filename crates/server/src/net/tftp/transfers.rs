//! Transfers under way, by the client's address and port: who may begin one, and what a second request from the same port means.
//!
//! A request is repeated when the answer got lost, and then it starts no second transfer. But firmware that was reset, or whose
//! refusal got lost after it had asked for a file's size, may ask again from the port that it had before: what it asks now counts,
//! and the old transfer ends.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use gantry_netboot::tftp::Request;
use tokio_util::sync::CancellationToken;

/// Transfers at once, and of one client's address.
const MOST: usize = 2_048;
const PER_CLIENT: usize = 64;
/// An equal request so long after a sign of life is no copy of the first one that was under way.
const SILENCE: Duration = Duration::from_secs(2);

/// The transfers.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    active: HashMap<SocketAddr, Active>,
    /// Tasks of each client, with those that were replaced and have not ended yet.
    tasks: HashMap<IpAddr, usize>,
    all: usize,
    begun: u64,
}

#[derive(Debug)]
struct Active {
    number: u64,
    request: Request,
    /// When the client last answered.
    heard: Option<Instant>,
    replaced: CancellationToken,
}

/// A transfer's place among them.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) client: SocketAddr,
    number: u64,
    /// Cancelled when the client asks for something else.
    pub(super) replaced: CancellationToken,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Admission {
    Welcome(Place),
    /// It is under way.
    Repeated,
    Full,
}

impl Transfers {
    pub(super) fn admit(&mut self, client: SocketAddr, request: &Request, now: Instant) -> Admission {
        let old = self.active.get(&client);
        if old.is_some_and(|old| old.request == *request && !old.is_silent(now)) {
            return Admission::Repeated;
        }
        let of_client = self.tasks.get(&client.ip()).copied().unwrap_or_default();
        if self.all >= MOST || of_client >= PER_CLIENT {
            return Admission::Full;
        }
        self.tasks.insert(client.ip(), of_client + 1);
        self.all += 1;
        self.begun += 1;
        let place = Place { client, number: self.begun, replaced: CancellationToken::new() };
        let Place { number, replaced, .. } = place.clone();
        let active = Active { number, request: request.clone(), heard: None, replaced };
        if let Some(old) = self.active.insert(client, active) {
            old.replaced.cancel();
        }
        Admission::Welcome(place)
    }

    /// The client of this transfer has answered.
    pub(super) fn heard(&mut self, place: &Place, now: Instant) {
        if let Some(active) = self.active.get_mut(&place.client).filter(|a| a.number == place.number) {
            active.heard = Some(now);
        }
    }

    /// The transfer is over.
    pub(super) fn end(&mut self, place: &Place) {
        if self.active.get(&place.client).is_some_and(|active| active.number == place.number) {
            self.active.remove(&place.client);
        }
        self.all = self.all.saturating_sub(1);
        let ip = place.client.ip();
        if let Some(tasks) = self.tasks.get_mut(&ip) {
            *tasks = tasks.saturating_sub(1);
            if *tasks == 0 {
                self.tasks.remove(&ip);
            }
        }
    }
}

impl Active {
    fn is_silent(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.duration_since(heard) >= SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use gantry_netboot::tftp::Mode;

    use super::*;

    fn request(file: &str) -> Request {
        Request { file: file.into(), mode: Mode::Octet, options: Vec::new() }
    }

    fn welcome(admission: Admission) -> Place {
        match admission {
            Admission::Welcome(place) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_copy_of_a_request_is_told_from_a_new_one() {
        let mut transfers = Transfers::default();
        let client: SocketAddr = "192.0.2.1:2070".parse().unwrap();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let first = welcome(transfers.admit(client, &request("a"), start));
        // Nothing was heard of the client: its request is sent again until an answer arrives.
        assert!(matches!(transfers.admit(client, &request("a"), after(9)), Admission::Repeated));
        transfers.heard(&first, after(10));
        assert!(
            matches!(transfers.admit(client, &request("a"), after(11)), Admission::Repeated),
            "a late copy"
        );
        let second = welcome(transfers.admit(client, &request("a"), after(12)));
        assert!(first.replaced.is_cancelled(), "the machine was reset");
        let third = welcome(transfers.admit(client, &request("b"), after(12)));
        assert!(second.replaced.is_cancelled() && !third.replaced.is_cancelled());
        // What is heard of, or ends, late is not taken for the one that goes on.
        transfers.heard(&first, after(13));
        transfers.end(&first);
        transfers.end(&second);
        assert!(matches!(transfers.admit(client, &request("b"), after(30)), Admission::Repeated));
        transfers.end(&third);
        assert!(transfers.active.is_empty() && transfers.tasks.is_empty() && transfers.all == 0);
    }

    #[test]
    fn one_client_cannot_start_more_and_more_by_changing_its_mind() {
        let mut transfers = Transfers::default();
        let client: SocketAddr = "192.0.2.1:2070".parse().unwrap();
        let now = Instant::now();
        let places: Vec<Place> = (0..PER_CLIENT)
            .map(|n| welcome(transfers.admit(client, &request(&n.to_string()), now)))
            .collect();
        assert!(matches!(transfers.admit(client, &request("x"), now), Admission::Full));
        assert!(!places[PER_CLIENT - 1].replaced.is_cancelled(), "what goes on is left alone");
        let other = "192.0.2.2:2070".parse().unwrap();
        welcome(transfers.admit(other, &request("x"), now));
        transfers.end(&places[0]);
        welcome(transfers.admit(client, &request("x"), now));
    }

    #[test]
    fn nothing_is_kept_of_those_who_are_turned_away() {
        let now = Instant::now();
        let mut transfers = Transfers { all: MOST, ..Transfers::default() };
        for n in 0..=255 {
            let client = SocketAddr::from(([192, 0, 2, n], 2070));
            assert!(matches!(transfers.admit(client, &request("x"), now), Admission::Full));
        }
        assert!(transfers.tasks.is_empty() && transfers.active.is_empty());
    }
}
