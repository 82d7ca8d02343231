//! DHCP for IPv4: RFC 2131 and 2132, PXE (RFC 4578), ProxyDHCP and BINL, relays (RFC 3046).
//!
//! * [`packet`]: bytes ↔ header and options, order and duplicates kept.
//! * [`option`]: one table row per option; [`sub`]: options inside options 43, 82 and 175.
//! * [`text`]: option values and whole packets as text, as operators write and logs print them.
//! * [`client`]: what kind of firmware is asking.
//! * [`engine`]: what to answer.

pub mod client;
pub mod engine;
pub mod option;
pub mod packet;
pub mod sub;
pub mod text;

pub use client::Client;
pub use option::Form;
pub use packet::{Message, Options, Packet};
