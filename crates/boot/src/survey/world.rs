//! The world of a survey: a server and a host that nobody is served by.

use std::sync::Arc;
use std::time::Duration;

use gantry_model::{Info, Kind, Machine};
use serde_json::Value;

use crate::host::{Host, Server};

/// Where a survey takes place: the server as machines reach it, and a host.
#[derive(Clone)]
pub struct World {
    /// The server's addresses and ports.
    pub server: Arc<Server>,
    /// Tokens, sealed values, time and chance.
    pub host: Arc<dyn Host>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({})", self.server.address)
    }
}

impl Default for World {
    /// A server on its usual ports at an address for documentation (RFC 5737), and a [`Sample`] host.
    fn default() -> Self {
        let info = Info {
            api_port: 8092,
            file_port: 8091,
            secure_file_port: 8090,
            id: "sample".to_owned(),
            ..Info::default()
        };
        let server = Server { info: Arc::new(info), address: [192, 0, 2, 1].into(), client: None };
        Self { server: Arc::new(server), host: Arc::new(Sample) }
    }
}

/// A host for renders that nobody uses: time stands still, chance is zero, tokens and secrets are words.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample;

impl gantry_template::Host for Sample {
    /// Every file is there and empty, so that templates which take a line from one find none.
    fn file(&self, _path: &str) -> Option<Arc<[u8]>> {
        Some(Arc::from([]))
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }

    fn now(&self) -> Duration {
        // 2024-01-01T00:00:00Z.
        Duration::from_secs(1_704_067_200)
    }
}

impl Host for Sample {
    fn machine_token(&self, _machine: &Machine, _seconds: i64) -> String {
        "machine-token".to_owned()
    }

    fn unknown_token(&self, _seconds: i64) -> String {
        "unknown-machine-token".to_owned()
    }

    fn profile_token(&self, _profile: &str, _seconds: i64) -> String {
        "profile-token".to_owned()
    }

    fn open(&self, _kind: Kind, _key: &str, _sealed: &Value) -> Option<Value> {
        Some("secret".into())
    }

    fn rehearses(&self) -> bool {
        true
    }
}
