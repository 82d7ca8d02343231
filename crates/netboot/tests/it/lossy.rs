//! A network between a client and an engine that loses, doubles and reorders datagrams. What happens to each is a list of
//! fates, so that a failing case shrinks to the few that matter; when the list ends the network is perfect.

use std::collections::VecDeque;

use proptest::prelude::*;

/// What becomes of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Lost,
    Doubled,
    /// It passes all that are under way.
    Overtakes,
    /// It arrives, and once more behind all that follow it until the next one is late.
    Echoes,
}

/// A list of fates, mostly good ones.
pub(crate) fn fates(most: usize) -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::Overtakes),
        1 => Just(Fate::Echoes),
    ];
    prop::collection::vec(fate, 0..most)
}

/// One direction.
pub(crate) struct Wire<T> {
    fates: std::vec::IntoIter<Fate>,
    under_way: VecDeque<T>,
    late: Option<T>,
    /// How many datagrams did not simply arrive.
    pub(crate) mishaps: usize,
}

impl<T: Clone> Wire<T> {
    pub(crate) fn new(fates: Vec<Fate>) -> Self {
        Self { fates: fates.into_iter(), under_way: VecDeque::new(), late: None, mishaps: 0 }
    }

    pub(crate) fn send(&mut self, datagram: T) {
        let fate = self.fates.next().unwrap_or(Fate::Arrives);
        self.mishaps += usize::from(fate != Fate::Arrives);
        match fate {
            Fate::Arrives => self.under_way.push_back(datagram),
            Fate::Lost => {}
            Fate::Doubled => self.under_way.extend([datagram.clone(), datagram]),
            Fate::Overtakes => self.under_way.push_front(datagram),
            Fate::Echoes => {
                self.under_way.push_back(datagram.clone());
                self.under_way.extend(self.late.replace(datagram));
            }
        }
    }

    /// What arrives next; what is late arrives when nothing else is under way.
    pub(crate) fn receive(&mut self) -> Option<T> {
        self.under_way.pop_front().or_else(|| self.late.take())
    }
}
