//! A small blocking client of the API: JSON in, JSON out, every failure sorted into "nobody answered"
//! and "somebody said no", because the session treats them differently.
//!
//! The connection is kept alive. Certificates: see [`tls`]. Tokens travel only in the header and are
//! never part of an error text.

pub mod pipe;
pub mod stream;
pub mod tls;

use crate::secret::Secret;
use crate::wire::Refusal;
use serde_json::Value;
use std::io::{Read, Write};
use std::time::Duration;
use ureq::http::{Method, Request, Response, request};

/// Largest JSON answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// Where the server is and how its certificate is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host:port`, without a path.
    pub url: String,
    /// SHA-256 of the certificate, see [`tls::config`].
    pub pin: Option<[u8; 32]>,
}

/// Why there is no answer to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The request may or may not have reached the server: ask again.
    #[error("no answer: {0}")]
    Transport(String),
    /// The server understood and refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The answer makes no sense; asking again will not help.
    #[error("answer not understood: {0}")]
    Nonsense(String),
}

impl Fault {
    /// Whether asking again may help: nobody answered, or a server in trouble.
    pub fn passes(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused(refusal) => refusal.is_trouble(),
            Self::Nonsense(_) => false,
        }
    }

    /// The status of a refusal, 0 otherwise.
    pub fn code(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.code,
            _ => 0,
        }
    }
}

/// An answer with a good status.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status, 200 to 299.
    pub code: u16,
    /// The body, `null` when there is none.
    pub body: Value,
    /// The `Date` header, unparsed.
    pub date: Option<String>,
}

/// A client for one server and one token.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    endpoint: Endpoint,
    token: Secret,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub fn new(endpoint: Endpoint, token: Secret) -> Self {
        let agent = agent(endpoint.pin);
        Self { agent, endpoint, token }
    }

    /// The same connections with another token.
    pub fn with_token(&self, token: Secret) -> Self {
        Self { token, ..self.clone() }
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The token in use.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// `GET path`; `path` begins after `/api/v3/`.
    pub fn get(&self, path: &str) -> Result<Answer, Fault> {
        self.json("GET", path, None)
    }

    /// Sends a JSON request and reads a JSON answer.
    pub fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Fault> {
        let builder = self.request(method, path)?;
        let sent = match body {
            Some(body) => builder
                .header("content-type", "application/json")
                .body(body.to_string().into_bytes())
                .map(|request| self.agent.run(request)),
            None => builder.body(()).map(|request| self.agent.run(request)),
        };
        let response = sent.map_err(|e| Fault::Nonsense(format!("{method} {path}: {e}")))?;
        read_answer(response.map_err(transport)?)
    }

    /// Appends raw bytes to a job log or the like. `headers` are added as they are.
    pub fn put_bytes(&self, path: &str, body: &[u8], headers: &[(&str, String)]) -> Result<Answer, Fault> {
        self.send_bytes("PUT", path, body, headers)
    }

    /// Sends raw bytes.
    pub fn send_bytes(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        headers: &[(&str, String)],
    ) -> Result<Answer, Fault> {
        let mut builder = self.request(method, path)?.header("content-type", "application/octet-stream");
        for (name, value) in headers {
            builder = builder.header(*name, value);
        }
        let request =
            builder.body(body.to_vec()).map_err(|e| Fault::Nonsense(format!("{method} {path}: {e}")))?;
        read_answer(self.agent.run(request).map_err(transport)?)
    }

    /// Copies the body of a `GET` to a writer and returns its length.
    pub fn download(&self, path: &str, out: &mut dyn Write) -> Result<u64, Fault> {
        let request = self
            .request("GET", path)?
            .header("accept", "application/octet-stream")
            .body(())
            .map_err(|e| Fault::Nonsense(format!("GET {path}: {e}")))?;
        let response = self.agent.run(request).map_err(transport)?;
        if response.status().as_u16() >= 400 {
            return read_answer(response).map(|_| 0);
        }
        let mut body = response.into_body().into_reader();
        std::io::copy(&mut body, out).map_err(|e| Fault::Transport(format!("GET {path}: {e}")))
    }

    /// The length that a `HEAD` answer announces.
    pub fn head_length(&self, path: &str) -> Result<Option<u64>, Fault> {
        let request =
            self.request("HEAD", path)?.body(()).map_err(|e| Fault::Nonsense(format!("HEAD {path}: {e}")))?;
        let response = self.agent.run(request).map_err(transport)?;
        let code = response.status().as_u16();
        if code >= 400 {
            return Err(Fault::Refused(Refusal { code, ..Refusal::default() }));
        }
        let length = response.headers().get("content-length").and_then(|v| v.to_str().ok());
        Ok(length.and_then(|v| v.parse().ok()))
    }

    fn request(&self, method: &str, path: &str) -> Result<request::Builder, Fault> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|e| Fault::Nonsense(format!("method {method}: {e}")))?;
        let uri = format!("{}/api/v3/{}", self.endpoint.url, encode(path));
        let mut builder = Request::builder().method(method).uri(uri).header("accept", "application/json");
        if !self.token.is_empty() {
            builder = builder.header("authorization", format!("Bearer {}", self.token.expose()));
        }
        Ok(builder)
    }
}

