//! What the network boot protocols say and decide, without a socket, a clock or a log line.
//!
//! Firmware asks by DHCP, fetches by TFTP or HTTP, and iPXE waits for a router advertisement. This crate turns their
//! bytes into values and back ([`dhcp::packet`], [`tftp::packet`], [`ra`]) and decides what to answer
//! ([`dhcp::engine`], [`tftp::Session`]). The shell, `crates/server/src/net`, owns the sockets and timers and
//! feeds both; everything here can be tested as a table of packets.
//!
//! Left out: DHCPv6, Apple BSDP, and everything about the *content* of files (crate `boot`).

pub mod dhcp;
pub mod frame;
pub mod path;
pub mod ra;
pub mod tftp;
