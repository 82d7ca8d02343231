//! Files over HTTP, byte for byte as firmware sees them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{BIG, Ear, Shelf, big, localhost, metrics};
use crate::listen;
use crate::net::files::Files;
use crate::net::{Counters, Protocol};

struct Server {
    ear: Arc<Ear>,
    counters: Counters,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ear, stop) = (Arc::new(Ear::default()), CancellationToken::new());
        let listener = TcpListener::bind((localhost(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let reports = ear.reports();
        let counters = reports.counters.clone();
        let files = Files::new(Shelf::new(&folder), reports, Protocol::Http);
        let task = tokio::spawn(listen::serve(listener, None, files, stop.clone()));
        Self { ear, counters, address, stop, task, _folder: folder }
    }

    /// As [`Server::exchange`], with the head in lower case.
    async fn raw(&self, request: &str) -> (String, Vec<u8>) {
        let (head, body) = self.exchange(request).await;
        (head.to_lowercase(), body)
    }

    /// HEAD of a path, the answer as it came.
    async fn raw_head(&self, path: &str) -> (String, Vec<u8>) {
        self.exchange(&format!("HEAD {path} HTTP/1.1\nHost: x\nConnection: close\n\n")).await
    }

    /// Sends a request on a connection of its own and reads until the server closes it.
    async fn exchange(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("the server closes").unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
    }

    async fn get(&self, path: &str, headers: &str) -> (String, Vec<u8>) {
        self.raw(&format!("GET {path} HTTP/1.1\nHost: x\nConnection: close\n{headers}\n")).await
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("the service stops").unwrap();
    }
}

#[tokio::test]
async fn a_file_has_its_length_and_head_is_get_without_bytes() {
    let server = Server::start().await;
    let (head, body) = server.get("/default.ipxe", "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-length: 18") && head.contains("content-type: text/plain"), "{head}");
    assert_eq!(body, b"#!ipxe\necho hello\n");
    let (head, body) = server.raw("HEAD /big HTTP/1.1\nHost: x\nConnection: close\n\n").await;
    assert!(head.contains(&format!("content-length: {BIG}")) && body.is_empty(), "{head}");
    let (head, body) = server.get("/empty", "").await;
    assert!(head.contains("content-length: 0") && body.is_empty(), "{head}");
    let (_, body) = server.get("/who", "").await;
    assert_eq!(body, b"127.0.0.1 127.0.0.1");
    server.stop().await;
}

