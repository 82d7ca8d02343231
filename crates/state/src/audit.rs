//! The record that every commit carries: who did what, why and when. Events and the audit trail come from it.

use gantry_model::Time;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Who writes, what, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who: `user:rocketskates`, `machine:<uuid>`, `server`.
    pub principal: String,
    /// What: `machines.patch`, `dhcp.ack`.
    pub action: String,
    /// Why, for people; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Audit {
    /// A record without a reason.
    #[must_use]
    pub fn new(principal: impl Into<String>, action: impl Into<String>) -> Self {
        Self { principal: principal.into(), action: action.into(), reason: String::new() }
    }
}

/// An [`Audit`] as it is stored, with what makes the commit recognisable when it comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    #[serde(flatten)]
    pub(crate) audit: Audit,
    pub(crate) time: Time,
    /// The run of the server that wrote it: a random number for each.
    pub(crate) origin: u64,
    /// Which write of that run it is.
    pub(crate) number: u64,
}

impl Stamp {
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers always serialise")
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(record)
            .map_err(|error| Error::Damaged { faults: vec![format!("the record of a commit: {error}")] })
    }
}
