//! Which services of a server answer, and a hash that a content pack may carry: `info status` and `users passwordhash`.

use std::time::Duration;

use base16ct::lower::encode_string as hex;
use serde_json::{Value, json};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::run::Typed;
use crate::{Error, output};

/// A service that says nothing for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request for a file that no server has, in octet mode (RFC 1350 §5): the answer is an error, which is all that is wanted.
const READ_NOTHING: &[u8] = b"\0\x01gantry-info-status\0octet\0";

/// `info status`: drpcli's map of services. DHCP and boot-server discovery answer only to clients without an address, so they
/// count as alive when the server says that they are on.
pub(crate) async fn status(typed: &Typed<'_>) -> Result<Option<Value>, Error> {
    let info = typed.get("/info", &[]).await?;
    let on = |name: &str| info.get(name).and_then(Value::as_bool).unwrap_or_default();
    let port = |name: &str| {
        let port = info.get(name).and_then(Value::as_u64);
        port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default()
    };
    let host = host(&typed.session.client.url("", &[])).to_owned();
    let (files, tftp) = (port("file_port"), port("tftp_port"));
    let (files_alive, tftp_alive) =
        tokio::join!(async { on("prov_enabled") && connects(&host, files).await }, async {
            on("tftp_enabled") && reads(&host, tftp).await
        },);
    let row =
        |enabled: bool, alive: bool, port: u16| json!({ "Alive": alive, "Enabled": enabled, "Port": port });
    Ok(Some(json!({
        "API": row(true, true, port("api_port")),
        "Static": row(on("prov_enabled"), files_alive, files),
        "TFTP": row(on("tftp_enabled"), tftp_alive, tftp),
        "DHCP": row(on("dhcp_enabled"), on("dhcp_enabled"), port("dhcp_port")),
        "BINL": row(on("binl_enabled"), on("binl_enabled"), port("binl_port")),
    })))
}

/// The host of a URL, without the brackets of an IPv6 address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    match rest.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or(inner),
        None => rest.rsplit_once(':').map_or(rest, |(host, _)| host),
    }
}

async fn connects(host: &str, port: u16) -> bool {
    timeout(PATIENCE, TcpStream::connect((host, port))).await.is_ok_and(|connected| connected.is_ok())
}

async fn reads(host: &str, port: u16) -> bool {
    let asked = async {
        let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).await?;
        // Not connected: the answer comes from a port of its own.
        socket.send_to(READ_NOTHING, (host, port)).await?;
        socket.recv_from(&mut [0; 512]).await
    };
    timeout(PATIENCE, asked).await.is_ok_and(|answered| answered.is_ok())
}

/// The costs of drpcli's hashes, which are those of its server: N = 2^14, r = 8, p = 1.
const COST: (u8, u32, u32) = (14, 8, 1);

/// `users passwordhash`: `16384$8$1$<salt>$<key>`, salt and key in hexadecimal (reference: api.md §10.13), so that DRP takes it, too.
pub(crate) fn password_hash(password: &str) -> Result<(), Error> {
    if password.is_empty() {
        return Err(Error::Usage("an empty password opens nothing, so it has no hash".into()));
    }
    let salt = uuid::Uuid::new_v4();
    output::print(&hash(password, salt.as_bytes())?);
    Ok(())
}

fn hash(password: &str, salt: &[u8]) -> Result<String, Error> {
    let (log_n, r, p) = COST;
    let unhashed =
        |error: &dyn std::fmt::Display| Error::Usage(format!("the password cannot be hashed: {error}"));
    let params = scrypt::Params::new(log_n, r, p).map_err(|error| unhashed(&error))?;
    let mut key = [0; 32];
    scrypt::scrypt(password.as_bytes(), salt, &params, &mut key).map_err(|error| unhashed(&error))?;
    Ok(format!("{}${r}${p}${}${}", 1_u32 << log_n, hex(salt), hex(&key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_7914() {
        // RFC 7914 §12 has 64 bytes of this key; scrypt's are the first 32 of them (PBKDF2 fills block by block).
        let hash = hash("pleaseletmein", b"SodiumChloride").unwrap();
        let known = "16384$8$1$536f6469756d43686c6f72696465$7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
        assert_eq!(hash, known);
    }

    #[test]
    fn the_host_of_a_url() {
        for (url, want) in [
            ("https://127.0.0.1:8092/api/v3", "127.0.0.1"),
            ("https://[::1]:8092/api/v3", "::1"),
            ("https://drp.example/api/v3", "drp.example"),
        ] {
            assert_eq!(host(url), want);
        }
    }
}
