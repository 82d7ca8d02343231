//! Leases: which client holds which address until when (API §10.10, network §1.5).

use crate::check;
use crate::kind::{Behaviour, Home, Index, IndexType, Verbs};
use crate::parts::DhcpOption;
use crate::shape::wire;
use crate::{Address, Problems, Time};

wire! {
    /// An address that a client was offered or holds.
    object Lease {
        /// The address; the key is its hexadecimal form.
        addr: Address = "Addr",
        /// The boot server that the client was told.
        next_server: Address = "NextServer",
        /// The relay agent that the client came through.
        via: Address = "Via",
        /// What identifies the client under the strategy: its MAC address.
        token: String = "Token",
        /// How clients are told apart; `MAC`.
        strategy: String = "Strategy",
        /// `PROBE`, `OFFER`, `ACK`, `EXPIRED`, `INVALID` or `FAKE`.
        state: String = "State",
        /// How long the client may keep the address, in seconds.
        duration: i64 = "Duration" int32,
        /// When it ends.
        expire_time: Time = "ExpireTime",
        /// The options that the client was sent.
        options: Vec<DhcpOption> = "Options",
        /// The options that the client sent.
        provided_options: Vec<DhcpOption> = "ProvidedOptions",
        /// The client was sent no boot file.
        skip_boot: bool = "SkipBoot",
    }
}

impl Behaviour for Lease {
    const KEY: &'static str = "Addr";
    const HOME: Home = Home::Stored;
    const DERIVES: bool = false;
    const VERBS: Verbs = Verbs::READ_DELETE;
    const INDEXES: &'static [Index] = &[
        Index::of("Addr", IndexType::Address("Addr must be an IP address")).kept(),
        Index::of("ExpireTime", IndexType::Time("ExpireTime is not valid: ")),
        Index::text("State"),
        Index::text("Strategy"),
        Index::text("Token").kept(),
    ];

    fn check(&self, problems: &mut Problems) {
        check::usable_address(problems, self.addr);
        if self.state == "INVALID" {
            // An address that was found in use belongs to nobody.
            return;
        }
        if self.token.is_empty() {
            problems.add("Lease Token cannot be empty!");
        }
        if self.strategy.is_empty() {
            problems.add("Lease Strategy cannot be empty!");
        }
    }
}
