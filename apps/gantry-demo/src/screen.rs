//! The terminal: lines that stay, below them what the machine is doing right now, and Ctrl-C.
//!
//! Where standard output is no terminal the lines alone are written, so that a log of the demo is readable.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantry_testkit::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Steps of the bar.
const STEPS: u64 = 1000;
/// The spinner moves so often.
const TICK: Duration = Duration::from_millis(125);

/// What a shell says of a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// The signals of a terminal: the first one wants the demo to `stop` in good order, the second one ends it at once.
///
/// # Errors
/// If the system refuses a signal.
pub(crate) fn stop_on_signals(stop: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(stop))?;
        flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}

/// Lines, a bar, and the wish to stop.
pub(crate) struct Screen {
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    waiting: ProgressStyle,
    copying: ProgressStyle,
}

impl Screen {
    /// Standard output; the demo is to stop when `stop` becomes true.
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Self {
        let style = |template| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
        };
        let waiting = style("        {spinner} {msg}");
        let bar = io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stdout());
            bar.set_style(waiting.clone());
            bar.enable_steady_tick(TICK);
            bar
        });
        let copying = style("        [{bar:32}] {msg}").progress_chars("=> ");
        Self { stop, bar, waiting, copying }
    }

    /// Goes on, unless the demo is to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        // A closed terminal does not stop the demo: its exit code still tells.
        let write = || drop(writeln!(io::stdout(), "{line}"));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// What is being waited for.
    pub(crate) fn waiting(&self, what: &str) {
        self.show(&self.waiting, 0.0, what);
    }

    /// How much of a long step is done, from 0 to 1, and the rest in words.
    pub(crate) fn copying(&self, part: f64, rest: &str) {
        self.show(&self.copying, part, rest);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self, style: &ProgressStyle, part: f64, message: &str) {
        let Some(bar) = &self.bar else { return };
        bar.set_style(style.clone());
        bar.set_position((part.clamp(0.0, 1.0) * STEPS as f64) as u64);
        bar.set_message(message.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine and the server would go on without a word if the signal ended this program.
    #[test]
    fn a_signal_is_a_wish_to_stop() {
        let stop = Arc::new(AtomicBool::new(false));
        stop_on_signals(&stop).expect("without them the next line would end the test");
        let screen = Screen::new(stop);
        screen.go_on().unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(matches!(screen.go_on(), Err(Error::Interrupted)));
    }
}
