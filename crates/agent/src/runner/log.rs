//! Job logs: a spool file that outlives the agent, and its shipment to the server.
//!
//! Output goes to `<state>/logs/<job>.log` first. A shipment sends it in pieces with
//! `PUT /jobs/<id>/log`; beside the spool `<job>.pos` remembers how much has arrived. Each piece carries
//! `X-Gantry-Log-Offset`: the place in the server's log file (as `HEAD` would report its length) where
//! the piece belongs. A piece whose answer got lost is sent again with the same offset, and a server
//! that knows the header keeps only what it does not have yet; others ignore it.

use crate::http::{Client, Fault};
use crate::runner::files;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Largest piece in bytes (engine.md §5.5 step 4).
pub const PIECE: usize = 64 * 1024;
/// Output collects for this long before it is shipped.
const SHIP_EVERY: Duration = Duration::from_millis(200);
/// Pause after a piece that did not arrive.
const SHIP_AGAIN: Duration = Duration::from_secs(1);
/// The spool stops here; a task that writes more has a problem that its log does not explain.
const SPOOL_LIMIT: u64 = 256 << 20;

/// The writing end.
#[derive(Debug)]
pub struct Spool {
    file: File,
    size: u64,
}

impl Spool {
    /// Opens the spool of a job for appending.
    pub fn open(state_dir: &Path, job: &str) -> io::Result<Self> {
        let path = spool_path(state_dir, job);
        fs::create_dir_all(state_dir.join("logs"))?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    /// Appends output; beyond the limit it is dropped, with one line saying so.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size > SPOOL_LIMIT {
            return Ok(());
        }
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)?;
        if self.size > SPOOL_LIMIT {
            self.file.write_all(b"\ngantry-agent: log too long, the rest is dropped\n")?;
        }
        Ok(())
    }
}

fn spool_path(state_dir: &Path, job: &str) -> PathBuf {
    state_dir.join("logs").join(format!("{}.log", crate::text::file_name(job)))
}

/// The sending end.
#[derive(Debug)]
pub struct Shipment {
    job: String,
    spool: PathBuf,
    position: PathBuf,
    /// Length of the server's log before our first byte; `None` until asked, or if it cannot tell.
    base: Option<u64>,
    asked: bool,
    sent: u64,
}

impl Shipment {
    /// Takes up the shipment of a job's log where it stopped.
    pub fn open(state_dir: &Path, job: &str) -> Result<Self, Fault> {
        let spool = spool_path(state_dir, job);
        let position = spool.with_extension("pos");
        let known = read_position(&position);
        let (base, sent) = known.unwrap_or((None, 0));
        Ok(Self { job: job.to_owned(), spool, position, base, asked: known.is_some(), sent })
    }

    /// Sends one piece; false when there is nothing to send.
    pub fn send_piece(&mut self, client: &Client) -> Result<bool, Fault> {
        let piece = self.piece().map_err(local)?;
        if piece.is_empty() {
            return Ok(false);
        }
        self.ask_base(client)?;
        let headers: Vec<_> =
            self.base.iter().map(|base| ("x-gantry-log-offset", (base + self.sent).to_string())).collect();
        client.put_bytes(&format!("jobs/{}/log", self.job), &piece, &headers)?;
        self.sent += piece.len() as u64;
        self.remember().map_err(local)?;
        Ok(true)
    }

    /// Sends all that is left and removes the spool.
    pub fn finish(&mut self, client: &Client) -> Result<(), Fault> {
        while self.send_piece(client)? {}
        let _ = fs::remove_file(&self.spool);
        let _ = fs::remove_file(&self.position);
        Ok(())
    }

    fn piece(&self) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.spool) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.sent))?;
        let mut piece = Vec::new();
        file.take(PIECE as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }

    /// Where our first byte belongs. Remembered before the first piece goes out, so that the piece has
    /// the same offset if it must be sent again by another agent.
    fn ask_base(&mut self, client: &Client) -> Result<(), Fault> {
        if self.asked {
            return Ok(());
        }
        match client.head_length(&format!("jobs/{}/log", self.job)) {
            Ok(length) => self.base = length,
            Err(fault) if fault.passes() => return Err(fault),
            Err(_) => self.base = None,
        }
        self.asked = true;
        self.remember().map_err(local)
    }

    fn remember(&self) -> io::Result<()> {
        let text = serde_json::json!({"Base": self.base, "Sent": self.sent}).to_string();
        files::replace(&self.position, text.as_bytes(), 0o600)
    }
}

fn read_position(path: &Path) -> Option<(Option<u64>, u64)> {
    let value: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some((value.get("Base")?.as_u64(), value.get("Sent")?.as_u64()?))
}

/// Trouble with our own files: sending again will not help.
#[expect(clippy::needless_pass_by_value, reason = "used as a function value")]
fn local(error: io::Error) -> Fault {
    Fault::Nonsense(format!("log spool: {error}"))
}

/// Ships pieces while the job runs; ends with it, and leaves the rest and all trouble to the flush that
/// follows, which repeats for ever.
pub(super) fn ship(client: &Client, state_dir: &Path, job: &str, wake: &Receiver<()>) {
    let Ok(mut shipment) = Shipment::open(state_dir, job) else { return };
    let mut pause = SHIP_EVERY;
    while wake.recv().is_ok() {
        if !gather(wake, pause) {
            return;
        }
        pause = SHIP_EVERY;
        loop {
            match shipment.send_piece(client) {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) if fault.passes() => {
                    pause = SHIP_AGAIN;
                    break;
                }
                Err(_) => return,
            }
        }
    }
}

/// Lets output collect for a while. False when the job has ended.
fn gather(wake: &Receiver<()>, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        match wake.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
