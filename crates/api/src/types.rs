//! Bodies of requests and answers that are not objects of a kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A fresh token, with what a client wants to know at log-in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct TokenAnswer {
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// The same as `GET /info`.
    pub info: Value,
}

/// A new password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct NewPassword {
    /// The password in clear.
    #[serde(alias = "password")]
    pub password: String,
}

/// What was uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct BlobInfo {
    /// Path; that of a file starts with a slash, that of an ISO does not.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// Which machine am I? (reference: api.md §10.20)
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct Whoami {
    /// The machine found, in an answer; empty when none scores 100.
    pub result: WhoamiResult,
    /// What the machine read from its hardware.
    pub fingerprint: Fingerprint,
    /// Hardware addresses.
    pub mac_addrs: Vec<String>,
    /// The UUID that an earlier run left on the disk.
    #[serde(rename = "OnDiskUUID")]
    pub on_disk_uuid: String,
}

/// The answer to [`Whoami`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct WhoamiResult {
    /// How well it fits; 100 is needed.
    #[serde(skip_serializing_if = "is_zero")]
    pub score: u64,
    /// The machine's UUID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// A token that acts as the machine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(score: &u64) -> bool {
    *score == 0
}

/// What identifies hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fingerprint {
    /// Hash over the system's serial number.
    #[serde(rename = "SSNHash")]
    pub ssn_hash: String,
    /// Hash over the chassis' serial number.
    #[serde(rename = "CSNHash")]
    pub csn_hash: String,
    /// Instance id given by a cloud.
    #[serde(rename = "CloudInstanceID")]
    pub cloud_instance_id: String,
    /// UUID of the firmware.
    #[serde(rename = "SystemUUID")]
    pub system_uuid: String,
    /// One id per memory module.
    #[serde(rename = "MemoryIds")]
    pub memory_ids: Vec<String>,
}