fn agent(pin: Option<[u8; 32]>) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(3)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_send_body(Some(Duration::from_secs(60)))
        .timeout_recv_response(Some(Duration::from_secs(300)))
        .timeout_recv_body(Some(Duration::from_secs(120)))
        .user_agent(concat!("gantry-agent/", env!("CARGO_PKG_VERSION")))
        .build();
    tls::agent(config, pin)
}

/// A file at any address, of at most `limit` bytes, without a token.
pub fn fetch(url: &str, pin: Option<[u8; 32]>, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let mut body = body_of(url, pin)?.take(limit + 1);
    body.read_to_end(&mut bytes).map_err(|e| Fault::Transport(format!("GET {url}: {e}")))?;
    if bytes.len() as u64 > limit {
        return Err(Fault::Nonsense(format!("GET {url}: more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Copies a file at any address, of at most `limit` bytes, to a writer, without a token. Returns its length.
pub fn copy(url: &str, pin: Option<[u8; 32]>, limit: u64, out: &mut dyn Write) -> Result<u64, Fault> {
    let mut body = body_of(url, pin)?.take(limit.saturating_add(1));
    let count = std::io::copy(&mut body, out).map_err(|e| Fault::Transport(format!("GET {url}: {e}")))?;
    if count > limit {
        return Err(Fault::Nonsense(format!("GET {url}: more than {limit} bytes")));
    }
    Ok(count)
}

fn body_of(url: &str, pin: Option<[u8; 32]>) -> Result<impl Read + use<>, Fault> {
    let request = Request::builder().method("GET").uri(url).body(());
    let request = request.map_err(|e| Fault::Nonsense(format!("GET {url}: {e}")))?;
    let response = agent(pin).run(request).map_err(transport)?;
    if response.status().as_u16() >= 400 {
        return Err(read_answer(response).err().unwrap_or_else(|| Fault::Nonsense(url.to_owned())));
    }
    Ok(response.into_body().into_reader())
}

/// `scheme://host:port` of an address.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

/// The host of an address, IPv6 in its brackets.
pub fn host(url: &str) -> &str {
    let authority = origin(url).split("://").last().unwrap_or_default();
    match authority.rfind(']') {
        Some(end) => authority.get(..=end).unwrap_or(authority),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Escapes what may not stand in a URL. Slashes, colons and query signs stay: callers build paths.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(byte as char),
            b'-' | b'_' | b'.' | b'~' | b'/' | b':' | b'?' | b'&' | b'=' | b',' | b'%' | b'+' | b'@' => {
                out.push(byte as char);
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn read_answer(mut response: Response<ureq::Body>) -> Result<Answer, Fault> {
    let code = response.status().as_u16();
    let date = response.headers().get("date").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    let reader = response.body_mut().with_config().limit(MAX_ANSWER).reader();
    std::io::BufReader::new(reader)
        .read_to_end(&mut body)
        .map_err(|e| Fault::Transport(format!("reading the answer: {e}")))?;
    if code >= 400 {
        return Err(Fault::Refused(Refusal::parse(code, &body)));
    }
    let body = parse_body(&body)?;
    Ok(Answer { code, body, date })
}

fn parse_body(body: &[u8]) -> Result<Value, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|e| Fault::Nonsense(format!("want JSON: {e}")))
}

fn transport(error: ureq::Error) -> Fault {
    match error {
        ureq::Error::BadUri(text) => Fault::Nonsense(format!("address {text}")),
        other => Fault::Transport(other.to_string()),
    }
}

/// Decodes one typed object out of an answer.
pub fn decode<T: serde::de::DeserializeOwned>(what: &str, body: Value) -> Result<T, Fault> {
    serde_json::from_value(body).map_err(|e| Fault::Nonsense(format!("{what}: {e}")))
}

/// Seconds since 1970 of an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`, RFC 9110 §5.6.7).
pub fn parse_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split_whitespace();
    let day: i64 = words.next()?.parse().ok().filter(|d| (1..=31).contains(d))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok().filter(|y| (1970..=9999).contains(y))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if hour > 23 || minute > 59 || second > 60 || hour < 0 || minute < 0 || second < 0 {
        return None;
    }
    Some(days_from_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 (Howard Hinnant's civil-days formula).
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        for bad in ["", "x, y", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_of_addresses() {
        assert_eq!(origin("https://a:8090/machines/x/gantry.json"), "https://a:8090");
        assert_eq!(origin("http://a"), "http://a");
        assert_eq!((host("https://a:8092"), host("https://[fd77::1]:8092/x")), ("a", "[fd77::1]"));
    }

    #[test]
    fn paths_are_escaped_but_stay_paths() {
        assert_eq!(
            encode("machines/a b/params/x/y?slim=Params,Meta"),
            "machines/a%20b/params/x/y?slim=Params,Meta"
        );
        assert_eq!(encode("tasks/ä"), "tasks/%C3%A4");
    }
}
