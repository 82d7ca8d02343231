//! What a decision consists of: answers, saves, memory, effects, and the reason in words that can be counted.

use std::net::{Ipv4Addr, SocketAddrV4};

use gantry_model::{Address, Error, Kind, Lease, Machine, Time, Tx};

use super::memory::{Pending, Remember};
use crate::dhcp::packet::{Hardware, Packet};

/// The result of judging one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Why; for logs and counters.
    pub reason: Reason,
    /// What to send.
    pub answers: Vec<Answer>,
    /// Objects to write.
    pub saves: Vec<Save>,
    /// When they must be written.
    pub durability: Durability,
    /// Changes of the memory.
    pub remember: Vec<Remember>,
    /// What to do besides, with its result as a new input.
    pub effects: Vec<Effect>,
    /// What an operator might want to know.
    pub notes: Vec<Note>,
}

impl Outcome {
    pub(super) fn silent(reason: Reason) -> Self {
        Self {
            reason,
            answers: Vec::new(),
            saves: Vec::new(),
            durability: Durability::Nothing,
            remember: Vec::new(),
            effects: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// When saves must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// There are none.
    Nothing,
    /// They may follow the answer: what is stored covers what is promised.
    AfterAnswer,
    /// The answer promises them: first durable, then sent. Judge again on the View that the write sees.
    BeforeAnswer,
}

/// One datagram to send on the interface where the request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The message.
    pub packet: Packet,
    /// Most bytes that the client takes.
    pub max: usize,
    /// The address that we answer from: option 54 unless a relay overrides it.
    pub from: Ipv4Addr,
    /// Where it goes.
    pub to: Destination,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// An address that can be reached: a relay, or a client that has one.
    Unicast(SocketAddrV4),
    /// 255.255.255.255 and the port.
    Broadcast(u16),
    /// A client that has no address yet and did not ask for broadcast (RFC 2131 §4.1): a frame to its hardware address, or
    /// broadcast where frames cannot be sent.
    Hardware(Hardware, SocketAddrV4),
}

impl Destination {
    /// Address and port as logs and fixtures show them.
    pub fn shown(self) -> SocketAddrV4 {
        match self {
            Self::Unicast(address) => address,
            Self::Broadcast(port) => SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
            Self::Hardware(_, address) => SocketAddrV4::new(Ipv4Addr::BROADCAST, address.port()),
        }
    }
}

/// An object to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Save {
    /// The lease as it is to be.
    Lease(Box<Lease>),
    /// Someone unknown uses this address: nobody gets it until then, unless a client has it by now.
    Shun(Ipv4Addr, Time),
    /// No lease at this address.
    NoLease(Ipv4Addr),
    /// The machine of this key is at this address, and no other machine is.
    MachineAddress(String, Ipv4Addr),
}

impl Save {
    /// Writes into a draft.
    ///
    /// # Errors
    /// What the model refuses.
    pub fn write(&self, tx: &mut Tx) -> Result<(), Error> {
        match self {
            Self::Lease(lease) => tx.save(lease.as_ref()).map(drop),
            Self::Shun(address, until) => {
                let now = tx.now().time();
                let lease = super::facts::lease_at(tx.view(), *address);
                match lease.is_some_and(|l| !l.token.is_empty() && l.expire_time >= now) {
                    true => Ok(()),
                    false => tx.save(&super::facts::invalid_lease(*address, *until)).map(drop),
                }
            }
            Self::NoLease(address) => {
                tx.purge(Kind::Lease, &Address::from(*address).hex());
                Ok(())
            }
            Self::MachineAddress(key, address) => move_machine(tx, key, *address),
        }
    }
}

fn move_machine(tx: &mut Tx, key: &str, address: Ipv4Addr) -> Result<(), Error> {
    let others: Vec<String> = {
        let view = tx.view();
        let found = view.find(Kind::Machine, "Address", &address.to_string());
        found.into_iter().filter(|k| k.as_str() != key).map(|k| k.as_str().to_owned()).collect()
    };
    for other in others {
        set_address(tx, &other, Ipv4Addr::UNSPECIFIED)?;
    }
    set_address(tx, key, address)
}

fn set_address(tx: &mut Tx, key: &str, address: Ipv4Addr) -> Result<(), Error> {
    let Some(machine) = tx.view().object::<Machine>(key) else { return Ok(()) };
    tx.save(&Machine { address: address.into(), ..(*machine).clone() }).map(drop)
}

/// What the shell does besides answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// See whether anyone answers at this address (ICMP echo), then call [`super::Engine::probed`].
    Probe(Ipv4Addr),
    /// Judge this packet again, after the memory was applied.
    Again(Box<Pending>),
}

/// What was granted, for the log and the boot trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The client's address; unspecified for ProxyDHCP.
    pub address: Ipv4Addr,
    /// Boot file or URL, if netboot was offered.
    pub file: Option<String>,
}

