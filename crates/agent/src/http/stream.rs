//! The event stream: a websocket that tells us when our machine changes.
//!
//! The stream is opened for each wait and closed after it; waits are rare, and a socket that nobody
//! reads while a job runs would only make the server keep events for us. Protocol: api.md §16.3. A
//! registration counts once its acknowledgement (an event of type `websocket`) has come.

use super::{Client, Fault, tls};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
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
        let pipe = Pipe::connect(client, limit)?;
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

/// A TCP connection with or without TLS.
enum Pipe {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipe")
    }
}

impl Pipe {
    fn connect(client: &Client, limit: Duration) -> Result<Self, Fault> {
        let url = &client.endpoint().url;
        let uri: ureq::http::Uri = url.parse().map_err(|e| Fault::Nonsense(format!("{url}: {e}")))?;
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = (bare, port).to_socket_addrs().map_err(io_fault)?.next();
        let address = address.ok_or_else(|| Fault::Transport(format!("{host}: no address")))?;
        let stream = TcpStream::connect_timeout(&address, limit).map_err(io_fault)?;
        stream.set_nodelay(true).map_err(io_fault)?;
        stream.set_read_timeout(Some(limit)).map_err(io_fault)?;
        stream.set_write_timeout(Some(Duration::from_secs(30))).map_err(io_fault)?;
        if !secure {
            return Ok(Self::Plain(stream));
        }
        let config = tls::config(client.endpoint().pin);
        let conn = ClientConnection::new(config, tls::server_name(host))
            .map_err(|e| Fault::Transport(format!("websocket: {e}")))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(conn, stream))))
    }

    fn read_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_read_timeout(Some(limit)),
            Self::Tls(tls) => tls.sock.set_read_timeout(Some(limit)),
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
