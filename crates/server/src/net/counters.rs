//! Metrics of the boot services. Labels come from closed sets only: no packet, path or name can make them grow.

use std::sync::Arc;

use gantry_netboot::dhcp::Packet;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Protocol, Served};

/// The counters. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    requests: Family<Request, Counter>,
    results: Family<Outcome, Counter>,
    files: Family<File, Counter>,
    bytes: Family<Bytes, Counter>,
    retries: Counter,
    transfers: Gauge,
    advertisements: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    service: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    service: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct File {
    protocol: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bytes {
    protocol: &'static str,
}

impl Counters {
    /// Makes the counters visible.
    pub fn register(&self, registry: &mut Registry) {
        let Inner { requests, results, files, bytes, retries, transfers, advertisements } = &*self.0;
        registry.register("dhcp_requests", "DHCP packets by service and message type", requests.clone());
        registry.register("dhcp_results", "What became of DHCP packets", results.clone());
        registry.register("file_requests", "Requests for files by protocol and status", files.clone());
        registry.register("file_bytes", "Bytes of files sent", bytes.clone());
        registry.register("tftp_retries", "TFTP datagrams sent again", retries.clone());
        registry.register("tftp_transfers", "TFTP transfers under way", transfers.clone());
        registry.register("router_advertisements", "Router advertisements sent", advertisements.clone());
    }

    pub(super) fn dhcp_request(&self, service: &'static str, packet: &Packet) {
        let kind = packet.message().map_or("none", |message| message.word());
        self.0.requests.get_or_create(&Request { service, kind }).inc();
    }

    pub(super) fn dhcp_result(&self, service: &'static str, result: &'static str) {
        self.0.results.get_or_create(&Outcome { service, result }).inc();
    }

    pub(super) fn file(&self, served: &Served) {
        let protocol = served.wanted.protocol.word();
        self.file_status(served.wanted.protocol, &served.status);
        self.0.bytes.get_or_create(&Bytes { protocol }).inc_by(served.bytes);
        self.0.retries.inc_by(u64::from(served.retries));
    }

    /// Counts a request that was no request for a file.
    pub(super) fn file_status(&self, protocol: Protocol, status: &str) {
        const KNOWN: [&str; 15] = [
            "200",
            "206",
            "304",
            "400",
            "404",
            "405",
            "416",
            "500",
            "503",
            "SUCCESS",
            "PROBED",
            "FAILED",
            "MALFORMED",
            "BUSY",
            "REFUSED",
        ];
        let status = KNOWN.iter().find(|known| **known == status).unwrap_or(&"other");
        self.0.files.get_or_create(&File { protocol: protocol.word(), status }).inc();
    }

    pub(super) fn transfers(&self) -> &Gauge {
        &self.0.transfers
    }

    pub(super) fn advertised(&self) {
        self.0.advertisements.inc();
    }
}
