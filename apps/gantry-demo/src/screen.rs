//! The terminal: lines that stay, and below them what the machine is doing right now.
//!
//! Where standard output is no terminal the lines alone are written, so that a log of the demo is readable.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of the bar.
const STEPS: u64 = 1000;
/// The spinner moves so often.
const TICK: Duration = Duration::from_millis(125);

/// Lines and a bar.
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    waiting: ProgressStyle,
    copying: ProgressStyle,
}

impl Screen {
    /// Standard output.
    pub(crate) fn new() -> Self {
        let style = |template| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
        };
        let bar = io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stdout());
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            waiting: style("        {spinner} {msg}"),
            copying: style("        [{bar:32}] {msg}").progress_chars("=> "),
        }
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
