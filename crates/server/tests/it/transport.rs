//! The connection below the API: TLS, HTTP versions, headers that Go clients insist on, stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Server, eventually, raw, send, uploading};

/// A TLS connection to the API that speaks HTTP/1.1 and takes any certificate.
pub(crate) async fn tls(server: &Server) -> TlsStream<TcpStream> {
    tls_to(&server.url).await
}

async fn tls_to(url: &str) -> TlsStream<TcpStream> {
    let config = gantry_client::tls_config(&[b"http/1.1"]).unwrap();
    let address = url.strip_prefix("https://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_and_2_are_both_spoken() {
    let server = Server::start().await;
    let reply = server.client.send(server.client.request(Method::GET, "/info", &[])).await.unwrap();
    assert_eq!(reply.version(), reqwest::Version::HTTP_2);
    let mut stream = tls(&server).await;
    stream.write_all(b"GET /api/v3/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("www-authenticate: dr-provision"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_compressed_for_those_who_ask_and_errors_too() {
    let server = Server::start().await;
    for (path, status) in [("/info", 200), ("/machines/nosuch", 404)] {
        let zipped = raw(&server.client, Method::GET, path).header("accept-encoding", "gzip");
        let zipped = send(zipped).await;
        assert_eq!((zipped.status, zipped.header("content-encoding")), (status, "gzip"));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*zipped.bytes), &mut text).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert_eq!(server.get(path).await.header("content-encoding"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_need_no_login_and_slashes_are_forgiven() {
    let server = Server::start().await;
    let stranger = server.as_token("bad");
    let unknown = crate::harness::ask(&stranger, Method::GET, "/nosuch?a=b", None).await;
    assert_eq!(unknown.error(), "404 GET: /api/v3/nosuch?a=b: No route");
    assert_eq!(server.delete("/info").await.error(), "404 DELETE: /api/v3/info: No route");
    assert_eq!(server.get("/machines/").await.status, 200, "redirected to the path without the slash");
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_of_any_origin_may_call() {
    let server = Server::start().await;
    let asked = raw(&server.client, Method::OPTIONS, "/machines").header("origin", "https://ui");
    let asked = send(asked).await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, "*"));
    let without = send(raw(&server.client, Method::OPTIONS, "/machines")).await;
    assert_eq!(without.error(), "404 OPTIONS: /api/v3/machines: No route");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_the_api_is_served() {
    let server = Server::start().await;
    let mut stream = tls(&server).await;
    stream.write_all(b"GET /swagger.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let document: serde_json::Value = serde_json::from_str(body.trim()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

/// The head of the answer to a GET.
async fn head(server: &Server, path: &str) -> String {
    let mut stream = tls(server).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: drp.example:8092\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer.split_once("\r\n\r\n").unwrap().0.to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_interface_is_told_which_server_it_is_for() {
    let server = Server::start_with(&["--backend", "memory", "--ui-url", "https://ui.example/"]).await;
    for path in ["/", "/ui", "/ui/"] {
        let head = head(&server, path).await;
        assert!(head.starts_with("http/1.1 301"), "{path}: {head}");
        assert!(head.contains("location: https://ui.example/#/e/drp.example:8092"), "{path}: {head}");
    }
    let without = Server::start().await;
    for path in ["/", "/ui/"] {
        let head = head(&without, path).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
}

/// Status and body of a GET without credentials, the path sent as it is written here.
async fn fetched(url: &str, path: &str) -> (String, String) {
    let mut stream = tls_to(url).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_of_the_api_serves_the_files_that_the_port_of_files_does_and_no_others() {
    let server = Server::start().await;
    let body = raw(&server.client, Method::POST, "/files/drpcli.amd64.linux");
    send(body.header("content-type", "application/octet-stream").body("0123456789")).await;
    let token =
        json!({ "Name": "token", "Path": "{{.Machine.Path}}/token", "Contents": "{{.GenerateBootToken}}" });
    server.create("bootenvs", json!({ "Name": "env", "Templates": [token] })).await;
    server.create("machines", json!({ "Name": "m1", "BootEnv": "env", "Address": "192.0.2.1" })).await;
    let uuid = server.get("/machines/Name:m1").await.json()["Uuid"].as_str().unwrap().to_owned();
    let own = format!("/machines/{uuid}/token");
    for (path, status) in [
        ("/files/drpcli.amd64.linux", "200"),
        ("//files//drpcli.amd64.linux", "200"),
        ("/default.ipxe", "200"),
        // A machine's token is for the machine's own address.
        (own.as_str(), "500"),
        ("/files/", "200"),
    ] {
        let here = fetched(&server.url, path).await;
        assert_eq!(here, fetched(&server.secure_files, path).await, "{path}");
        assert_eq!(here.0, status, "{path}: {}", here.1);
    }
    for path in [
        "/nosuch",
        "/../secure.key",
        "/%2e%2e/server.key",
        "/files/%zz",
        "/.gantry/lock",
        "/api/v3/nosuch/../../../default.ipxe",
    ] {
        let (status, body) = fetched(&server.url, path).await;
        assert_eq!(status, "404", "{path}");
        assert!(body.contains("No route"), "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_path_says_what_it_wants_as_text() {
    let server = Server::start().await;
    let reply = server.get("/ws").await;
    assert_eq!((reply.status, reply.header("content-type")), (400, "text/plain; charset=utf-8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_logged_for_who_asks_and_found_by_its_token() {
    let server = Server::start().await;
    let traced = |level: &str| {
        let request = raw(&server.client, Method::GET, "/machines?Name=x");
        send(request.header("x-log-request", level).header("x-log-token", "mine-7"))
    };
    let lines = async || {
        let lines = server.get("/logs").await.json();
        let lines = lines.as_array().unwrap().clone();
        lines
            .into_iter()
            .filter(|line| line["Message"].as_str().unwrap().contains("mine-7"))
            .collect::<Vec<_>>()
    };
    traced("error").await;
    assert!(lines().await.is_empty(), "an error would have been logged, this was none");
    traced("debug").await;
    let found = lines().await;
    assert_eq!(found.len(), 1, "{found:?}");
    let message = found[0]["Message"].as_str().unwrap();
    assert!(
        message.starts_with("Log token: mine-7: GET /api/v3/machines answered with 200 in "),
        "{message}"
    );
    assert_eq!((&found[0]["Level"], &found[0]["Principal"]), (&json!("debug"), &json!("user:rocketskates")));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_on_the_port_of_the_api_have_ranges_lengths_and_no_writes() {
    let server = Server::start().await;
    let body = raw(&server.client, Method::POST, "/files/f");
    send(body.header("content-type", "application/octet-stream").body("0123456789")).await;
    let http = gantry_client::http().unwrap();
    let url = format!("{}/files/f", server.url);
    let part = send(http.get(&url).header("range", "bytes=2-4")).await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    let head = send(http.head(&url)).await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let refused = send(http.request(method.clone(), &url)).await;
        assert_eq!(refused.error(), format!("404 {method}: /files/f: No route"));
    }
    let closed = Server::start_with(&["--backend", "memory", "--disable-provisioner"]).await;
    std::fs::create_dir_all(closed.folder().join("tftpboot/files")).unwrap();
    std::fs::write(closed.folder().join("tftpboot/files/f"), "x").unwrap();
    let nothing = closed.plain(&format!("{}/files/f", closed.url)).await;
    assert_eq!(nothing.error(), "404 GET: /files/f: No route");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_finishes_what_is_under_way() {
    let server = Server::start().await;
    let (sender, body) = crate::hostile::dripping();
    let request =
        raw(&server.client, Method::POST, "/files/last").header("content-type", "application/octet-stream");
    let upload = tokio::spawn(send(request.body(body)));
    let first = vec![b'x'; 1 << 20];
    sender.send(first.into()).await.unwrap();
    uploading(&server).await;
    let (stop, url) = (server.core().stop.clone(), server.url.clone());
    let stopping = tokio::spawn(server.stop());
    stop.cancelled().await;
    sender.send("last".into()).await.unwrap();
    drop(sender);
    assert_eq!(upload.await.unwrap().json(), json!({ "Path": "/last", "Size": (1 << 20) + 4 }));
    let folder = stopping.await.unwrap();
    assert!(std::fs::read(folder.path().join("tftpboot/files/last")).unwrap().ends_with(b"xlast"));
    assert!(TcpStream::connect(url.strip_prefix("https://").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_the_parent_bound_is_served_too() {
    let parent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    parent.set_nonblocking(true).unwrap();
    let address = parent.local_addr().unwrap();
    let server = Server::start_with_inherited(vec![("api".to_owned(), parent)]).await;
    let there = crate::harness::root_at(&format!("https://{address}"));
    assert_eq!(crate::harness::ask(&there, Method::GET, "/info", None).await.status, 200);
    assert_eq!(server.get("/info").await.status, 200);
}

/// A client that is reset while it sends forgets the answer, so what nobody wants is taken all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_does_not_cut_off_the_request_over_http_2() {
    const CHUNKS: usize = 48;
    let server = Server::start().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let body = futures_util::stream::iter(0..CHUNKS).map(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![b'x'; 64 << 10])
    });
    let stranger = server.as_token("bad");
    let upload = raw(&stranger, Method::POST, "/files/large").body(reqwest::Body::wrap_stream(body));
    let refused = send(upload).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    eventually(async || (sent.load(Ordering::Relaxed) == CHUNKS).then_some(())).await;
    assert_eq!(server.core().metrics.uploaded.get(), 0);
}
