//! The boot services of `net`, started from the configuration: DHCP with its boot server, TFTP, router advertisements.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use gantry_model::{Error, Subnet, Tx, View};
use gantry_netboot::dhcp::engine::Settings;
use gantry_netboot::ra::is_wanted;
use gantry_state::Failure;
use tokio_util::task::TaskTracker;

use crate::app::Error as StartError;
use crate::config::Ports;
use crate::core::Core;
use crate::net::dhcp::{Change, Dhcp, Durable, Sockets};
use crate::net::ra::Advertiser;
use crate::net::tftp::Tftp;
use crate::net::udp::Socket;
use crate::net::{Boxed, FileSource, Frames, Prober, Reports};
use crate::{clock, render};

/// UDP sockets, bound before anything is served so that the real ports are known.
#[derive(Debug, Default)]
pub(crate) struct Udp {
    tftp: Option<Socket>,
    dhcp: Option<Socket>,
    binl: Option<Socket>,
}

/// Binds the UDP ports of the services that are on, and notes which ports they became.
pub(crate) fn bind(config: &crate::config::Config, ports: &mut Ports) -> Result<Udp, StartError> {
    let on = config.services;
    Ok(Udp {
        tftp: one("TFTP", on.tftp, config.listen, &mut ports.tftp)?,
        // Broadcasts reach only a socket that is bound to every address.
        dhcp: one("DHCP", on.dhcp, Ipv4Addr::UNSPECIFIED.into(), &mut ports.dhcp)?,
        binl: one("BINL", on.binl, Ipv4Addr::UNSPECIFIED.into(), &mut ports.binl)?,
    })
}

fn one(
    service: &'static str,
    on: bool,
    address: IpAddr,
    port: &mut u16,
) -> Result<Option<Socket>, StartError> {
    if !on {
        return Ok(None);
    }
    let address = SocketAddr::from((address, *port));
    let failed = |source: io::Error| StartError::Listen { service, address: address.to_string(), source };
    let socket = Socket::bind(address).map_err(failed)?;
    *port = socket.local_addr().map_err(failed)?.port();
    Ok(Some(socket))
}

/// Starts what is on.
pub(crate) fn start(
    core: &Arc<Core>,
    tasks: &TaskTracker,
    udp: Udp,
    tree: &Arc<dyn FileSource>,
    reports: &Reports,
) -> Result<(), StartError> {
    let stop = &core.stop;
    if let Some(socket) = udp.tftp {
        tasks.spawn(Tftp::new(tree.clone(), reports.clone()).run(vec![socket], stop.clone()));
    }
    if let Some(socket) = udp.dhcp {
        let sockets = Sockets {
            dhcp: socket,
            binl: udp.binl,
            frames: usable("raw Ethernet frames", Frames::open()),
            prober: core.config.probe.then(|| usable("address probes", Prober::open())).flatten(),
        };
        let durable = Arc::new(Leases(core.clone()));
        let host = Arc::new(render::Options::new(core.clone()));
        let dhcp = Dhcp::new(durable, host, settings(core), reports.clone(), clock::now);
        tasks.spawn(dhcp.run(sockets, stop.clone()));
    }
    if let Some(advertiser) = advertiser(core, reports)? {
        let (core, stop) = (core.clone(), stop.clone());
        tasks.spawn(async move { advertiser.run(move || core.state.view(), stop).await });
    }
    Ok(())
}

/// Subnets may ask for advertisements; with the flag, those that do not say have them, and then they must be possible. Where no
/// subnet asks for them, nobody misses them.
fn advertiser(core: &Core, reports: &Reports) -> Result<Option<Advertiser>, StartError> {
    let all = core.config.router_advertisement;
    if !all && !core.config.services.dhcp {
        return Ok(None);
    }
    match Advertiser::open(reports.counters.clone(), all) {
        Err(error) if all => {
            Err(StartError::Service { service: "router advertisement", reason: error.to_string() })
        }
        Err(error) if !core.state.view().objects::<Subnet>().any(|subnet| is_wanted(&subnet, all)) => {
            tracing::debug!(%error, "subnets cannot have router advertisements");
            Ok(None)
        }
        opened => Ok(usable("router advertisements", opened)),
    }
}

/// Something that needs a privilege, and without which the service still works, if less well.
fn usable<T>(what: &'static str, opened: io::Result<T>) -> Option<T> {
    opened.map_err(|error| tracing::warn!(what, %error, "not available")).ok()
}

fn settings(core: &Core) -> Settings {
    let config = &core.config;
    Settings {
        file_port: core.facts.ports.files,
        force_address: config.static_ip.filter(|_| config.force_static),
        fallback_address: config.static_ip,
        interfaces: config.dhcp_interfaces.clone(),
        ..Settings::default()
    }
}

/// Leases in the state.
struct Leases(Arc<Core>);

impl Durable for Leases {
    fn view(&self) -> Arc<View> {
        self.0.state.view()
    }

    fn write(&self, mut change: Change) -> Boxed<'_, Result<(), String>> {
        Box::pin(async move {
            let written = self.0.write("dhcp", "save", move |tx: &mut Tx| change(tx)).await;
            written.map(drop).map_err(|failure: Failure<Error>| failure.to_string())
        })
    }
}