impl Answer {
    /// The essence for a log line.
    pub fn grant(&self) -> Grant {
        let option = self.packet.options.get(crate::dhcp::option::code::BOOT_FILE);
        let file = option.as_deref().unwrap_or(&self.packet.file);
        let file = (!file.is_empty()).then(|| String::from_utf8_lossy(file).into_owned());
        Grant { address: self.packet.yiaddr, file }
    }
}

/// Why the engine did what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// OFFER sent.
    Offered(Ipv4Addr),
    /// The address is being probed first.
    Probing(Ipv4Addr),
    /// A probe for this client is under way already.
    InFlight(Ipv4Addr),
    /// The probed address is in use by someone unknown; the client's packet is judged again.
    AddressInUse(Ipv4Addr),
    /// No address for this client.
    NoLease(NoLease),
    /// ACK sent.
    Acked(Ipv4Addr),
    /// NAK sent.
    Refused(NakReason),
    /// The client chose another server.
    OtherServer(Ipv4Addr),
    /// The address is another server's matter: the subnet is a ProxyDHCP one.
    ProxySubnet,
    /// ProxyDHCP OFFER sent.
    ProxyOffered,
    /// Boot server (4011) ACK sent.
    BootServed,
    /// ProxyDHCP or boot server with nothing to boot.
    NoPxe(Withheld),
    /// Boot server request from nowhere that we know.
    NoInfo,
    /// The client gave its lease back.
    Released(Ipv4Addr),
    /// The client found its address in use.
    Declined(Ipv4Addr),
    /// Options sent to a client that has its address.
    Informed,
    /// BOOTP client with a reservation answered.
    Bootp(Ipv4Addr),
    /// RELEASE or DECLINE of a lease that is someone else's.
    Spoofed(Ipv4Addr),
    /// RELEASE or DECLINE of a lease that does not exist.
    UnknownLease,
    /// An OFFER of another server was heard.
    CompetingServer(Ipv4Addr),
    /// A message that is not for servers.
    NotHandled,
    /// The interface is not listed.
    Ignored,
    /// No message type, and no reservation that would make it BOOTP.
    MissingType,
    /// A message type that does not exist.
    InvalidType,
    /// No hardware address to know the client by.
    NoHardwareAddress,
}

impl Reason {
    /// The word for counters: DRP's where it has one. A fixed set, whatever the network sends.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Offered(_) | Self::ProxyOffered => "Offer",
            Self::Probing(_) => "Probing",
            Self::InFlight(_) => "InFlight",
            Self::AddressInUse(_) => "AddressInUse",
            Self::NoLease(_) => "NoLease",
            Self::Acked(_) | Self::BootServed | Self::Informed => "ACK",
            Self::Refused(_) => "NAK",
            Self::OtherServer(_) => "OtherServer",
            Self::ProxySubnet => "ProxySubnet",
            Self::NoPxe(_) => "NoPXE",
            Self::NoInfo => "NoInfo",
            Self::Released(_) => "Released",
            Self::Declined(_) => "Declined",
            Self::Bootp(_) => "Bootp",
            Self::Spoofed(_) => "Spoofed",
            Self::UnknownLease => "UnknownLease",
            Self::CompetingServer(_) => "CompetingServer",
            Self::NotHandled => "NotHandled",
            Self::Ignored => "Ignored",
            Self::MissingType => "MissingType",
            Self::InvalidType => "InvalidType",
            Self::NoHardwareAddress => "NoHardwareAddress",
        }
    }
}

/// Why there is no address for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLease {
    /// No subnet covers the client's network, and no reservation is its.
    NoSubnet,
    /// The subnet hands out no new addresses.
    SubnetDisabled,
    /// Every address of the pool is taken.
    Exhausted,
    /// The subnet's pickers give none.
    NoPicker,
    /// 65,536 offers are open: someone invents clients.
    TooManyOffers,
}

/// Why a REQUEST is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NakReason {
    /// The wanted address is none, or no unicast address.
    NotUnicast,
    /// Another client has it.
    Taken,
    /// It is reserved for another client.
    ReservedForOther,
    /// A different address is reserved for this client.
    ReservedElsewhere,
    /// We know of no such lease, and the network is ours.
    NoSuchLease,
    /// The client moved to another network.
    Moved,
    /// The subnet is gone.
    NothingCovers,
}

/// Why netboot is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The client did not ask for a boot file (option 55 without 67).
    NotAsked,
    /// Its reservation has an empty option 67.
    ByReservation,
    /// The subnet is unmanaged.
    Unmanaged,
    /// The machine's boot environment boots nothing from the network, as `local`.
    BootEnv,
    /// The client is no PXE or HTTP boot firmware.
    NoFirmware,
    /// No loader exists for its architecture.
    NoLoader(u16),
}

/// Something worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An option of subnet or reservation could not be rendered or packed, and was left out.
    BadOption(u8, String),
    /// The machine's boot environment does not exist.
    MissingBootEnv(String),
    /// The machine moved to a new address.
    MachineMoved {
        /// Its name.
        machine: String,
        /// The address before; unset if there was none.
        from: Address,
        /// The address now.
        to: Ipv4Addr,
    },
    /// Netboot was not offered.
    Withheld(Withheld),
}
