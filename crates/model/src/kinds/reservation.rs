//! Reservations: addresses that are kept for one client (API §10.11).

use serde_json::{Map, Value};

use crate::check::{self, Cross, Fill};
use crate::kind::{Behaviour, Index, IndexType};
use crate::parts::DhcpOption;
use crate::shape::wire;
use crate::{Address, Kind, Problems, Subnet, View};

wire! {
    /// An address that is kept for one client.
    object Reservation {
        /// The address; the key is its hexadecimal form.
        addr: Address = "Addr",
        /// The boot server that the client is told.
        next_server: Address = "NextServer",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// What identifies the client under the strategy: its MAC address.
        token: String = "Token",
        /// The subnet that contains the address, when scoped; written by the server.
        subnet: String = "Subnet",
        /// How clients are told apart; `MAC`.
        strategy: String = "Strategy",
        /// Options that the client is sent, before those of its subnet.
        options: Vec<DhcpOption> = "Options",
        /// Whether the reservation counts only inside its subnet.
        scoped: bool = "Scoped",
        /// How long the client may keep the address, in seconds; 0 for the subnet's time.
        duration: i64 = "Duration" int32,
    }
}

impl Reservation {
    /// The index that finds reservations by their token in lower case.
    pub const OWNER: &'static str = "Owner";
}

impl Behaviour for Reservation {
    const KEY: &'static str = "Addr";
    const INDEXES: &'static [Index] = &[
        Index::of("Addr", IndexType::Address("Invalid Address: ")).kept(),
        Index::of("NextServer", IndexType::Address("Invalid Address: ")),
        Index::text("Strategy"),
        Index::text("Token").kept(),
        // The token keeps the case in which it was written, and a MAC means the same in either.
        Index::text(Self::OWNER).at(&["Token"]).folded().internal(),
        Index::text("Description"),
        Index::text("Documentation"),
        Index::text("Subnet").refers(Kind::Subnet).internal(),
    ];

    fn fill(reservation: &mut Map<String, Value>, fill: &Fill<'_>) {
        let scoped = reservation.get("Scoped").and_then(Value::as_bool).unwrap_or_default();
        let address = Address::parse(check::text(reservation, "Addr")).unwrap_or_default();
        let subnet = if scoped { Subnet::containing(fill.view, address) } else { None };
        reservation.insert("Subnet".to_owned(), subnet.map(|s| s.name.clone()).unwrap_or_default().into());
    }

    fn check(&self, problems: &mut Problems) {
        check::usable_address(problems, self.addr);
        if self.token.is_empty() {
            problems.add("Reservation Token cannot be empty!");
        }
        if self.strategy.is_empty() {
            problems.add("Reservation Strategy cannot be empty!");
        }
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        for field in ["Token", "Strategy", "Scoped"] {
            if !cross.creating() && cross.changed(field) {
                problems.add(format!("{field} cannot change"));
            }
        }
        check_place(self, cross.view, problems);
        check_twins(self, cross, problems);
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        if self.scoped && Subnet::containing(view, self.addr).is_none() {
            errors.push(format!("Address {} is not in a defined Subnet, and Scoped is true.", self.addr));
        }
    }
}

fn check_place(reservation: &Reservation, view: &View, problems: &mut Problems) {
    let Some(subnet) = Subnet::containing(view, reservation.addr) else {
        if reservation.scoped {
            problems.add(format!("Address {} is not in a defined Subnet, and Scoped is true.", reservation.addr));
        }
        return;
    };
    let Some(network) = subnet.network() else { return };
    let address = reservation.addr.v4();
    if network.prefix() < 31 && (address == Some(network.first()) || address == Some(network.last())) {
        problems.add(format!(
            "Address {} is a network or broadcast address for subnet {}",
            reservation.addr, subnet.name
        ));
    }
}

/// The same client may not have two reservations in one subnet, nor two that hold everywhere.
fn check_twins(reservation: &Reservation, cross: &Cross<'_>, problems: &mut Problems) {
    for key in cross.view.find(Kind::Reservation, "Token", &reservation.token) {
        let Some(other) = cross.view.object::<Reservation>(key) else { continue };
        if other.addr == reservation.addr || other.strategy != reservation.strategy {
            continue;
        }
        let has = format!("already has Strategy {}: Token {}", reservation.strategy, reservation.token);
        match (reservation.scoped, other.scoped) {
            (true, true) if other.subnet == reservation.subnet => {
                problems.add(format!("Reservation {key} in subnet {} {has}", other.subnet));
            }
            (true, false) => problems.add(format!("Unscoped reservation {key} {has}")),
            (false, false) => problems.add(format!("Reservation {key} {has}")),
            _ => {}
        }
    }
}
