//! What the exit code of a script means for its job and for the machine (engine.md §4.12, §5.5).

use serde::{Deserialize, Serialize};

/// What the machine does once the job is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// Nothing special.
    Continue,
    /// Restart.
    Reboot,
    /// Switch off.
    PowerOff,
    /// The agent takes no more jobs until someone says so.
    Stop,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done; goes on with the next task.
    Finished(After),
    /// To be run again as the same job.
    Incomplete(After),
    /// Went wrong; the machine stops here.
    Failed,
    /// The agent was told to end while the job ran; it continues as the same job.
    Interrupted,
}

impl Outcome {
    /// The job's final `State`.
    pub fn state(self) -> &'static str {
        match self {
            Self::Finished(_) => "finished",
            Self::Incomplete(_) | Self::Interrupted => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The job's `ExitState`.
    pub fn exit_state(self) -> &'static str {
        match self {
            Self::Finished(after) | Self::Incomplete(after) => match after {
                After::Continue => "complete",
                After::Reboot => "reboot",
                After::PowerOff => "poweroff",
                After::Stop => "stop",
            },
            Self::Failed => "failed",
            Self::Interrupted => "complete",
        }
    }

    /// What to do when it is reported.
    pub fn after(self) -> After {
        match self {
            Self::Finished(after) | Self::Incomplete(after) => after,
            Self::Failed => After::Continue,
            Self::Interrupted => After::Stop,
        }
    }

    /// The same result, with its power action already behind us.
    pub fn already_left(self) -> Self {
        match self {
            Self::Finished(_) => Self::Finished(After::Continue),
            Self::Incomplete(_) => Self::Incomplete(After::Continue),
            other => other,
        }
    }

    /// Everything but plain success makes the machine wait (engine.md §5.5 step 6). After a failure the server
    /// sees to that with the result, wherever the task list is by then, unless the task is to be tried again:
    /// then the machine never stops being runnable.
    pub fn clears_runnable(self) -> bool {
        !matches!(self, Self::Finished(After::Continue) | Self::Failed | Self::Interrupted)
    }
}

/// The two dialects of exit codes; a task's `feature-flags` or the file `.sane-exit-codes` choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// 16, 32, 64 and 128 as bits.
    Sane,
    /// 1 is reboot, 2 incomplete, 3 both.
    Original,
}

impl Codes {
    /// Reads a comma list of feature flags.
    pub fn of_flags(flags: &str) -> Self {
        let has = |flag: &str| flags.split(',').any(|f| f.trim() == flag);
        if has("sane-exit-codes") { Self::Sane } else { Self::Original }
    }
}

/// Where in the list of actions a script stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Others follow.
    Inner,
    /// It is the last one.
    Last,
}

/// What one script's end means: go on with the next action, or end the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next action, please.
    Next,
    /// No more actions.
    End(Outcome),
}

/// Judges an exit code. `None` is a script that was killed by a signal.
pub fn judge(code: Option<i32>, codes: Codes, position: Position) -> Verdict {
    let Some(code) = code else { return Verdict::End(Outcome::Failed) };
    let (incomplete, after) = match (codes, code) {
        (_, 0) => (false, After::Continue),
        (Codes::Sane, 16) => (false, After::Stop),
        (Codes::Sane, 32) => (false, After::PowerOff),
        (Codes::Sane, 64) => (false, After::Reboot),
        (Codes::Sane, 128) => (true, After::Continue),
        (Codes::Sane, 144) => (true, After::Stop),
        (Codes::Sane, 160) => (true, After::PowerOff),
        (Codes::Sane, 192) => (true, After::Reboot),
        (Codes::Original, 1) => (false, After::Reboot),
        (Codes::Original, 2) => (true, After::Continue),
        (Codes::Original, 3) => (true, After::Reboot),
        _ => return Verdict::End(Outcome::Failed),
    };
    match (incomplete, after, position) {
        (false, After::Continue, Position::Inner) => Verdict::Next,
        (false, After::Continue, Position::Last) => Verdict::End(Outcome::Finished(After::Continue)),
        // "Incomplete" in the middle is an early success.
        (true, After::Continue, Position::Inner) => Verdict::End(Outcome::Finished(After::Continue)),
        (true, after, _) | (false, after, Position::Inner) => Verdict::End(Outcome::Incomplete(after)),
        (false, after, Position::Last) => Verdict::End(Outcome::Finished(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: i32, codes: Codes, position: Position) -> String {
        match judge(Some(code), codes, position) {
            Verdict::Next => "next".into(),
            Verdict::End(outcome) => format!("{}/{}", outcome.state(), outcome.exit_state()),
        }
    }

    #[test]
    fn the_table_of_the_reference() {
        let rows = [
            (0, "next", "finished/complete"),
            (16, "incomplete/stop", "finished/stop"),
            (32, "incomplete/poweroff", "finished/poweroff"),
            (64, "incomplete/reboot", "finished/reboot"),
            (128, "finished/complete", "incomplete/complete"),
            (144, "incomplete/stop", "incomplete/stop"),
            (160, "incomplete/poweroff", "incomplete/poweroff"),
            (192, "incomplete/reboot", "incomplete/reboot"),
            (1, "failed/failed", "failed/failed"),
            (255, "failed/failed", "failed/failed"),
        ];
        for (code, inner, last) in rows {
            assert_eq!(text(code, Codes::Sane, Position::Inner), inner, "inner {code}");
            assert_eq!(text(code, Codes::Sane, Position::Last), last, "last {code}");
        }
    }

    #[test]
    fn the_original_codes() {
        let rows = [
            (0, "finished/complete"),
            (1, "finished/reboot"),
            (2, "incomplete/complete"),
            (3, "incomplete/reboot"),
            (64, "failed/failed"),
        ];
        for (code, last) in rows {
            assert_eq!(text(code, Codes::Original, Position::Last), last, "{code}");
        }
    }

    #[test]
    fn a_signal_is_a_failure() {
        assert_eq!(judge(None, Codes::Sane, Position::Last), Verdict::End(Outcome::Failed));
    }

    #[test]
    fn flags() {
        assert_eq!(Codes::of_flags("a, sane-exit-codes"), Codes::Sane);
        assert_eq!(Codes::of_flags("original-exit-codes"), Codes::Original);
    }
}