#[tokio::test]
async fn double_slashes_escapes_and_backslashes_mean_the_same_file() {
    let server = Server::start().await;
    for path in [
        "/sb//grubx64.efi",
        "//sb/grubx64.efi",
        "/sb%2Fgrubx64.efi",
        "/sb\\grubx64.efi",
        "/x/../sb/./grubx64.efi",
    ] {
        let (head, body) = server.get(path, "").await;
        assert!(head.starts_with("http/1.1 200") && head.contains("application/efi"), "{path}: {head}");
        assert_eq!(body, b"MZ", "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_miss_has_a_short_body_and_closes_the_connection() {
    let server = Server::start().await;
    let (head, body) = server.raw("GET /revocations_sku.efi HTTP/1.1\nHost: x\n\n").await;
    assert!(head.starts_with("http/1.1 404") && head.contains("connection: close"), "{head}");
    assert!(head.contains("content-length: 19"), "{head}");
    assert_eq!(body, b"404 page not found\n");
    server.stop().await;
}

#[tokio::test]
async fn what_leads_out_of_the_tree_is_refused() {
    let server = Server::start().await;
    for path in
        ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\x", "/a%00b", "/%zz", "/%", "/%ff%fe"]
    {
        let (head, _) = server.get(path, "").await;
        assert!(head.starts_with("http/1.1 400"), "{path}: {head}");
    }
    let (head, _) = server.raw("POST /big HTTP/1.1\nHost: x\nContent-Length: 0\n\n").await;
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: get, head"), "{head}");
    let (head, body) = server.get("/broken", "").await;
    assert!(head.starts_with("http/1.1 500") && !String::from_utf8_lossy(&body).contains("secret"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn ranges_of_files_and_of_rendered_content() {
    let server = Server::start().await;
    let (head, body) = server.get("/big", "Range: bytes=1000000-2000000\n").await;
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert!(head.contains(&format!("content-range: bytes 1000000-2000000/{BIG}")), "{head}");
    assert!(body == big()[1_000_000..=2_000_000]);
    let (_, body) = server.get("/big", "Range: bytes=-5\n").await;
    assert!(body == big()[BIG - 5..]);
    let (head, body) = server.get("/default.ipxe", "Range: bytes=2-5\n").await;
    assert!(head.contains("content-range: bytes 2-5/18"), "{head}");
    assert_eq!(body, b"ipxe");
    let (head, _) = server.get("/default.ipxe", "Range: bytes=99-\n").await;
    assert!(head.starts_with("http/1.1 416") && head.contains("content-range: bytes */18"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_did_not_change_is_not_sent_again() {
    let server = Server::start().await;
    let (head, body) = server.get("/big", "").await;
    assert!(body == big());
    let (raw, _) = server.raw_head("/big").await;
    let stamp = raw.lines().find_map(|l| l.strip_prefix("last-modified: ")).unwrap();
    assert!(head.contains(&stamp.to_lowercase()), "{head}");
    let (head, body) = server.get("/big", &format!("If-Modified-Since: {stamp}\n")).await;
    assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{head}");
    let (head, _) = server.get("/big", "If-Range: Mon, 01 Jan 2001 00:00:00 GMT\nRange: bytes=0-1\n").await;
    assert!(head.starts_with("http/1.1 200"), "a range of another version is of no use: {head}");
    server.stop().await;
}

#[tokio::test]
async fn every_request_is_reported_and_unknown_paths_make_no_metrics() {
    let server = Server::start().await;
    server.get("/default.ipxe", "").await;
    server.get("/nope", "").await;
    let served = server.ear.files(2).await;
    assert_eq!(
        (served[0].status.as_str(), served[0].bytes, served[0].wanted.path.as_str()),
        ("200", 18, "default.ipxe")
    );
    assert_eq!((served[1].status.as_str(), served[1].wanted.path.as_str()), ("404", "nope"));
    assert!(
        server.ear.texts()[0].starts_with("http /default.ipxe 200 18 bytes in "),
        "{:?}",
        server.ear.texts()
    );
    let lines = metrics(&server.counters).lines().count();
    for i in 0..50 {
        server.get(&format!("/random/{i}"), "").await;
    }
    server.ear.files(52).await;
    assert_eq!(metrics(&server.counters).lines().count(), lines);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_reported_with_what_it_got() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 1000];
    stream.read_exact(&mut some).await.unwrap();
    drop(stream);
    let served = server.ear.files(1).await;
    assert!(served[0].bytes <= BIG as u64 && served[0].bytes > 0, "{}", served[0].bytes);
    server.stop().await;
}

#[tokio::test]
async fn folders_are_listed() {
    let server = Server::start().await;
    let (_, body) = server.get("/", "").await;
    let want = "<pre>\n<a href=\"a%26b\">a&amp;b</a>\n<a href=\"sb/\">sb/</a>\n</pre>\n";
    assert_eq!(String::from_utf8_lossy(&body), want);
    server.stop().await;
}

#[tokio::test]
async fn a_bug_in_the_program_is_500_and_the_service_goes_on() {
    let server = Server::start().await;
    let (head, body) = server.get("/bug", "").await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(head.starts_with("http/1.1 500") && body.contains("incident"), "{head} {body}");
    assert!(!body.contains("a bug"), "what went wrong is for the log: {body}");
    let served = server.ear.files(1).await;
    assert_eq!((served[0].status.as_str(), served[0].error.as_deref()), ("500", Some("the server failed")));
    let (head, _) = server.get("/default.ipxe", "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    server.stop().await;
}

/// Time is advanced by the runtime whenever nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_let_go() {
    let server = Server::start().await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let served = server.ear.files(1).await;
    assert!(served[0].bytes < super::HUGE, "{}", served[0].bytes);
    drop(stream);
    server.stop().await;
}

/// Connections that say nothing must not pile up.
#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let server = Server::start().await;
    for said in ["", "P", "GET / HTTP/1.1\r\nHost"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // How it ends (a reset, a 408, silence) is not what matters.
        let ended = tokio::time::timeout(Duration::from_secs(300), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{said:?}: still open after five minutes");
    }
    server.stop().await;
}
