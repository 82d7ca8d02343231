//! The UDP services of a server: binding their sockets, joining them to the state, running them until the server stops.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_model::{Machine, View, params};
use gantry_netboot::dhcp::engine::{Host, Settings};
use gantry_template::{Set, Value};
use serde_json::Value as Json;

use super::dhcp::{Change, Dhcp, Durable, Sockets};
use super::ra::Advertiser;
use super::tftp::Tftp;
use super::udp::Socket;
use super::{Boxed, FileSource, Frames, Prober, Reports};
use crate::clock;
use crate::config::{Config, Ports};
use crate::core::Core;

/// A template in an option may take so long; clients wait for seconds only.
const RENDER: Duration = Duration::from_millis(100);

/// A socket that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{service} cannot listen on {address}")]
pub struct BindError {
    /// Which service.
    pub service: &'static str,
    /// Where.
    pub address: String,
    /// What the system says.
    pub source: io::Error,
}

/// Sockets that are bound and not yet served.
pub struct Services {
    dhcp: Option<Sockets>,
    tftp: Vec<Socket>,
    advertiser: Option<Advertiser>,
}

impl Services {
    /// Binds what the configuration asks for and writes the ports that it became into `ports`. What helps but is not vital (packet
    /// socket, probes) is left out with a warning when it may not be opened.
    ///
    /// # Errors
    /// [`BindError`] for the first port that cannot be had.
    pub fn bind(config: &Config, ports: &mut Ports, reports: &Reports) -> Result<Self, BindError> {
        let services = config.services;
        let mut tftp = Vec::new();
        if services.tftp {
            tftp = bind_tftp(config.listen, &mut ports.tftp)?;
        }
        let dhcp = match services.dhcp {
            true => Some(bind_dhcp(services.binl, ports)?),
            false => None,
        };
        let advertiser = match config.router_advertisement {
            true => optional("router advertisements", Advertiser::open(reports.counters.clone())),
            false => None,
        };
        Ok(Self { dhcp, tftp, advertiser })
    }

    /// Serves until the server stops.
    pub async fn run(self, core: Arc<Core>, source: Arc<dyn FileSource>, reports: Reports) {
        let stop = core.stop.clone();
        let dhcp = async {
            if let Some(sockets) = self.dhcp {
                let (durable, settings) = (Arc::new(Leases(core.clone())), settings(&core));
                let service = Dhcp::new(durable, Arc::new(Options), settings, reports.clone(), clock::now);
                service.run(sockets, stop.clone()).await;
            }
        };
        let advertise = async {
            if let Some(advertiser) = self.advertiser {
                advertiser.run(|| core.state.view(), stop.clone()).await;
            }
        };
        let tftp = Tftp::new(source, reports.clone()).run(self.tftp, stop.clone());
        tokio::join!(dhcp, tftp, advertise);
    }
}

fn bind_tftp(listen: IpAddr, port: &mut u16) -> Result<Vec<Socket>, BindError> {
    let first = bind("TFTP", (listen, *port).into(), port)?;
    let mut sockets = vec![first];
    if listen == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        // Clients of an IPv6 network ask there; a machine without IPv6 does without.
        sockets.extend(optional("TFTP over IPv6", Socket::bind_v6_only(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, *port, 0, 0))));
    }
    Ok(sockets)
}

fn bind_dhcp(binl: bool, ports: &mut Ports) -> Result<Sockets, BindError> {
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let dhcp = bind("DHCP", any(ports.dhcp), &mut ports.dhcp)?;
    let binl = match binl {
        true => Some(bind("PXE boot server", any(ports.binl), &mut ports.binl)?),
        false => None,
    };
    Ok(Sockets { dhcp, binl, frames: optional("frames", Frames::open()), prober: optional("probes", Prober::open()) })
}

fn bind(service: &'static str, address: SocketAddr, port: &mut u16) -> Result<Socket, BindError> {
    let failed = |source| BindError { service, address: address.to_string(), source };
    let socket = Socket::bind(address).map_err(failed)?;
    *port = socket.local_addr().map_err(failed)?.port();
    Ok(socket)
}

fn optional<T>(what: &'static str, opened: io::Result<T>) -> Option<T> {
    match opened {
        Ok(it) => Some(it),
        Err(error) => {
            tracing::warn!(%error, what, "not available, so left out");
            None
        }
    }
}

fn settings(core: &Core) -> Settings {
    let config = &core.config;
    Settings {
        file_port: core.facts.ports.files,
        force_address: config.static_ip.filter(|_| config.force_static),
        fallback_address: config.static_ip,
        interfaces: config.dhcp_interfaces.clone(),
        probe: true,
    }
}

/// The state as DHCP sees it.
struct Leases(Arc<Core>);

impl Durable for Leases {
    fn view(&self) -> Arc<View> {
        self.0.state.view()
    }

    fn write(&self, mut change: Change) -> Boxed<'_, Result<(), String>> {
        Box::pin(async move {
            let written = self.0.write("dhcp", "lease", move |tx| change(tx)).await;
            written.map(drop).map_err(|failure| failure.to_string())
        })
    }
}

/// Option templates and parameters.
struct Options;

impl Host for Options {
    fn render(&self, template: &str, options: &BTreeMap<u8, String>) -> Result<String, String> {
        // `{{index . 77}}` is how content reads an option; what the client did not send is the empty text.
        let sent = (0..=u8::MAX).map(|code| options.get(&code).map_or("", String::as_str));
        let mut set = Set::new();
        set.parse("option", template).map_err(|error| error.to_string())?;
        let world = World { until: Instant::now() + RENDER };
        set.render_to_string("option", &Value::strings(sent), &world).map_err(|error| error.to_string())
    }

    fn param(&self, view: &View, machine: Option<&Machine>, name: &str) -> Option<Json> {
        let layers = machine.map_or_else(|| params::global_layers(view), |machine| params::layers(view, machine));
        params::lookup(view, &layers, name).map(|(value, _)| value)
    }
}

/// The world of an option template.
struct World {
    until: Instant,
}

impl gantry_template::Host for World {
    fn random(&self, buffer: &mut [u8]) {
        clock::dice().draw(buffer);
    }

    fn now(&self) -> Duration {
        Duration::from_secs(clock::now().unix().try_into().unwrap_or(0))
    }

    fn expired(&self) -> bool {
        Instant::now() >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_templates_see_what_the_client_sent() {
        let sent = BTreeMap::from([(77, "iPXE".to_owned()), (93, "7".to_owned())]);
        let render = |template: &str| Options.render(template, &sent);
        let docs = r#"{{if (eq (index . 77) "iPXE")}}default.ipxe{{else if (eq (index . 93) "0")}}ipxe.pxe{{else}}ipxe.efi{{end}}"#;
        assert_eq!(render(docs).as_deref(), Ok("default.ipxe"));
        assert_eq!(render("[{{index . 60}}]").as_deref(), Ok("[]"));
        assert!(render("{{index . 60").is_err());
        assert!(render("{{range $i, $e := until 100000000}}{{$i}}{{end}}").is_err(), "endless work is cut short");
    }
}
