//! Subnets: where DHCP is answered, and with what (API §10.12).

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::check::{self, Cross, Delete, Fill};
use crate::kind::{Behaviour, Index, IndexType};
use crate::net::Network;
use crate::parts::DhcpOption;
use crate::shape::wire;
use crate::{Address, Kind, Problems, Reservation, View};

wire! {
    /// A network in which DHCP is answered.
    object Subnet {
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// Whether it is in force.
        enabled: bool = "Enabled",
        /// Only boot information is given; another server gives addresses.
        proxy: bool = "Proxy",
        /// Machines without a boot environment here are left alone: no boot information is given.
        unmanaged: bool = "Unmanaged",
        /// The network in CIDR form. It cannot change.
        subnet: String = "Subnet",
        /// The boot server that clients are told; empty for this server.
        next_server: Address = "NextServer",
        /// The first address that is given to anybody.
        active_start: Address = "ActiveStart",
        /// The last address that is given to anybody.
        active_end: Address = "ActiveEnd",
        /// How long such an address may be kept, in seconds; at least 60 where any is given.
        active_lease_time: i64 = "ActiveLeaseTime" int32,
        /// How long a reserved address may be kept, in seconds; at least 7200.
        reserved_lease_time: i64 = "ReservedLeaseTime" int32,
        /// Only clients with a reservation get an address.
        only_reservations: bool = "OnlyReservations",
        /// Options that clients are sent.
        options: Vec<DhcpOption> = "Options",
        /// How clients are told apart; `MAC`. It cannot change.
        strategy: String = "Strategy",
        /// How a free address is picked, in order of trial: `none`, `hint`, `nextFree`, `mostExpired`.
        pickers: Vec<String> = "Pickers",
    }
}

const PICKERS: [&str; 5] = ["none", "hint", "nextFree", "mostExpired", "point2point"];

impl Subnet {
    /// The network, when the text is one.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        Network::parse(&self.subnet).ok()
    }

    /// True when the address lies in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.network().is_some_and(|network| network.contains(address))
    }

    /// True when the address lies between `ActiveStart` and `ActiveEnd`, both included.
    #[must_use]
    pub fn in_active_range(&self, address: Ipv4Addr) -> bool {
        matches!((self.active_start.v4(), self.active_end.v4()), (Some(start), Some(end)) if start <= address && address <= end)
    }

    /// The subnet that contains the address; the smallest, should networks overlap.
    #[must_use]
    pub fn containing(view: &View, address: Address) -> Option<Arc<Self>> {
        let address = address.v4()?;
        view.records(Kind::Subnet)
            .map(|record| record.typed::<Self>())
            .filter(|subnet| subnet.contains(address))
            .max_by_key(|subnet| subnet.network().map(Network::prefix))
    }
}

impl Behaviour for Subnet {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::of("Subnet", IndexType::Cidr).unique(),
        Index::of("Address", IndexType::Within("Invalid IP address: ")).unordered(),
        Index::of("ActiveAddress", IndexType::Within("Invalid IP address: ")).unordered(),
        Index::flag("Enabled"),
        Index::of("NextServer", IndexType::Address("Invalid Address: ")),
        Index::flag("Proxy").ordered(),
        Index::text("Strategy"),
        Index::text("Description"),
        Index::text("Documentation"),
    ];

    fn fill(subnet: &mut Map<String, Value>, _fill: &Fill<'_>) {
        check::default_text(subnet, "Strategy", "MAC");
        check::default_int(subnet, "ActiveLeaseTime", 60);
        check::default_int(subnet, "ReservedLeaseTime", 7200);
        if subnet.get("Pickers").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            let reserved = subnet.get("OnlyReservations") == Some(&Value::Bool(true));
            let pickers = if reserved { json!(["none"]) } else { json!(["hint", "nextFree", "mostExpired"]) };
            subnet.insert("Pickers".to_owned(), pickers);
        }
        fill_options(subnet);
    }

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        if self.proxy && self.unmanaged {
            problems.add("Unmanaged and Proxy cannot both be true");
        }
        if self.strategy.is_empty() {
            problems.add("Strategy must have a value");
        }
        check_times(self, problems);
        for picker in &self.pickers {
            if !PICKERS.contains(&picker.as_str()) {
                problems.add(format!("Picker {picker} is not a valid lease picking strategy"));
            }
        }
        match Network::parse(&self.subnet) {
            Err(_) => problems.add(format!("Invalid subnet {0}: invalid CIDR address: {0}", self.subnet)),
            Ok(network) if !self.only_reservations && !self.proxy => check_range(self, network, problems),
            Ok(_) => {}
        }
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        if cross.creating() {
            return;
        }
        if cross.changed("Subnet") {
            problems.add("Subnet range cannot change");
        }
        if cross.changed("Strategy") {
            problems.add("Strategy cannot change");
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        let Some(network) = self.network() else { return };
        for record in view.records(Kind::Subnet) {
            let other = record.typed::<Self>();
            if other.name != self.name && other.network().is_some_and(|o| o.overlaps(network)) {
                errors.push(format!("Overlaps subnet {}", other.name));
            }
        }
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        for key in delete.view.find(Kind::Reservation, "Subnet", &self.name) {
            let Some(reservation) = delete.view.object::<Reservation>(key) else { continue };
            delete.problems.used.push(format!(
                "Reservation {} is scoped for Subnet {}, cannot delete.",
                reservation.addr, self.name
            ));
        }
    }
}

fn check_times(subnet: &Subnet, problems: &mut Problems) {
    let gives_any = !subnet.only_reservations && !subnet.proxy;
    if gives_any && subnet.active_lease_time < 60 {
        problems.add(format!(
            "ActiveLeaseTime must be greater than or equal to 60 seconds, not {}",
            subnet.active_lease_time
        ));
    }
    if subnet.reserved_lease_time < 7200 {
        problems.add(format!(
            "ReservedLeaseTime must be greater than or equal to 7200 seconds, not {}",
            subnet.reserved_lease_time
        ));
    }
}

fn check_range(subnet: &Subnet, network: Network, problems: &mut Problems) {
    let ends = [("ActiveStart", subnet.active_start.v4()), ("ActiveEnd", subnet.active_end.v4())];
    for (what, _) in ends.iter().filter(|(_, address)| address.is_none()) {
        problems.add(format!("{what}: IP Address is nil"));
    }
    let [(_, Some(start)), (_, Some(end))] = ends else { return };
    for (what, address) in [("ActiveStart", start), ("ActiveEnd", end)] {
        if !network.contains(address) {
            problems.add(format!("{what} {address} not in subnet range {network}"));
        }
    }
    if start > end {
        problems.add(format!("ActiveStart {start} must be less than or equal to ActiveEnd {end}"));
    }
}

/// Puts netmask (1) and broadcast address (28) first when they are missing. One that is there with an empty value is not sent.
fn fill_options(subnet: &mut Map<String, Value>) {
    let Ok(network) = Network::parse(check::text(subnet, "Subnet")) else { return };
    let Some(Value::Array(options)) = subnet.get_mut("Options") else { return };
    for (code, value) in [(28, network.last()), (1, network.netmask())] {
        if !options.iter().any(|option| option["Code"] == code) {
            options.insert(0, json!({"Code": code, "Value": value.to_string()}));
        }
    }
}
