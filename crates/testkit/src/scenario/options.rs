//! How a scenario begins.

use std::net::SocketAddr;

use gantry_lab::Lifetime;
use serde_json::{Value, json};

use crate::artifacts::Artifacts;
use crate::error::{Error, Result};

/// How a scenario begins.
#[derive(Clone, Debug)]
pub struct Options {
    /// The lab's name; a fresh one if there is none.
    pub name: Option<String>,
    /// Whether lab and server end with the [`Scenario`], or stay until somebody stops them.
    pub lifetime: Lifetime,
    /// Where the host reaches the API; port 0 takes a free one.
    pub api: SocketAddr,
    /// The workflow of machines that register.
    pub workflow: String,
    /// Parameters of all machines (profile `global`), by name.
    pub params: Vec<(String, Value)>,
}

impl Default for Options {
    /// An owned lab, a free port on the loopback, the workflow `discover`, and kernels that trust their timer: under software
    /// emulation on a busy host Linux's check of it fails and the machine panics.
    fn default() -> Self {
        Self {
            name: None,
            lifetime: Lifetime::Owned,
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            workflow: "discover".to_owned(),
            params: vec![("kernel-options".to_owned(), json!("quiet no_timer_check"))],
        }
    }
}

impl Options {
    /// The workflow `image-deploy`, with the disk image of a build.
    ///
    /// # Errors
    /// [`Error::Missing`] when no image was built.
    pub fn deploying(artifacts: &Artifacts) -> Result<Self> {
        let image = artifacts.image.as_ref().ok_or_else(|| Error::Missing("images/NAME.raw.zst".into()))?;
        let url = format!("{{{{ .ProvisionerURL }}}}/{}", image.served_as());
        let mut options = Self { workflow: "image-deploy".to_owned(), ..Self::default() };
        options.params.push(("image-deploy/image-url".to_owned(), json!(url)));
        options.params.push(("image-deploy/image-sha256".to_owned(), json!(image.sha256)));
        Ok(options)
    }
}
