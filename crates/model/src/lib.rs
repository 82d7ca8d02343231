//! What things are: the waist of the house.
//!
//! - [`Kind`] and [`Spec`]: the list of kinds and the facts about each; one struct per kind ([`Machine`], [`BootEnv`], ...).
//! - [`Record`]: one object at rest. [`View`]: all of them at one revision, indexed, immutable.
//! - [`Tx`]: a draft of changes with all checks; [`Edit`]s come out. [`View::apply`] turns edits into the next View.
//! - [`filter`]: list queries. [`patch`]: JSON patches. [`params`]: where parameters come from. [`secret`]: sealed values.
//!
//! Nothing here waits, reads a clock, or touches a file: time and ids come in as [`Now`]. Engines and the API build on this
//! crate; it knows none of them, and lets them add their checks through [`Rules`].

pub mod access;
pub mod builtin;
pub mod catalogue;
pub mod check;
pub mod decode;
mod defaults;
mod entry;
mod error;
pub mod filter;
pub mod go;
pub mod kind;
pub mod kinds;
mod layer;
pub mod needs;
pub mod net;
mod now;
pub mod params;
pub mod parts;
pub mod patch;
mod pluck;
pub mod preference;
mod record;
pub mod schema;
pub mod secret;
pub mod shape;
mod tx;
mod value;
mod view;

pub use catalogue::Catalogue;
pub use entry::TaskEntry;
pub use error::{Error, LayerFault, Problems};
pub use kind::{Envelope, Home, Index, IndexType, Object, Shown, Spec, Verbs};
pub use kinds::*;
pub use layer::Layer;
pub use needs::pack_needs;
pub use now::Now;
pub use record::{Derived, Key, Record};
pub use tx::{How, Rules, Saving, Tx};
pub use value::{Address, Bytes, Time, Uuid};
pub use view::{Action, Change, Edit, Referrer, Stamp, View, canonical_key, is_install_source};
