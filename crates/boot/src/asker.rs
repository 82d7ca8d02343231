//! Is whoever asks the machine itself? Told by addresses, the only thing that a boot loader or a young kernel can show.
//!
//! Left out: proof. Who can take a machine's address on its own network can take its place; so can whoever answers DHCP.

use std::net::IpAddr;
use std::time::Duration;

use gantry_model::{Address, Lease, Machine, View};

/// True when a network card of the machine has leased `client` until after `now` (since 1970), or when nobody has and it is
/// the machine's address.
///
/// The lease goes first: the address of a machine that is off is kept in its object, while another may have leased it since.
pub(crate) fn is_machine(view: &View, machine: &Machine, client: IpAddr, now: Duration) -> bool {
    let client = client.to_canonical();
    if client.is_unspecified() {
        return false;
    }
    match view.object::<Lease>(&Address::from(client).hex()).filter(|lease| is_held(lease, now)) {
        Some(lease) => machine.hardware_addrs.iter().any(|own| own.eq_ignore_ascii_case(&lease.token)),
        None => machine.address.0.is_some_and(|own| own.to_canonical() == client),
    }
}

/// Somebody holds it, and is known by a MAC.
fn is_held(lease: &Lease, now: Duration) -> bool {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    lease.strategy == "MAC" && lease.state == "ACK" && lease.expire_time.unix() > now
}
