//! A minimal HTTP/1.1 server for tests, which can also misbehave: drop a request, or cut an answer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A parsed request; header names are lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// First byte of a `Range: bytes=N-` header.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range").strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Close the connection after so many bytes of the body; 0 and no code: without any answer.
    pub(crate) cut: Option<usize>,
}

impl Response {
    pub(crate) fn json(code: u16, value: &serde_json::Value) -> Self {
        let body = if value.is_null() { Vec::new() } else { value.to_string().into_bytes() };
        Self { code, body, headers: vec![("Content-Type".into(), "application/json".into())], cut: None }
    }

    pub(crate) fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self { code: 200, body: body.into(), ..Self::default() }
    }

    /// No answer at all.
    pub(crate) fn hang_up() -> Self {
        Self { cut: Some(0), ..Self::default() }
    }
}

/// A running server; ends with the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = listener.local_addr().expect("address");
        let over = Arc::new(AtomicBool::new(false));
        let (stop, handler) = (over.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, stop) = (handler.clone(), stop.clone());
                std::thread::spawn(move || serve(&stream, &*handler, &stop));
            }
        });
        Self { address, over }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, handler: &dyn Fn(Request) -> Response, stop: &AtomicBool) {
    let mut reader = BufReader::new(stream.try_clone().expect("clone"));
    while let Some(request) = read_request(&mut reader) {
        let head = request.method == "HEAD";
        let response = handler(request);
        if stop.load(Ordering::SeqCst) || !answer(stream, &response, head) {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let mut request =
        Request { method: words.next()?.into(), path: words.next()?.into(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        request.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// False when the connection is to be closed.
fn answer(mut stream: &TcpStream, response: &Response, head: bool) -> bool {
    if response.code == 0 {
        return false;
    }
    let mut text = format!("HTTP/1.1 {} x\r\n", response.code);
    if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        text += &format!("Content-Length: {}\r\n", response.body.len());
    }
    for (name, value) in &response.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    let body = response.body.get(..response.cut.unwrap_or(usize::MAX).min(response.body.len()));
    let sent = stream
        .write_all(text.as_bytes())
        .and_then(|()| if head { Ok(()) } else { stream.write_all(body.unwrap_or_default()) });
    sent.is_ok() && response.cut.is_none()
}
