//! What can be asked of Gantry, and by whom.
//!
//! * [`operation`]: the one list of operations, [`route`]: from a request to its row.
//! * [`claim`]: rights, and what each request wants.
//! * [`Error`]: the one body of refusals, and [`refusal`]: how the model's refusals look on the wire.
//! * [`types`], [`Event`]: bodies that are not objects of a kind (those are `model`'s), [`lenient`]: how they are read.
//! * [`openapi`]: the document made from all that.
//!
//! The server serves this list, the client and the command line use it. Nothing here does I/O, knows a socket or holds
//! state. The wire is that of DRP (reference: api.md); what Gantry adds is named where it stands.

pub mod claim;
pub mod duration;
mod error;
mod event;
pub mod lenient;
pub mod openapi;
pub mod operation;
pub mod parameter;
pub mod query;
pub mod refusal;
pub mod route;
pub mod types;

pub use error::Error;
pub use event::{Event, Filter};

/// The DRP version whose API is spoken; packs that ask for a minimum version compare with it.
pub const DRP_VERSION: &str = "v4.8.0";
