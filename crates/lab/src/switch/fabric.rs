//! The switch without its sockets: frames in, frames out.
//!
//! A learning switch after IEEE 802.1Q: a frame belongs to one VLAN, its source address is learned there, its destination decides
//! where it goes, and an unknown or group destination goes everywhere in the VLAN. Each port has two [`Channel`]s, one per way,
//! that may harm what passes. No spanning tree: a lab has no loops.
//!
//! Pure: the time is an argument (since the switch was made), so that a test is a table.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Fate, Harm, Impairment};
use super::frame::Frame;
use crate::config::Vlan;
use crate::mac::Mac;

/// How long an address is remembered (IEEE 802.1Q-2018 §8.8.3, the recommended value).
const AGEING: Duration = Duration::from_secs(300);
/// How many addresses are remembered; beyond, frames are flooded.
const ADDRESSES: usize = 16_384;

/// A port, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PortId(pub(crate) u32);

/// One way through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// From the station at the port into the switch.
    From,
    /// Out of the switch to the station at the port.
    To,
}

/// What went through a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that came from the station.
    pub from_frames: u64,
    /// Bytes that came from the station.
    pub from_bytes: u64,
    /// Frames that went to the station.
    pub to_frames: u64,
    /// Bytes that went to the station.
    pub to_bytes: u64,
    /// Frames from the station that belong to no VLAN of the port.
    pub wrong_vlan: u64,
    /// Frames from the station that are no Ethernet frames.
    pub malformed: u64,
    /// Frames to the station for which there was no room or no station.
    pub overrun: u64,
    /// What was done on purpose to frames from the station.
    pub harm_from: Harm,
    /// What was done on purpose to frames to the station.
    pub harm_to: Harm,
}

#[derive(Debug)]
struct Port {
    vlan: Vlan,
    from: Channel,
    to: Channel,
    counters: Counters,
}

/// The switch.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    seed: u64,
    ports: BTreeMap<PortId, Port>,
    addresses: HashMap<(u16, Mac), (PortId, Duration)>,
}

impl Fabric {
    pub(crate) fn new(seed: u64) -> Fabric {
        Fabric { seed, ..Fabric::default() }
    }

    pub(crate) fn add_port(&mut self, id: PortId, vlan: Vlan) {
        let (from, to) = (Channel::new(self.seed_of(id, Way::From)), Channel::new(self.seed_of(id, Way::To)));
        self.ports.insert(id, Port { vlan, from, to, counters: Counters::default() });
    }

    pub(crate) fn remove_port(&mut self, id: PortId) {
        self.ports.remove(&id);
        self.forget(id);
    }

    /// Forgets which addresses are at a port, as a switch does when the cable is drawn.
    pub(crate) fn forget(&mut self, id: PortId) {
        self.addresses.retain(|_, (port, _)| *port != id);
    }

    pub(crate) fn set_vlan(&mut self, id: PortId, vlan: Vlan) {
        if let Some(port) = self.ports.get_mut(&id) {
            port.vlan = vlan;
            self.forget(id);
        }
    }

    pub(crate) fn impair(&mut self, id: PortId, way: Way, impairment: Impairment) {
        let seed = self.seed_of(id, way);
        if let Some(port) = self.ports.get_mut(&id) {
            port.channel(way).impair(impairment, seed);
        }
    }

    pub(crate) fn state(&self, id: PortId) -> Option<(&Vlan, &Impairment, &Impairment, Counters)> {
        let port = self.ports.get(&id)?;
        let counters = Counters { harm_from: port.from.harm, harm_to: port.to.harm, ..port.counters };
        Some((&port.vlan, port.from.impairment(), port.to.impairment(), counters))
    }

    pub(crate) fn count_overrun(&mut self, id: PortId, frames: u64) {
        if let Some(port) = self.ports.get_mut(&id) {
            port.counters.overrun += frames;
        }
    }

    /// A frame has come from the station at a port. What leaves the switch at once is appended to `out`.
    pub(crate) fn receive(
        &mut self,
        id: PortId,
        frame: Bytes,
        now: Duration,
        out: &mut Vec<(PortId, Bytes)>,
    ) -> Fate {
        let Some(port) = self.ports.get_mut(&id) else { return Fate::Lost };
        port.counters.from_frames += 1;
        port.counters.from_bytes += frame.len() as u64;
        if port.from.is_clear() {
            self.forward(id, &frame, now, out);
            return Fate::Passed;
        }
        let fate = port.from.pass(frame, now);
        self.arrive(id, now, out);
        fate
    }

    /// The time has come for delayed frames. What leaves the switch is appended to `out`.
    pub(crate) fn advance(&mut self, now: Duration, out: &mut Vec<(PortId, Bytes)>) {
        let ids: Vec<PortId> = self.ports.keys().copied().collect();
        for id in ids {
            self.arrive(id, now, out);
            self.leave(id, now, out);
        }
    }

