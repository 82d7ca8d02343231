//! The DHCP service on port 67 and the PXE boot server on 4011: packets in, decisions by the engine, leases written, answers out.
//!
//! Order matters. A promise ([`Durability::BeforeAnswer`]) is judged again inside the write closure, on the View that the write
//! sees, and its answer leaves only after the write is durable. Everything else is judged on the current View and
//! answered at once; its writes follow, judged again as well, so that a late one never undoes what happened meanwhile.

mod report;
mod send;
mod words;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gantry_model::{Error, Time, Tx, View};
use gantry_netboot::dhcp::client::Boot;
use gantry_netboot::dhcp::engine::{
    Arrival, Durability, Effect, Engine, Host, Memory, Outcome, Save, Service as Port, Settings,
};
use gantry_netboot::dhcp::{Client, Message, Packet};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::report::{malformed, word};
use super::udp::{Datagram, Socket};
use super::{Boxed, Frames, Interfaces, Prober, Reports};

/// Largest datagram looked at.
const BUFFER: usize = 16_384;
/// Writes and probes under way at once; what comes on top is dropped, and the client asks again.
const BUSY: usize = 8_192;
/// How often what has run out is dropped from the memory.
const SWEEP: Duration = Duration::from_secs(30);

/// A change of objects. It may run more than once.
pub type Change = Box<dyn FnMut(&mut Tx) -> Result<(), Error> + Send>;

/// Where leases are kept: the state, or a test's stand-in.
pub trait Durable: Send + Sync {
    /// All objects now.
    fn view(&self) -> Arc<View>;

    /// Runs the change and returns when it is durable. The error is for the log.
    fn write(&self, change: Change) -> Boxed<'_, Result<(), String>>;
}

/// The sockets of the service, bound or inherited by the caller.
#[derive(Debug)]
pub struct Sockets {
    /// Port 67.
    pub dhcp: Socket,
    /// Port 4011.
    pub binl: Option<Socket>,
    /// For clients without an address; without it they are answered by broadcast.
    pub frames: Option<Frames>,
    /// For probes; without it addresses are offered unprobed.
    pub prober: Option<Prober>,
}

/// The service.
pub struct Dhcp {
    durable: Arc<dyn Durable>,
    host: Arc<dyn Host + Send + Sync>,
    settings: Settings,
    reports: Reports,
    clock: fn() -> Time,
    memory: Mutex<Memory>,
    interfaces: Interfaces,
}

/// A packet with what is needed to answer it.
struct Asked {
    arrival: Arrival,
    packet: Packet,
    power_on: bool,
    since: Instant,
}

impl Dhcp {
    /// A service that is not listening yet.
    pub fn new(
        durable: Arc<dyn Durable>,
        host: Arc<dyn Host + Send + Sync>,
        settings: Settings,
        reports: Reports,
        clock: fn() -> Time,
    ) -> Self {
        Self {
            durable,
            host,
            settings,
            reports,
            clock,
            memory: Mutex::new(Memory::new()),
            interfaces: Interfaces::default(),
        }
    }

    /// Serves until `stop`, then finishes what is under way.
    pub async fn run(mut self, sockets: Sockets, stop: CancellationToken) {
        self.settings.probe &= sockets.prober.is_some();
        let (service, sockets) = (Arc::new(self), Arc::new(sockets));
        let mut helpers = JoinSet::new();
        {
            let (sockets, stop) = (sockets.clone(), stop.clone());
            helpers.spawn(async move {
                if let Some(prober) = &sockets.prober {
                    prober.run(stop).await;
                }
            });
        }
        tokio::join!(
            service.listen(&sockets, Port::Dhcp, &stop),
            service.listen(&sockets, Port::Binl, &stop),
            service.sweep(&stop)
        );
        while helpers.join_next().await.is_some() {}
    }

