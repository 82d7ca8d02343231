//! Is whoever asks the machine itself? Told by addresses, the only thing that a boot loader or a young kernel can show.
//!
//! Left out: proof. Who can take a machine's address on its own network can take its place; so can whoever answers DHCP.

use std::net::IpAddr;
use std::time::Duration;

use gantry_model::{Address, Lease, Machine, View};

/// True when `client` is the machine's address, or one that a network card of the machine has leased until after `now`
/// (since 1970).
pub(crate) fn is_machine(view: &View, machine: &Machine, client: IpAddr, now: Duration) -> bool {
    let client = client.to_canonical();
    if client.is_unspecified() {
        return false;
    }
    machine.address.0.is_some_and(|own| own.to_canonical() == client)
        || holds_lease(view, machine, client, now)
}

fn holds_lease(view: &View, machine: &Machine, client: IpAddr, now: Duration) -> bool {
    let Some(lease) = view.object::<Lease>(&Address::from(client).hex()) else { return false };
    let own = |mac: &String| mac.eq_ignore_ascii_case(&lease.token);
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    lease.state == "ACK" && lease.expire_time.unix() > now && machine.hardware_addrs.iter().any(own)
}
