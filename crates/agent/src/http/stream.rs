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

/// An open, registered stream of events.
#[derive(Debug)]
pub struct Events {
    socket: WebSocket<Pipe>,
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
        let mut events = Self { socket };
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
            let pause = left.min(Duration::from_secs(30));
            self.socket.get_ref().read_timeout(pause).map_err(io_fault)?;
            match self.socket.read() {
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

    /// A dead peer is noticed by the unanswered ping at the latest when TCP gives up.
    fn ping(&mut self) -> Result<(), Fault> {
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
