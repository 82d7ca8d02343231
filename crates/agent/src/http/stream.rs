//! The event stream: a websocket that tells us when our machine changes.
//!
//! The stream is opened for each wait and closed after it; waits are rare, and a socket that nobody
//! reads while a job runs would only make the server keep events for us. Protocol: api.md §16.3. A
//! registration counts once its acknowledgement (an event of type `websocket`) has come.

use super::pipe::Pipe;
use super::{Client, Fault};
use std::io;
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket, protocol::WebSocketConfig};

/// After so long without a word the server is asked for one.
const BEAT: Duration = Duration::from_secs(30);
/// So many pings may stay without an answer.
const UNANSWERED: u32 = 2;

/// An open, registered stream of events.
#[derive(Debug)]
pub struct Events {
    socket: WebSocket<Pipe>,
    beat: Duration,
    /// Pings since anything came.
    unanswered: u32,
}

impl Events {
    /// Connects and registers `filters` (`machines.update.<uuid>`); returns when all are in force.
    pub fn open(client: &Client, filters: &[String], limit: Duration) -> Result<Self, Fault> {
        let deadline = Instant::now() + limit;
        let pipe = Pipe::connect(client.endpoint(), limit)?;
        let request = handshake(client)?;
        let config =
            WebSocketConfig::default().max_message_size(Some(16 << 20)).max_frame_size(Some(16 << 20));
        let (socket, _) = tungstenite::client::client_with_config(request, pipe, Some(config))
            .map_err(|e| Fault::Transport(format!("websocket: {e}")))?;
        let mut events = Self { socket, beat: BEAT, unanswered: 0 };
        for filter in filters {
            events.send(&format!("register {filter}"))?;
        }
        for _ in filters {
            while !events.next(deadline)?.is_some_and(|text| is_ack(&text)) {
                if Instant::now() >= deadline {
                    return Err(Fault::Transport("websocket: registration not acknowledged".into()));
                }
            }
        }
        Ok(events)
    }

    /// The next event as JSON text, or `None` at the deadline.
    pub fn next(&mut self, deadline: Instant) -> Result<Option<String>, Fault> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.get_ref().read_timeout(left.min(self.beat)).map_err(io_fault)?;
            let read = self.socket.read();
            if read.is_ok() {
                self.unanswered = 0;
            }
            match read {
                Ok(Message::Text(text)) => return Ok(Some(text.to_string())),
                Ok(Message::Close(_)) => {
                    return Err(Fault::Transport("websocket: closed by the server".into()));
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(e)) if is_timeout(&e) => self.ping()?,
                Err(e) => return Err(Fault::Transport(format!("websocket: {e}"))),
            }
        }
    }

    /// A peer that vanished, and the machine with it, is noticed by two unanswered pings; TCP alone takes a quarter of an hour.
    fn ping(&mut self) -> Result<(), Fault> {
        if self.unanswered == UNANSWERED {
            return Err(Fault::Transport(format!("websocket: {UNANSWERED} pings were not answered")));
        }
        self.unanswered += 1;
        self.socket
            .send(Message::Ping(Vec::new().into()))
            .map_err(|e| Fault::Transport(format!("websocket: {e}")))
    }

    fn send(&mut self, text: &str) -> Result<(), Fault> {
        self.socket.send(Message::Text(text.into())).map_err(|e| Fault::Transport(format!("websocket: {e}")))
    }
}

fn handshake(client: &Client) -> Result<tungstenite::handshake::client::Request, Fault> {
    let url = format!("{}/api/v3/ws", client.endpoint().url.replacen("http", "ws", 1));
    let mut request =
        url.as_str().into_client_request().map_err(|e| Fault::Nonsense(format!("{url}: {e}")))?;
    let bearer = format!("Bearer {}", client.token().expose());
    let value =
        bearer.parse().map_err(|_| Fault::Nonsense("the token has bytes that no header may have".into()))?;
    request.headers_mut().insert("authorization", value);
    Ok(request)
}

fn is_ack(text: &str) -> bool {
    let event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    event.get("Type").and_then(|kind| kind.as_str()) == Some("websocket")
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function value")]
fn io_fault(error: io::Error) -> Fault {
    Fault::Transport(format!("websocket: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Endpoint;
    use std::net::TcpListener;
    use tungstenite::protocol::Role;

    /// A stream to a peer that was reached and then says nothing any more.
    fn to_nobody(listener: &TcpListener) -> Events {
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let pipe = Pipe::connect(&Endpoint { url, pin: None }, Duration::from_secs(60)).expect("pipe");
        let socket = WebSocket::from_raw_socket(pipe, Role::Client, None);
        Events { socket, beat: Duration::from_millis(10), unanswered: 0 }
    }

    #[test]
    fn a_server_that_vanished_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let mut events = to_nobody(&listener);
        let fault = events.next(Instant::now() + Duration::from_secs(600)).expect_err("nobody answers");
        assert_eq!(fault.to_string(), "no answer: websocket: 2 pings were not answered");
    }

    #[test]
    fn a_server_that_answers_pings_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let mut events = to_nobody(&listener);
        let answering = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("connection");
            let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
            let mut pings = 0;
            while pings < 5 {
                pings += i32::from(socket.read().expect("a frame").is_ping());
            }
            socket.send(Message::Text("news".into())).expect("sent");
        });
        let news = events.next(Instant::now() + Duration::from_secs(600)).expect("the server is there");
        assert_eq!(news.as_deref(), Some("news"));
        answering.join().expect("the server's side");
    }
}
