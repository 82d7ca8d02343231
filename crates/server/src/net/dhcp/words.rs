//! Why a packet has no answer, in words for the boot trace. Logs and counters have the names of the reasons.

use gantry_netboot::dhcp::engine::{NakReason, NoLease, Reason, Withheld};

pub(super) fn of(reason: &Reason) -> String {
    match reason {
        Reason::Offered(address) | Reason::Acked(address) | Reason::Bootp(address) => format!("{address}"),
        Reason::Probing(address) => format!("no answer yet: is {address} free?"),
        Reason::InFlight(address) => format!("no answer yet: whether {address} is free is being found out"),
        Reason::AddressInUse(address) => {
            format!("{address} is in use by somebody unknown, another one is tried")
        }
        Reason::NoLease(why) => format!("no address: {}", no_lease(*why)),
        Reason::Refused(why) => format!("refused: {}", refused(*why)),
        Reason::OtherServer(server) => format!("no answer: the client chose the server {server}"),
        Reason::ProxySubnet => "no answer: another server gives addresses in this subnet".into(),
        Reason::ProxyOffered | Reason::BootServed => "told what to boot".into(),
        Reason::NoPxe(why) => format!("no answer, nothing to boot: {}", withheld(*why)),
        Reason::NoInfo => "no answer: neither a subnet nor a reservation is for this client".into(),
        Reason::Released(address) => format!("{address} is free again"),
        Reason::Declined(address) => format!("{address} is put aside: the client found it in use"),
        Reason::Informed => "told the options".into(),
        Reason::Spoofed(address) => format!("ignored: {address} is somebody else's"),
        Reason::UnknownLease => "ignored: there is no such lease".into(),
        Reason::CompetingServer(server) => format!("the server {server} answers here, too"),
        Reason::NotHandled => "ignored: it is for clients".into(),
        Reason::Ignored => "ignored: the interface is not served".into(),
        Reason::MissingType => "ignored: it has no message type, and no reservation for BOOTP".into(),
        Reason::InvalidType => "ignored: there is no such message type".into(),
        Reason::NoHardwareAddress => "ignored: it has no hardware address".into(),
    }
}

fn no_lease(why: NoLease) -> &'static str {
    match why {
        NoLease::NoSubnet => "no subnet covers the client's network",
        NoLease::SubnetDisabled => "the subnet is disabled",
        NoLease::Exhausted => "every address of the pool is taken",
        NoLease::NoPicker => "the subnet's pickers find none",
        NoLease::TooManyOffers => "too many offers are open",
    }
}

fn refused(why: NakReason) -> &'static str {
    match why {
        NakReason::NotUnicast => "the address is no unicast address",
        NakReason::Taken => "another client has the address",
        NakReason::ReservedForOther => "the address is reserved for another client",
        NakReason::ReservedElsewhere => "another address is reserved for the client",
        NakReason::NoSuchLease => "there is no such lease",
        NakReason::Moved => "the client moved to another network",
        NakReason::NothingCovers => "the subnet is gone",
    }
}

fn withheld(why: Withheld) -> String {
    match why {
        Withheld::NotAsked => "the client does not ask for a boot file".into(),
        Withheld::ByReservation => "the reservation says so".into(),
        Withheld::Unmanaged => "the subnet is unmanaged".into(),
        Withheld::BootEnv => "the boot environment starts from disk".into(),
        Withheld::NoFirmware => "the client is no PXE or HTTP boot firmware".into(),
        Withheld::NoLoader(arch) => format!("there is no loader for architecture {arch}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_trace_has_the_words_of_people() {
        let address = Ipv4Addr::new(10, 0, 0, 7);
        for (reason, text) in [
            (Reason::Probing(address), "no answer yet: is 10.0.0.7 free?"),
            (Reason::NoLease(NoLease::Exhausted), "no address: every address of the pool is taken"),
            (
                Reason::NoPxe(Withheld::NoLoader(6)),
                "no answer, nothing to boot: there is no loader for architecture 6",
            ),
            (Reason::Released(address), "10.0.0.7 is free again"),
        ] {
            assert_eq!(of(&reason), text);
        }
    }
}
