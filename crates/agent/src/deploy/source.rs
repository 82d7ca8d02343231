//! The image as a stream of bytes, hashed as served. A download that breaks is taken up again at the
//! byte where it broke (RFC 9110 §14), so that the decoder behind it never notices.

use crate::http::tls::{self, Trust, Trusted};
use crate::runner::say;
use ring::digest::{Context, SHA256};
use std::io::{self, Read};
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, Request};

/// Attempts without a single new byte before giving up.
const TRIES: u32 = 12;
/// A server that sends nothing for this long has gone.
const STALL: Duration = Duration::from_secs(30);

/// A resuming, hashing reader of one URL.
pub struct Source {
    agent: ureq::Agent,
    url: String,
    body: Option<Box<dyn Read>>,
    digest: Context,
    /// Bytes read so far.
    offset: u64,
    /// Length of the whole file, when the server says.
    length: Option<u64>,
    /// What must stay the same when we come back.
    validator: Option<String>,
    tries: u32,
    resumed: u32,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("url", &self.url).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Source {
    /// Connects; fails at once when the server refuses, or is not to be trusted. `own` is the host of the job's server, whose
    /// certificate no authority has signed.
    pub fn open(url: &str, trust: Trust, own: &str) -> io::Result<Self> {
        let config = ureq::Agent::config_builder()
            // What began under TLS is not redirected out of it.
            .https_only(url.starts_with("https://"))
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(STALL))
            .input_buffer_size(256 * 1024)
            .build();
        let mut source = Self {
            agent: tls::agent_for(config, Trusted::new(trust, own)),
            url: url.to_owned(),
            body: None,
            digest: Context::new(&SHA256),
            offset: 0,
            length: None,
            validator: None,
            tries: 0,
            resumed: 0,
        };
        source.connect_patiently()?;
        Ok(source)
    }

    /// Length of the file as served.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes of the file read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How often the download was taken up again.
    pub fn resumed(&self) -> u32 {
        self.resumed
    }

    /// Reads what the decoder left over and returns the SHA-256 of the whole file, in hexadecimal.
    pub fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        let digest = self.digest.finish();
        Ok(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn connect_patiently(&mut self) -> io::Result<()> {
        loop {
            match self.connect() {
                Ok(()) => return Ok(()),
                Err(Trouble::Final(text)) => return Err(io::Error::other(format!("{}: {text}", self.url))),
                Err(Trouble::Passing(text)) => self.pause(&text)?,
            }
        }
    }

    /// Waits before the next attempt, or gives up.
    fn pause(&mut self, text: &str) -> io::Result<()> {
        self.body = None;
        self.tries += 1;
        if self.tries >= TRIES {
            return Err(io::Error::other(format!("{}: gave up after {TRIES} attempts: {text}", self.url)));
        }
        say(&format!("image download: {text}; trying again at byte {}", self.offset));
        std::thread::sleep(Duration::from_millis((100u64 << self.tries.min(6)).min(5000)));
        Ok(())
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        let mut builder = Request::builder().method("GET").uri(&self.url);
        if self.offset > 0 {
            builder = builder.header("range", format!("bytes={}-", self.offset));
        }
        let request = builder.body(()).map_err(|error| Trouble::Final(error.to_string()))?;
        let response = self.agent.run(request).map_err(|error| match tls::is_distrust(&error) {
            true => Trouble::Final(format!("{error}; the order's Tls says which certificate is accepted")),
            false => Trouble::Passing(error.to_string()),
        })?;
        let code = response.status().as_u16();
        let from = match code {
            200 => 0,
            206 => range_start(response.headers()).unwrap_or(self.offset),
            500..=599 | 408 | 429 => return Err(Trouble::Passing(format!("the server answers {code}"))),
            _ => return Err(Trouble::Final(format!("the server answers {code}"))),
        };
        self.check_same(response.headers())?;
        if code == 200 {
            self.length = header(response.headers(), "content-length").and_then(|text| text.parse().ok());
        }
        if from > self.offset {
            return Err(Trouble::Final(format!("asked for byte {}, got {from}", self.offset)));
        }
        let mut body: Box<dyn Read> = Box::new(response.into_body().into_reader());
        // A server that knows no ranges sends everything again.
        let skip = self.offset - from;
        let skipped = io::copy(&mut body.by_ref().take(skip), &mut io::sink())
            .map_err(|error| Trouble::Passing(error.to_string()))?;
        if skipped < skip {
            return Err(Trouble::Passing("the connection broke".into()));
        }
        self.body = Some(body);
        Ok(())
    }

    /// The second part of another file would be written behind the first part of this one.
    fn check_same(&mut self, headers: &HeaderMap) -> Result<(), Trouble> {
        let now = header(headers, "etag").or_else(|| header(headers, "last-modified")).map(str::to_owned);
        if self.offset > 0 && now != self.validator {
            return Err(Trouble::Final("the file changed while it was being read".into()));
        }
        self.validator = now;
        Ok(())
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(body) = &mut self.body else {
                self.resumed += 1;
                self.connect_patiently()?;
                continue;
            };
            match body.read(buf) {
                Ok(0) if self.length.is_none_or(|length| self.offset >= length) => return Ok(0),
                Ok(0) => self.pause("the connection ended early")?,
                Ok(count) => {
                    self.tries = 0;
                    self.offset += count as u64;
                    self.digest.update(buf.get(..count).unwrap_or_default());
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.pause(&error.to_string())?,
            }
        }
    }
}

enum Trouble {
    Passing(String),
    Final(String),
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes 5-99/100`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Tells how far a long copy is, at most once a second.
#[derive(Debug)]
pub struct Progress {
    begin: Instant,
    told: Instant,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { begin: now, told: now }
    }

    /// A line, if one is due: `read` of `length` bytes as served, `made` bytes of image so far.
    pub fn line(&mut self, read: u64, length: Option<u64>, made: u64) -> Option<String> {
        if self.told.elapsed() < Duration::from_secs(1) {
            return None;
        }
        self.told = Instant::now();
        Some(describe(self.begin.elapsed().as_secs_f64(), read, length, made))
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn describe(seconds: f64, read: u64, length: Option<u64>, made: u64) -> String {
    let speed = made as f64 / seconds.max(0.001) / 1e6;
    let image = crate::text::human_size(made);
    match length.filter(|length| *length > 0 && read > 0) {
        Some(length) => {
            let part = read.min(length) as f64 / length as f64;
            let left = seconds / part - seconds;
            format!("{:3.0} %  {image} written  {speed:.1} MB/s  {left:.0} s left", part * 100.0)
        }
        None => format!("{image} written  {speed:.1} MB/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines() {
        assert_eq!(describe(2.0, 50, Some(200), 40_000_000), " 25 %  38.1 MiB written  20.0 MB/s  6 s left");
        assert_eq!(describe(1.0, 50, None, 1_000_000), "976.6 KiB written  1.0 MB/s");
    }
}
