//! Answers on their way to the client: to its address, to its hardware, or to everybody.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use gantry_netboot::dhcp::engine::{Answer, Destination, Outcome};
use gantry_netboot::frame::{Ends, udp};

use super::{Asked, Dhcp, Sockets};
use crate::net::udp::Socket;

impl Dhcp {
    pub(super) async fn answer(&self, sockets: &Sockets, asked: &Asked, outcome: &Outcome) {
        for answer in &outcome.answers {
            if let Err(error) = self.send(sockets, asked, answer).await {
                tracing::warn!(%error, to = %answer.to.shown(), client = %asked.packet.chaddr, "answer not sent");
            }
        }
        self.report(asked, outcome);
    }

    async fn send(&self, sockets: &Sockets, asked: &Asked, answer: &Answer) -> io::Result<()> {
        let Some(socket) = sockets.of(asked.arrival.service) else { return Ok(()) };
        let encoded = answer.packet.encode(answer.max);
        if !encoded.dropped.is_empty() {
            tracing::warn!(client = %asked.packet.chaddr, options = ?encoded.dropped, "options found no room");
        }
        let index = asked.arrival.interface.index;
        let source =
            Some(answer.from).filter(|a| asked.arrival.interface.addresses.iter().any(|(own, _)| own == a));
        let broadcast = |port| SocketAddrV4::new(Ipv4Addr::BROADCAST, port);
        match answer.to {
            Destination::Unicast(to) => socket.send(&encoded.bytes, to, None, source).await,
            Destination::Broadcast(port) => {
                socket.send(&encoded.bytes, broadcast(port), Some(index), source).await
            }
            Destination::Hardware(hardware, to) => {
                if self.send_frame(sockets, socket, asked, answer, hardware.as_bytes(), to, &encoded.bytes) {
                    return Ok(());
                }
                socket.send(&encoded.bytes, broadcast(to.port()), Some(index), source).await
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call; the arguments are the parts of a frame")]
    fn send_frame(
        &self,
        sockets: &Sockets,
        socket: &Socket,
        asked: &Asked,
        answer: &Answer,
        hardware: &[u8],
        to: SocketAddrV4,
        bytes: &[u8],
    ) -> bool {
        let index = asked.arrival.interface.index;
        let Some(frames) = &sockets.frames else { return false };
        let Ok(to_hardware) = <[u8; 6]>::try_from(hardware) else { return false };
        let Some(from_hardware) = self.interfaces.get(index).and_then(|nic| nic.hardware) else {
            return false;
        };
        let Ok(port) = socket.local_addr().map(|a| a.port()) else { return false };
        let ends = Ends { from_hardware, to_hardware, from: SocketAddrV4::new(answer.from, port), to };
        let Some(frame) = udp(&ends, bytes) else { return false };
        match frames.send(index, to_hardware, &frame) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "frame not sent, so broadcast");
                false
            }
        }
    }
}
