//! Counters and gauges for Prometheus, on a listener of their own.
//!
//! Labels come only from closed sets (names of operations, classes of status), so no request can make the metrics grow:
//! everything that is no operation counts under one label.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use gantry_api::operation::Op;
use http::{Request, Response, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::incident::Incident;
use crate::listen::{Handler, Peer};
use crate::net::Counters;

/// Everything that is counted. Cloning shares the counters.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Label, Counter>,
    refused_logins: Family<Reason, Counter>,
    /// Handlers that panicked.
    pub incidents: Counter,
    /// Open websockets.
    pub websockets: Gauge,
    /// Events that a websocket reader lost because it was too slow.
    pub lost_events: Counter,
    /// Bytes taken by uploads.
    pub uploaded: Counter,
    /// What the boot services count.
    pub boot_services: Counters,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    operation: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("gantry");
        let requests = Family::default();
        registry.register(
            "api_requests",
            "Requests of the API by operation and class of status",
            requests.clone(),
        );
        let refused_logins = Family::default();
        registry.register(
            "api_refused_logins",
            "Requests with wrong or missing credentials, by what was wrong",
            refused_logins.clone(),
        );
        let incidents = Counter::default();
        registry.register("incidents", "Requests that failed in the program itself", incidents.clone());
        let websockets = Gauge::default();
        registry.register("api_websockets", "Open websockets", websockets.clone());
        let lost_events = Counter::default();
        registry.register("api_lost_events", "Events that slow websocket readers lost", lost_events.clone());
        let uploaded = Counter::default();
        registry.register("api_uploaded_bytes", "Bytes taken by uploads", uploaded.clone());
        let boot_services = Counters::default();
        boot_services.register(&mut registry);
        Self {
            registry: Arc::new(registry),
            boot_services,
            requests,
            refused_logins,
            incidents,
            websockets,
            lost_events,
            uploaded,
        }
    }
}

impl Metrics {
    /// Counts one answered request. `op` is None for everything that is no operation.
    pub fn request(&self, op: Option<Op>, status: StatusCode) {
        let operation = op.map_or("none", Op::name);
        let status = match status.as_u16() {
            100..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&Label { operation, status }).inc();
    }

    /// Counts a request whose credentials were refused.
    pub fn refused_login(&self, reason: &'static str) {
        self.refused_logins.get_or_create(&Reason { reason }).inc();
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut page = String::new();
        if text::encode(&mut page, &self.registry).is_err() {
            let _ = page.write_str("# metrics could not be written\n");
        }
        page
    }
}

/// Answers `/metrics`.
#[derive(Clone, Debug)]
pub struct Page(pub Metrics);

impl Handler for Page {
    async fn answer(self, _: Peer, request: Request<Body>) -> Response<Body> {
        if request.uri().path() == "/metrics" {
            return Response::new(Body::from(self.0.text()));
        }
        let mut answer = Response::new(Body::from("metrics are at /metrics\n"));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
    }

    fn broken(&self, incident: &Incident) -> Response<Body> {
        self.0.incidents.inc();
        let mut answer = Response::new(Body::from(format!("the server failed: {incident}\n")));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_requests_share_one_line() {
        let metrics = Metrics::default();
        metrics.request(None, StatusCode::NOT_FOUND);
        let lines = metrics.text().lines().count();
        for _ in 0..100 {
            metrics.request(None, StatusCode::NOT_FOUND);
        }
        assert_eq!(metrics.text().lines().count(), lines);
        assert!(metrics.text().contains(r#"operation="none",status="4xx"} 101"#), "{}", metrics.text());
    }
}
