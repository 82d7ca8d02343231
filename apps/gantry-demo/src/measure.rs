//! How long a machine takes from its power-on to its own operating system, by firmware: each boot in a lab of its own, the
//! firmwares in turn, so that a host that changes its speed changes it for all of them.

use gantry_testkit::{Artifacts, Milestone, Options, Result, Scenario};

use crate::screen::Screen;
use crate::{FIRMWARE, MARKS, boot};

/// Boots `rounds` times with each firmware and prints a table: median seconds since power-on, and the fastest and slowest.
pub(crate) fn run(artifacts: &Artifacts, rounds: usize, screen: &Screen) -> Result<()> {
    let mut told: Vec<Vec<Vec<Milestone>>> = vec![Vec::new(); FIRMWARE.len()];
    for round in 1..=rounds {
        for ((name, firmware), told) in FIRMWARE.iter().zip(&mut told) {
            screen.say(&format!("{name}, round {round} of {rounds}"));
            let scenario = Scenario::start(artifacts, &Options::deploying(artifacts)?)?;
            let booted = boot(&scenario, *firmware, screen);
            let stopped = scenario.stop();
            told.push(booted?.1);
            stopped?;
        }
    }
    screen.clear();
    screen.say(&format!("\nSeconds since power-on, median of {rounds} (fastest to slowest):"));
    screen.say(&format!("{:<26}{}", "", FIRMWARE.map(|(name, _)| format!("{name:<24}")).concat()));
    for (mark, text) in MARKS {
        let cells: String = told.iter().map(|told| format!("{:<24}", cell(&times(told, text)))).collect();
        screen.say(&format!("{mark:<26}{cells}"));
    }
    Ok(())
}

/// When this was seen in each boot, in order of length.
fn times(told: &[Vec<Milestone>], text: &str) -> Vec<f64> {
    let at = |told: &Vec<Milestone>| told.iter().find(|one| one.text == text).map(|one| one.at.as_secs_f64());
    let mut times: Vec<f64> = told.iter().filter_map(at).collect();
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
        let boot = |seconds| vec![Milestone { at: Duration::from_secs(seconds), ..Milestone::power_on() }];
        let told = [boot(30), boot(10), boot(20)];
        assert_eq!(cell(&times(&told, "power on")), " 20.0 (10.0 to 30.0)");
        assert_eq!(cell(&times(&told, "discovered")), "-");
    }
}
