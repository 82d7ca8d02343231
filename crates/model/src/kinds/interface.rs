//! The server's own network interfaces (API §10.18). Computed by the server.

use std::collections::BTreeMap;

use crate::kind::{Behaviour, Envelope, Home, Shown, Verbs};
use crate::shape::wire;

wire! {
    /// A network interface of the server.
    part Interface {
        /// Always true.
        read_only: bool = "ReadOnly",
        /// Free values.
        meta: BTreeMap<String, String> = "Meta",
        /// Its name.
        name: String = "Name",
        /// Its number.
        index: i64 = "Index",
        /// Its addresses in CIDR form.
        addresses: Vec<String> = "Addresses",
        /// The address that machines would be served from, in CIDR form.
        active_address: String = "ActiveAddress",
        /// The default gateway behind it.
        gateway: String = "Gateway",
        /// Its name servers.
        dns_servers: Vec<String> = "DnsServers",
        /// Its search domain.
        dns_domain: String = "DnsDomain",
    }
}

impl Envelope for Interface {}

impl Behaviour for Interface {
    const HOME: Home = Home::Computed;
    const VERBS: Verbs = Verbs::READ;
    const SHOWN: Shown = Shown::Bare;
}
