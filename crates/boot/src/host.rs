//! What rendering needs of the world: the server's own addresses, tokens, private keys.

use std::net::IpAddr;
use std::sync::Arc;

use gantry_model::{Info, Kind, Machine};
use serde_json::Value;

/// The world of a render: that of the template language, and what only the server can make.
pub trait Host: gantry_template::Host {
    /// A token of a known machine, for `seconds`.
    fn machine_token(&self, machine: &Machine, seconds: i64) -> String;

    /// A token with which an unknown machine registers itself, for `seconds`.
    fn unknown_token(&self, seconds: i64) -> String;

    /// A token for one profile, for `seconds`.
    fn profile_token(&self, profile: &str, seconds: i64) -> String;

    /// Opens a sealed parameter of the object `kind`/`key`; none when that is not possible.
    fn open(&self, kind: Kind, key: &str, sealed: &Value) -> Option<Value>;

    /// True when nobody gets what is rendered: then a machine's boot token, which is only a word, needs no proof of who asks.
    fn rehearses(&self) -> bool {
        false
    }
}

/// The server as the asking machine reaches it.
#[derive(Debug, Clone)]
pub struct Server {
    /// What the server says about itself: ports, id, host name.
    pub info: Arc<Info>,
    /// The server's address on the way to the machine.
    pub address: IpAddr,
    /// The address of whoever asks, when known. Files whose path names no machine are rendered for the machine there.
    pub client: Option<IpAddr>,
}

impl Server {
    /// The address in a URL: IPv6 in brackets.
    #[must_use]
    pub fn bracketed(&self) -> String {
        match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }
    }

    /// The server's name if it was given one, else its address as in a URL.
    #[must_use]
    pub fn named(&self) -> String {
        if self.info.server_hostname.is_empty() {
            self.bracketed()
        } else {
            self.info.server_hostname.clone()
        }
    }

    /// Where files are served.
    #[must_use]
    pub fn files_url(&self) -> String {
        format!("http://{}:{}", self.bracketed(), self.info.file_port)
    }
}
