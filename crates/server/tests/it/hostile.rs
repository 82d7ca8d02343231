//! What clients should not do: giants, silence, climbing paths, floods.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::harness::{Server, raw, send};

/// A body that sends what it is told to, when it is told to.
pub(crate) fn dripping() -> (mpsc::Sender<Bytes>, reqwest::Body) {
    struct Drops(mpsc::Receiver<Bytes>);
    impl futures_core::Stream for Drops {
        type Item = Result<Bytes, std::io::Error>;
        fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.poll_recv(context).map(|piece| piece.map(Ok))
        }
    }
    let (sender, receiver) = mpsc::channel(1);
    (sender, reqwest::Body::wrap_stream(Drops(receiver)))
}

#[tokio::test(flavor = "multi_thread")]
async fn giant_json_is_refused_before_it_is_held() {
    let server = Server::start().await;
    let announced = raw(&server.client, Method::POST, "/profiles")
        .header("content-type", "application/json")
        .body(vec![b' '; (8 << 20) + 1]);
    assert_eq!(send(announced).await.status, 413);
    let (sender, body) = dripping();
    let endless =
        raw(&server.client, Method::POST, "/profiles").header("content-type", "application/json").body(body);
    let answer = tokio::spawn(send(endless));
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    let mut sent = 0;
    // The server stops reading at its limit, and the channel closes.
    while sent < 64 && sender.send(piece.clone()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 64, "64 MiB of JSON were taken");
    assert_eq!(answer.await.unwrap().status, 413);
}

/// Each name is compared with every role: a URL has room for thousands.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_roles_that_do_not_exist_a_few_are_told() {
    let server = Server::start().await;
    for (named, last) in [(20, "Role r19 does not exist"), (500, "Further roles that do not exist: 480")] {
        let roles: Vec<String> = (0..named).map(|number| format!("r{number}")).collect();
        let refused = server.get(&format!("/users/rocketskates/token?roles={}", roles.join(","))).await;
        assert_eq!(refused.status, 422);
        let messages = refused.json()["Messages"].as_array().unwrap().clone();
        assert_eq!((messages.len().min(21), messages.last().unwrap()), (20 + named / 500, &json!(last)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_cannot_climb_out() {
    let server = Server::start().await;
    std::fs::write(server.folder().join("secret"), "top secret").unwrap();
    for path in ["..%2f..%2fsecret", "%2e%2e/%2e%2e/secret", "a/../../../secret", "..", "a%00b"] {
        for (method, prefix) in [("GET", "files"), ("POST", "files"), ("DELETE", "isos")] {
            let text = format!("{method} /api/v3/{prefix}/{path} HTTP/1.1\r\n");
            let answer = wire(&server, &text).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{method} {path}: {answer}");
            assert!(!answer.contains("top secret"));
        }
    }
    assert_eq!(server.get("/files?path=../..").await.status, 404);
    assert_eq!(std::fs::read(server.folder().join("secret")).unwrap(), b"top secret");
}

/// Sends a request head as it is, with credentials and an empty body, and gives back the answer.
async fn wire(server: &Server, head: &str) -> String {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode("rocketskates:r0cketsk8ts");
    let rest = format!(
        "host: x\r\nauthorization: Basic {basic}\r\ncontent-type: application/octet-stream\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let mut stream = crate::transport::tls(server).await;
    stream.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that is done may close without a TLS goodbye.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Seen on the 2019 server: requests for unknown paths without login grew the metrics for ever.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_do_not_grow_the_metrics() {
    let server = Server::start().await;
    let lines = async || server.plain(&server.metrics).await.text().lines().count();
    server.get("/nosuch").await;
    let before = lines().await;
    for n in 0..50 {
        assert_eq!(server.get(&format!("/nosuch{n}/{n}")).await.status, 404);
    }
    assert_eq!(lines().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    let (sender, body) = dripping();
    let request = raw(&server.client, Method::POST, "/files/partial")
        .header("content-type", "application/octet-stream");
    let upload = tokio::spawn(request.body(body).send());
    sender.send(Bytes::from(vec![b'x'; 2 << 20])).await.unwrap();
    upload.abort();
    drop(sender);
    assert_eq!(server.get("/files/partial").await.status, 404);
    assert_eq!(server.get("/files").await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_the_wire_is_survived() {
    let server = Server::start().await;
    for text in ["GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n", "GET /api/v3/info\r\n", "\u{0}\u{1}\u{2}"] {
        let mut stream = crate::transport::tls(&server).await;
        // The server may close at once, and then the write fails.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
    let long = "x".repeat(20_000);
    let refused = server.get(&format!("/machines/{long}")).await.status;
    assert!([414, 431].contains(&refused), "{refused}");
    assert_eq!(server.get("/info").await.status, 200);
}

/// What is refused is refused by its head: nobody without a login can make the server read.
#[tokio::test(flavor = "multi_thread")]
async fn endless_uploads_with_wrong_tokens_are_refused_unread_and_counted() {
    let server = Server::start().await;
    let stranger = server.as_token("a.b.c");
    let refused = async || number(&server, "gantry_api_refused_logins_total{reason=\"foreign_token\"}").await;
    let before = refused().await;
    for path in ["/files/image.raw", "/isos/x.iso", "/profiles", "/contents"] {
        let (sender, body) = dripping();
        let request = raw(&stranger, Method::POST, path).header("content-type", "application/octet-stream");
        let answer = tokio::spawn(send(request.body(body)));
        let piece = Bytes::from(vec![0; 1 << 20]);
        let mut sent = 0;
        while sent < 64 && sender.send(piece.clone()).await.is_ok() {
            sent += 1;
        }
        assert!(sent < 64, "{path}: 64 MiB were taken from a stranger");
        drop(sender);
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status, answer.text().contains("a.b.c")),
            (403, false),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!(refused().await - before, 4.0);
    assert_eq!(number(&server, "gantry_api_uploaded_bytes_total").await, 0.0);
}

/// What is refused by the file service shows in the metrics of the server, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn climbing_paths_of_the_file_service_are_counted() {
    let server = Server::start().await;
    std::fs::write(server.folder().join("secret"), "top secret").unwrap();
    let address = server.files.strip_prefix("http://").unwrap();
    for path in ["/../secret", "/%2e%2e/secret", "/files/..%2f..%2fsecret"] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        assert!(!answer.contains("top secret"));
    }
    let counted = "gantry_file_requests_total{protocol=\"http\",status=\"400\"}";
    assert_eq!(number(&server, counted).await, 3.0);
}

/// The value of one line of the metrics; 0 when there is none yet.
async fn number(server: &Server, name: &str) -> f64 {
    let page = server.plain(&server.metrics).await.text();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_default()
}
