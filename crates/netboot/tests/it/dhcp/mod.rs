//! The DHCP engine: dialogues of short lines, played against a View and a memory.

mod addresses;
mod corpus;
mod lossy;
mod netboot;
mod promises;
mod proxy;
mod relays;
mod requests;
mod world;