    async fn sweep(&self, stop: &CancellationToken) {
        let mut tick = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.memory().sweep((self.clock)()),
            }
        }
    }

    async fn listen(self: &Arc<Self>, sockets: &Arc<Sockets>, port: Port, stop: &CancellationToken) {
        let Some(socket) = sockets.of(port) else { return };
        let mut work = JoinSet::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = work.join_next() => continue,
                received = socket.receive(&mut buffer) => received,
            };
            match received {
                Ok(datagram) => {
                    self.datagram(sockets, port, &buffer[..datagram.len], &datagram, &mut work).await;
                }
                Err(error) => {
                    tracing::debug!(%error, service = word(port), "receive failed");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        while work.join_next().await.is_some() {}
    }

    async fn datagram(
        self: &Arc<Self>,
        sockets: &Arc<Sockets>,
        port: Port,
        bytes: &[u8],
        datagram: &Datagram,
        work: &mut JoinSet<()>,
    ) {
        let SocketAddr::V4(source) = datagram.from else { return };
        let packet = match Packet::decode(bytes) {
            Ok(packet) => packet,
            Err(error) => {
                self.reports.counters.dhcp_result(word(port), malformed(&error));
                tracing::debug!(%error, %source, service = word(port), "malformed packet");
                return;
            }
        };
        self.reports.counters.dhcp_request(word(port), &packet);
        let Some(nic) = self.interfaces.get(datagram.interface) else {
            self.reports.counters.dhcp_result(word(port), "BadInterface");
            return;
        };
        let arrival = Arrival { interface: nic.interface, source, service: port };
        let power_on = self.is_power_on(&packet);
        let asked = Asked { arrival, packet, power_on, since: Instant::now() };
        self.judge(sockets, asked, work).await;
    }

    /// Firmware that has not been given a loader yet starts a boot; so does an iPXE that sits in the NIC.
    fn is_power_on(&self, packet: &Packet) -> bool {
        let client = Client::of(packet);
        packet.message() == Some(Message::Discover)
            && client.boot != Boot::Other
            && (client.ipxe.is_none()
                || !self.memory().has_loader(&packet.chaddr, packet.xid, (self.clock)()))
    }

    async fn judge(self: &Arc<Self>, sockets: &Arc<Sockets>, asked: Asked, work: &mut JoinSet<()>) {
        let (outcome, quick) = {
            let view = self.durable.view();
            let mut memory = self.memory();
            let outcome = self.engine(&view, &memory).packet(&asked.arrival, &asked.packet);
            let quick = outcome.durability == Durability::Nothing && outcome.effects.is_empty();
            if !quick && work.len() >= BUSY {
                self.reports.counters.dhcp_result(word(asked.arrival.service), "Busy");
                return;
            }
            if outcome.durability != Durability::BeforeAnswer {
                memory.apply(outcome.remember.clone(), (self.clock)());
            } else if !memory.begin_promise(&asked.packet, (self.clock)()) {
                self.reports.counters.dhcp_result(word(asked.arrival.service), "Repeated");
                return;
            }
            (outcome, quick)
        };
        if quick {
            self.answer(sockets, &asked, &outcome).await;
            return;
        }
        let (service, sockets) = (self.clone(), sockets.clone());
        work.spawn(async move { service.finish(&sockets, asked, outcome).await });
    }

    /// Everything that takes time: writes and probes.
    async fn finish(self: Arc<Self>, sockets: &Sockets, asked: Asked, outcome: Outcome) {
        let mut next = Some((asked, outcome));
        while let Some((asked, mut outcome)) = next.take() {
            if outcome.durability == Durability::BeforeAnswer {
                let promised = self.promise(&asked).await;
                self.memory().end_promise(&asked.packet);
                match promised {
                    Ok(durable) => outcome = durable,
                    Err(error) => {
                        self.reports.counters.dhcp_result(word(asked.arrival.service), "Error");
                        tracing::error!(%error, client = %asked.packet.chaddr, "lease not written, so not granted");
                        return;
                    }
                }
            }
            self.answer(sockets, &asked, &outcome).await;
            if outcome.durability == Durability::AfterAnswer
                && let Err(error) = self.write_late(&asked, &outcome).await
            {
                tracing::warn!(%error, client = %asked.packet.chaddr, "late write failed");
            }
            next = self.perform(sockets, outcome.effects).await;
        }
    }

    /// Judges inside the write, and returns what was decided there once it is durable.
    async fn promise(self: &Arc<Self>, asked: &Asked) -> Result<Outcome, String> {
        let decided: Arc<Mutex<Option<Outcome>>> = Arc::default();
        let (service, result) = (self.clone(), decided.clone());
        let (arrival, packet) = (asked.arrival.clone(), asked.packet.clone());
        let change = move |tx: &mut Tx| {
            let outcome = service.engine(tx.view(), &service.memory()).packet(&arrival, &packet);
            outcome.saves.iter().try_for_each(|save| save.write(tx))?;
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            Ok(())
        };
        self.durable.write(Box::new(change)).await?;
        let outcome = decided.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = outcome.ok_or("the write did not run")?;
        self.memory().apply(outcome.remember.clone(), (self.clock)());
        // The write is done, whatever the engine asked for in the end.
        Ok(Outcome { durability: Durability::Nothing, saves: Vec::new(), ..outcome })
    }

    /// Writes after the answer. A packet is judged again, so that the write fits what is there by then; what a probe found
    /// ([`Save::Shun`]) looks for itself.
    async fn write_late(self: &Arc<Self>, asked: &Asked, outcome: &Outcome) -> Result<(), String> {
        let service = self.clone();
        let (arrival, packet) = (asked.arrival.clone(), asked.packet.clone());
        let shuns: Vec<Save> =
            outcome.saves.iter().filter(|s| matches!(s, Save::Shun(..))).cloned().collect();
        let change = move |tx: &mut Tx| {
            if !shuns.is_empty() {
                return shuns.iter().try_for_each(|save| save.write(tx));
            }
            let again = service.engine(tx.view(), &service.memory()).packet(&arrival, &packet);
            again.saves.iter().try_for_each(|save| save.write(tx))
        };
        self.durable.write(Box::new(change)).await
    }

    /// Does what the engine asked for; the result is the next thing to answer.
    async fn perform(&self, sockets: &Sockets, effects: Vec<Effect>) -> Option<(Asked, Outcome)> {
        let mut next = None;
        for effect in effects {
            next = match effect {
                Effect::Probe(address) => self.probe(sockets, address).await,
                Effect::Again(pending) => {
                    let asked = Asked {
                        arrival: pending.arrival,
                        packet: pending.packet,
                        power_on: false,
                        since: Instant::now(),
                    };
                    let view = self.durable.view();
                    let mut memory = self.memory();
                    let outcome = self.engine(&view, &memory).packet(&asked.arrival, &asked.packet);
                    memory.apply(outcome.remember.clone(), (self.clock)());
                    Some((asked, outcome))
                }
            };
        }
        next
    }

    async fn probe(&self, sockets: &Sockets, address: Ipv4Addr) -> Option<(Asked, Outcome)> {
        let since = Instant::now();
        let in_use = match &sockets.prober {
            Some(prober) => prober.in_use(address).await,
            None => false,
        };
        let view = self.durable.view();
        let mut memory = self.memory();
        let pending = memory.pending(address)?.clone();
        let outcome = self.engine(&view, &memory).probed(address, in_use);
        memory.apply(outcome.remember.clone(), (self.clock)());
        Some((Asked { arrival: pending.arrival, packet: pending.packet, power_on: false, since }, outcome))
    }

    fn engine<'a>(&'a self, view: &'a View, memory: &'a Memory) -> Engine<'a> {
        Engine { view, memory, settings: &self.settings, host: &*self.host, now: (self.clock)() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    fn of(&self, port: Port) -> Option<&Socket> {
        match port {
            Port::Dhcp => Some(&self.dhcp),
            Port::Binl => self.binl.as_ref(),
        }
    }
}
