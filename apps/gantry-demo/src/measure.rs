//! How long a machine takes from its power-on to its own operating system, by firmware: each boot in a lab of its own, the
//! firmwares in turn, so that a host that changes its speed changes it for all of them.

use gantry_lab::Firmware;
use gantry_testkit::{Artifacts, Milestone, Options, Result, Scenario, check_ins};

use crate::screen::Screen;
use crate::{FIRMWARE, MARKS, boot, stop};

/// Boots `rounds` times with each firmware and prints a table: median seconds since power-on, and the fastest and slowest.
pub(crate) fn run(artifacts: &Artifacts, rounds: usize, screen: &Screen) -> Result<()> {
    let mut boots: Vec<Vec<Boot>> = vec![Vec::new(); FIRMWARE.len()];
    for round in 1..=rounds {
        for ((name, firmware), boots) in FIRMWARE.iter().zip(&mut boots) {
            screen.say(&format!("{name}, round {round} of {rounds}"));
            let scenario = Scenario::start(artifacts, &Options::deploying(artifacts)?)?;
            let booted = one(&scenario, *firmware, screen);
            boots.push(stop(booted, screen, || scenario.stop())?);
        }
    }
    screen.clear();
    screen.say(&format!("\nSeconds since power-on, median of {rounds} (fastest to slowest):"));
    screen.say(&format!("{:<26}{}", "", FIRMWARE.map(|(name, _)| format!("{name:<24}")).concat()));
    let say = |mark: &str, seconds: &dyn Fn(&Boot) -> Option<f64>| {
        let cells: String =
            boots.iter().map(|boots| format!("{:<24}", cell(&times(boots, seconds)))).collect();
        screen.say(&format!("{mark:<26}{cells}"));
    };
    for (mark, text) in MARKS {
        say(mark, &|boot| boot.at(text));
    }
    screen.say("Seconds from a kernel's start to the check-in of its agent:");
    say("discovery OS", &|boot| boot.check_ins[0]);
    say("its own system", &|boot| boot.check_ins[1]);
    Ok(())
}

/// What one boot took.
#[derive(Clone, Debug, Default)]
struct Boot {
    told: Vec<Milestone>,
    check_ins: [Option<f64>; 2],
}

impl Boot {
    /// Seconds from the power-on to a milestone.
    fn at(&self, text: &str) -> Option<f64> {
        self.told.iter().find(|one| one.text == text).map(|one| one.at.as_secs_f64())
    }
}

fn one(scenario: &Scenario, firmware: Firmware, screen: &Screen) -> Result<Boot> {
    let (key, told) = boot(scenario, firmware, screen)?;
    Ok(Boot { told, check_ins: check_ins(&scenario.whole_trace(&key)?) })
}

/// What this was in each boot, in order of length.
fn times(boots: &[Boot], seconds: impl Fn(&Boot) -> Option<f64>) -> Vec<f64> {
    let mut times: Vec<f64> = boots.iter().filter_map(seconds).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn cell(times: &[f64]) -> String {
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(fastest), Some(median), Some(slowest)) => {
            format!("{median:5.1} ({fastest:.1} to {slowest:.1})")
        }
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_middle_one_is_told() {
        let boot = |seconds| {
            let told = vec![Milestone { at: Duration::from_secs(seconds), ..Milestone::power_on() }];
            Boot { told, ..Boot::default() }
        };
        let boots = [boot(30), boot(10), boot(20)];
        assert_eq!(cell(&times(&boots, |boot| boot.at("power on"))), " 20.0 (10.0 to 30.0)");
        assert_eq!(cell(&times(&boots, |boot| boot.check_ins[0])), "-");
    }
}
