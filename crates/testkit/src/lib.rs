//! Whole scenarios: a lab with a server in it, machines of real firmware, and what is to be seen of them by the API.
//!
//! ```no_run
//! use std::time::Duration;
//! use gantry_lab::MachineSpec;
//! use gantry_testkit::{Artifacts, Options, Scenario};
//!
//! # fn main() -> gantry_testkit::Result<()> {
//! let artifacts = Artifacts::find("build".as_ref())?;
//! let scenario = Scenario::start(&artifacts, &Options::default())?;
//! let machine = scenario.lab().machine(MachineSpec::new("m1"))?;
//! machine.power_on()?;
//! let key = scenario.wait_registered(&machine, Duration::from_secs(240))?;
//! scenario.wait_complete(&key, &machine, Duration::from_secs(240))?;
//! # Ok(())
//! # }
//! ```
//!
//! The server runs inside the lab, where machines find it at 192.168.124.1. It answers its API on the host's loopback too: that
//! listener is bound before the server starts and handed to it, and stays bound when the server is killed.
//!
//! All calls block: a scenario is a story told in order. Left out: building artefacts (`scripts/artifacts.sh`), and tests that
//! need no machine, which belong to the crates themselves.

mod artifacts;
mod error;
mod progress;
mod scenario;

pub use artifacts::{Artifacts, Image};
pub use error::{Error, Result};
pub use progress::{Milestone, Progress, check_ins, job_progress};
pub use scenario::{Options, PASSWORD, Scenario, USER};