    /// When [`Fabric::advance`] has something to do next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.ports.values().flat_map(|port| [port.from.next_due(), port.to.next_due()]).flatten().min()
    }

    /// Forwards what has come through a port's incoming channel.
    fn arrive(&mut self, id: PortId, now: Duration, out: &mut Vec<(PortId, Bytes)>) {
        let mut arrived = Vec::new();
        if let Some(port) = self.ports.get_mut(&id) {
            port.from.take_due(now, |frame| arrived.push(frame));
        }
        for frame in arrived {
            self.forward(id, &frame, now, out);
        }
    }

    fn forward(&mut self, id: PortId, bytes: &Bytes, now: Duration, out: &mut Vec<(PortId, Bytes)>) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        let Some(frame) = Frame::parse(bytes) else {
            port.counters.malformed += 1;
            return;
        };
        let Some(vlan) = port.vlan.of(&frame) else {
            port.counters.wrong_vlan += 1;
            return;
        };
        self.learn(vlan, frame.source, id, now);
        match self.whereabouts(vlan, frame.destination, now) {
            Some(target) if target == id => {}
            Some(target) => self.send(target, vlan, &frame, bytes, now, out),
            None => {
                let others: Vec<PortId> = self.ports.keys().copied().filter(|other| *other != id).collect();
                others.into_iter().for_each(|target| self.send(target, vlan, &frame, bytes, now, out));
            }
        }
    }

    fn learn(&mut self, vlan: u16, source: Mac, id: PortId, now: Duration) {
        if source.is_group() {
            return;
        }
        if self.addresses.len() >= ADDRESSES && !self.addresses.contains_key(&(vlan, source)) {
            self.addresses.retain(|_, (_, seen)| now.saturating_sub(*seen) < AGEING);
            if self.addresses.len() >= ADDRESSES {
                return;
            }
        }
        self.addresses.insert((vlan, source), (id, now));
    }

    fn whereabouts(&self, vlan: u16, destination: Mac, now: Duration) -> Option<PortId> {
        if destination.is_group() {
            return None;
        }
        let (id, seen) = self.addresses.get(&(vlan, destination))?;
        (now.saturating_sub(*seen) < AGEING).then_some(*id)
    }

    /// Sends a frame towards a station, in the form that its port wants, if the port is in the VLAN.
    fn send(
        &mut self,
        id: PortId,
        vlan: u16,
        frame: &Frame<'_>,
        bytes: &Bytes,
        now: Duration,
        out: &mut Vec<(PortId, Bytes)>,
    ) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        let Some(form) = port.vlan.form(vlan) else { return };
        let dressed = match (form, frame.vlan()) {
            (Form::Untagged, None) => bytes.clone(),
            (Form::Tagged, Some(tag)) if tag == vlan => bytes.clone(),
            (Form::Untagged, Some(_)) => frame.untagged(),
            (Form::Tagged, _) => frame.tagged(vlan),
        };
        if port.to.is_clear() {
            port.depart(id, dressed, out);
            return;
        }
        port.to.pass(dressed, now);
        self.leave(id, now, out);
    }

    /// Takes what has come through a port's outgoing channel.
    fn leave(&mut self, id: PortId, now: Duration, out: &mut Vec<(PortId, Bytes)>) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        let mut arrived = Vec::new();
        port.to.take_due(now, |frame| arrived.push(frame));
        arrived.into_iter().for_each(|frame| port.depart(id, frame, out));
    }

    /// Every way of every port has its own random sequence, so that traffic elsewhere does not change it.
    fn seed_of(&self, id: PortId, way: Way) -> u64 {
        self.seed ^ (u64::from(id.0) << 1 | u64::from(way == Way::To)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Port {
    fn channel(&mut self, way: Way) -> &mut Channel {
        match way {
            Way::From => &mut self.from,
            Way::To => &mut self.to,
        }
    }

    fn depart(&mut self, id: PortId, frame: Bytes, out: &mut Vec<(PortId, Bytes)>) {
        self.counters.to_frames += 1;
        self.counters.to_bytes += frame.len() as u64;
        out.push((id, frame));
    }
}

/// How a VLAN's frames look at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Untagged,
    Tagged,
}

impl Vlan {
    /// The VLAN of a frame that comes in here. A tag with VLAN 0 carries a priority only.
    fn of(&self, frame: &Frame<'_>) -> Option<u16> {
        match (self, frame.vlan().filter(|vlan| *vlan != 0)) {
            (Vlan::Access(vlan), None) => Some(*vlan),
            (Vlan::Access(_), Some(_)) => None,
            (Vlan::Trunk { native, .. }, None) => *native,
            (Vlan::Trunk { tagged, .. }, Some(vlan)) => tagged.contains(&vlan).then_some(vlan),
        }
    }

    /// How frames of a VLAN leave here, if they do.
    fn form(&self, vlan: u16) -> Option<Form> {
        match self {
            Vlan::Access(own) => (*own == vlan).then_some(Form::Untagged),
            Vlan::Trunk { native, .. } if *native == Some(vlan) => Some(Form::Untagged),
            Vlan::Trunk { tagged, .. } => tagged.contains(&vlan).then_some(Form::Tagged),
        }
    }
}

#[cfg(test)]
mod tests;
