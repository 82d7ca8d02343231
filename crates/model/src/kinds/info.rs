//! What the server says about itself (API §19). Computed by the server; the shape is here so that help and OpenAPI know it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Address;
use crate::kind::{Behaviour, Envelope, Home, Shown, Verbs};
use crate::shape::wire;

wire! {
    /// A count that the server reports.
    part Stat {
        /// What is counted, such as `machines.count`.
        name: String = "name",
        /// How many.
        count: i64 = "count",
    }
}

wire! {
    /// What the server is, which ports and features it has.
    part Info {
        /// Its architecture, in Go's words.
        arch: String = "arch",
        /// Its operating system, in Go's words.
        os: String = "os",
        /// The version of the API that it speaks.
        version: String = "version",
        /// The version of Gantry itself.
        gantry_version: String = "gantry_version",
        /// Its id.
        id: String = "id",
        /// The MAC address of its first interface.
        local_id: String = "local_id",
        /// The id of its high-availability group.
        ha_id: String = "ha_id",
        /// The id of the active member.
        ha_active_id: String = "ha_active_id",
        /// Whether it is a member of a group.
        ha_enabled: bool = "ha_enabled",
        /// Whether it is the active member.
        ha_is_active: bool = "ha_is_active",
        /// The shared address of the group.
        ha_virtual_address: String = "ha_virtual_address",
        /// `Up` when all is well.
        ha_status: String = "ha_status",
        /// The other members.
        ha_passive_state: Vec<Value> = "ha_passive_state",
        /// The TCP port of the API.
        api_port: i64 = "api_port",
        /// The TCP port of plain file service.
        file_port: i64 = "file_port",
        /// The TCP port of file service over TLS.
        secure_file_port: i64 = "secure_file_port",
        /// The UDP port of TFTP.
        tftp_port: i64 = "tftp_port",
        /// The UDP port of DHCP.
        dhcp_port: i64 = "dhcp_port",
        /// The UDP port of BINL (ProxyDHCP).
        binl_port: i64 = "binl_port",
        /// Whether TFTP is served.
        tftp_enabled: bool = "tftp_enabled",
        /// Whether DHCP is served.
        dhcp_enabled: bool = "dhcp_enabled",
        /// Whether BINL is served.
        binl_enabled: bool = "binl_enabled",
        /// Whether files are served.
        prov_enabled: bool = "prov_enabled",
        /// Whether files are served over TLS.
        secure_prov_enabled: bool = "secure_prov_enabled",
        /// The address that the client reached.
        address: Address = "address",
        /// The server's name, when it was given one.
        server_hostname: String = "server_hostname",
        /// Whether it manages other servers.
        manager: bool = "manager",
        /// Counts.
        stats: Vec<Stat> = "stats",
        /// Feature flags that content and clients test for.
        features: Vec<String> = "features",
        /// What can be permitted: actions by scope.
        scopes: BTreeMap<String, Value> = "scopes",
        /// The licence; every feature is present.
        license: Map<String, Value> = "License",
        /// The cluster that it is a member of: `Enabled` is false for a server that stands alone.
        cluster_state: Map<String, Value> = "ClusterState",
        /// What is wrong with the server.
        errors: Vec<String> = "errors",
    }
}

impl Envelope for Info {}

impl Behaviour for Info {
    const KEY: &'static str = "id";
    const HOME: Home = Home::Computed;
    const VERBS: Verbs = Verbs::NONE;
    const SHOWN: Shown = Shown::Bare;
}
