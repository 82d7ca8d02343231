//! Certificates: any by default, exactly one when pinned.

use super::runner::TempDir;
use gantry_agent::deploy::open_image;
use gantry_agent::deploy::spec::Spec;
use gantry_agent::http::{Client, Endpoint, Fault};
use gantry_agent::runner::proxy;
use gantry_agent::secret::Secret;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// An https server that answers `{}` to everything; returns its URL and its certificate's hash.
fn start() -> (String, [u8; 32]) {
    let made = rcgen::generate_simple_self_signed(vec!["gantry".into()]).expect("certificate");
    let der = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let hash = ring::digest::digest(&ring::digest::SHA256, &der).as_ref().try_into().expect("32 bytes");
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![der], key)
            .expect("key");
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let url = format!("https://{}", listener.local_addr().expect("address"));
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let conn = rustls::ServerConnection::new(config.clone()).expect("connection");
            let mut tls = rustls::StreamOwned::new(conn, stream);
            let mut buffer = [0; 4096];
            if tls.read(&mut buffer).is_ok_and(|count| count > 0) {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
                let _ = tls.flush();
            }
        }
    });
    (url, hash)
}

/// Tasks need to know nothing of TLS.
#[test]
fn the_local_proxy_speaks_tls_for_tasks() {
    let (url, hash) = start();
    let dir = TempDir::new();
    for (pin, expected) in [(Some(hash), "HTTP/1.1 200 OK"), (Some([7; 32]), "")] {
        proxy::start(&Endpoint { url: url.clone(), pin }, dir.path());
        let mut client = UnixStream::connect(proxy::socket(dir.path())).expect("socket");
        client.write_all(b"GET /api/v3/info HTTP/1.1\r\nHost: x\r\n\r\n").expect("request");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answer");
        assert_eq!(answer.lines().next().unwrap_or_default(), expected);
    }
}

fn ask(url: &str, pin: Option<[u8; 32]>) -> Result<u16, Fault> {
    let client = Client::new(Endpoint { url: url.to_owned(), pin }, Secret::new("t"));
    client.get("info").map(|answer| answer.code)
}

#[test]
fn any_certificate_or_exactly_one() {
    let (url, hash) = start();
    assert_eq!(ask(&url, None), Ok(200));
    assert_eq!(ask(&url, Some(hash)), Ok(200));
    let Err(Fault::Transport(text)) = ask(&url, Some([7; 32])) else {
        panic!("a foreign certificate was accepted")
    };
    assert!(text.contains("not the one that this machine was told to trust"), "{text}");
}

/// What comes of asking for an image of a server whose certificate no authority has signed: the line of the log, or the error.
fn image(url: &str, tls: &str, endpoint: &str) -> Result<String, String> {
    let spec = Spec { url: format!("{url}/image"), tls: tls.to_owned(), ..Spec::default() };
    let mut lines = Vec::new();
    let opened = open_image(&spec, endpoint, &mut |line| lines.push(line.to_owned()));
    opened.map(|_| lines.join("\n")).map_err(|error| error.to_string())
}

#[test]
fn images_come_from_who_is_vouched_for() {
    let (url, hash) = start();
    let error = image(&url, "", "https://other:8092").expect_err("refused");
    assert!(error.contains("invalid peer certificate") && error.contains("the order's Tls says"), "{error}");
    assert!(!error.contains("gave up"), "asking again is of no use: {error}");
    let own = image(&url, "", "https://127.0.0.1:8092").expect("the server of the job");
    assert!(own.contains("it is the server of this job"), "{own}");
    assert!(image(&url, "any", "").expect("any").contains("any certificate is accepted, as the order says"));
    let pin: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(image(&url, &format!("sha256:{pin}"), "").is_ok());
    let error =
        image(&url, &format!("sha256:{}", "07".repeat(32)), "https://127.0.0.1").expect_err("refused");
    assert!(error.contains("not the one that this machine was told to trust"), "{error}");
}
