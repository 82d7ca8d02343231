//! `RS_LOCAL_PROXY`: a socket in the runner's folder through which tasks reach the API as plain HTTP (engine.md §5.2 step 6).
//!
//! Each connection is carried to the server as it is, over TLS and to the certificate that the agent trusts; so a task's
//! client needs neither. Credentials are the client's own. The socket is the agent's (mode 0600), so only root gets in.
//!
//! Left out: looking into what is carried. The server speaks HTTP/1.1 on both sides of the tunnel.

use super::say;
use crate::http::Endpoint;
use crate::http::pipe::Pipe;
use crate::sys::{self, Wanted};
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Patience with a server that does not take the connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Most bytes that wait in one direction; a reader that is slower holds up the writer.
const WAITING: usize = 64 << 10;

/// How long a client may be silent after the server has ended the connection.
const LINGER: Duration = Duration::from_secs(2);

/// Where the socket is, below the runner's folder.
pub fn socket(runner_dir: &Path) -> PathBuf {
    runner_dir.join(".sock")
}

/// Listens, for as long as the agent lives. Without the socket tasks reach the server all the same, so trouble is only said.
pub fn start(endpoint: &Endpoint, runner_dir: &Path) {
    let place = socket(runner_dir);
    let _ = fs::remove_file(&place);
    let listener = UnixListener::bind(&place)
        .and_then(|socket| fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).map(|()| socket));
    match listener {
        Ok(listener) => {
            let endpoint = endpoint.clone();
            std::thread::spawn(move || serve(&listener, &endpoint));
        }
        Err(error) => {
            let _ = fs::remove_file(&place);
            say(&format!("{}: {error}; tasks have no local proxy", place.display()));
        }
    }
}

fn serve(listener: &UnixListener, endpoint: &Endpoint) {
    for client in listener.incoming().flatten() {
        let endpoint = endpoint.clone();
        std::thread::spawn(move || {
            // A client whose server is away sees its connection end, as it would without us.
            let Ok(server) = Pipe::connect(&endpoint, CONNECT) else { return };
            let _ = carry(client, server);
        });
    }
}

/// Carries bytes both ways until one side is done.
fn carry(mut client: UnixStream, mut server: Pipe) -> io::Result<()> {
    client.set_nonblocking(true)?;
    server.set_nonblocking()?;
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let (mut asked_all, mut answered_all) = (false, false);
    loop {
        let client_wants = Wanted { read: !asked_all && up.len() < WAITING, write: !down.is_empty() };
        let server_wants = Wanted {
            read: !answered_all && down.len() < WAITING,
            write: !up.is_empty() || server.has_unsent(),
        };
        let is_gone = sys::poll([(&client, client_wants), (server.socket(), server_wants)])?;
        asked_all |= !asked_all && take(&mut client, &mut up)?;
        give(&mut server, &mut up)?;
        server.flush().or_else(later)?;
        answered_all |= !answered_all && pass(&mut server, &mut client, &mut down)?;
        // The end of the answer may wait for a client that reads slowly.
        give(&mut client, &mut down)?;
        if is_gone {
            return Ok(());
        }
        if answered_all && down.is_empty() {
            return part(client);
        }
    }
}

/// A client that still sends what the server has refused must not be cut off before it has read why.
fn part(mut client: UnixStream) -> io::Result<()> {
    client.shutdown(Shutdown::Write)?;
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(LINGER))?;
    io::copy(&mut client, &mut io::sink()).map(drop)
}

/// From server to client, until one of them has to be waited for: TLS may hold bytes that no wait for the socket would tell of.
/// True when nothing more comes.
fn pass(server: &mut Pipe, client: &mut UnixStream, down: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let is_over = take(server, down)?;
        let was_full = down.len() >= WAITING;
        give(client, down)?;
        if is_over || !was_full || !down.is_empty() {
            return Ok(is_over);
        }
    }
}

/// Reads what is there; true when nothing more comes.
fn take(from: &mut impl Read, to: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    while to.len() < WAITING {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(count) => to.extend_from_slice(&buffer[..count]),
            // TLS without a farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
            Err(error) => return later(error).map(|()| false),
        }
    }
    Ok(false)
}

/// Writes what is taken, and forgets it.
fn give(to: &mut impl Write, from: &mut Vec<u8>) -> io::Result<()> {
    while !from.is_empty() {
        match to.write(from) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => drop(from.drain(..count)),
            Err(error) => return later(error),
        }
    }
    Ok(())
}

/// Not now is no error.
fn later(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::net::TcpListener;

    /// A server that answers what it was sent, after it was sent all of it.
    fn echo() -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut text = [0; 4];
                stream.read_exact(&mut text).expect("length");
                let mut body = vec![0; u32::from_be_bytes(text) as usize];
                stream.read_exact(&mut body).expect("body");
                stream.write_all(&body).expect("answer");
            }
        });
        Endpoint { url, pin: None }
    }

    #[test]
    fn bytes_go_both_ways_and_the_end_is_passed_on() {
        let dir = TempDir::new();
        start(&echo(), dir.path());
        for length in [0_u32, 1, 70_000, 3_000_000] {
            let body: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut client = UnixStream::connect(socket(dir.path())).expect("socket");
            let mut writer = client.try_clone().expect("clone");
            let text = [&length.to_be_bytes()[..], &body].concat();
            std::thread::spawn(move || {
                writer.write_all(&text).expect("write");
                writer.shutdown(Shutdown::Write).expect("end");
            });
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("read");
            assert!(answer == body, "{length} bytes came back as {}", answer.len());
        }
    }

    /// Lengths about what the sockets between hold: of one of them the last bytes wait when the server has gone.
    #[test]
    fn a_slow_reader_gets_the_end_of_an_answer_whose_server_has_gone() {
        for length in (64 << 10..1 << 20).step_by(32 << 10) {
            let dir = TempDir::new();
            start(&echo(), dir.path());
            let mut client = UnixStream::connect(socket(dir.path())).expect("socket");
            let size = u32::try_from(length).expect("length").to_be_bytes();
            let body = vec![7; length];
            client.write_all(&[&size[..], &body].concat()).expect("write");
            client.shutdown(Shutdown::Write).expect("end");
            let (mut answer, mut piece) = (0, [0; 1 << 10]);
            loop {
                match client.read(&mut piece).expect("read") {
                    0 => break,
                    count => answer += count,
                }
            }
            assert_eq!(answer, length);
        }
    }

    #[test]
    fn a_server_that_is_away_ends_the_connection() {
        let dir = TempDir::new();
        let free = TcpListener::bind("127.0.0.1:0").expect("listen").local_addr().expect("address");
        start(&Endpoint { url: format!("http://{free}"), pin: None }, dir.path());
        let mut client = UnixStream::connect(socket(dir.path())).expect("socket");
        assert_eq!(client.read(&mut [0; 1]).expect("end"), 0);
    }
}
