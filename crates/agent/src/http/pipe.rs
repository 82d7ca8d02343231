//! A connection to the server below HTTP, for what is no request and answer: event streams, tunnels.

use super::{Endpoint, Fault, tls};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A TCP connection with or without TLS.
pub enum Pipe {
    /// As it is.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipe")
    }
}

impl Pipe {
    /// Connects within `limit`, which then limits each read.
    ///
    /// # Errors
    /// [`Fault::Nonsense`] for an address that is none, [`Fault::Transport`] when nobody answers there.
    pub fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Self, Fault> {
        let url = &endpoint.url;
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
        let config = tls::config(endpoint.pin);
        let conn = ClientConnection::new(config, tls::server_name(host))
            .map_err(|e| Fault::Transport(format!("TLS: {e}")))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(conn, stream))))
    }

    /// Lets reads and writes return at once from now on.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.socket().set_nonblocking(true)
    }

    /// The connection below TLS, to wait for.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// True while encrypted bytes wait to be sent.
    pub fn has_unsent(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.conn.wants_write())
    }

    /// Limits each read from now on.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn read_timeout(&self, limit: Duration) -> io::Result<()> {
        self.socket().set_read_timeout(Some(limit))
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

#[expect(clippy::needless_pass_by_value, reason = "used as a function value")]
fn io_fault(error: io::Error) -> Fault {
    Fault::Transport(error.to_string())
}
