//! Durations as people write them in queries and preferences: `10m`, `1.5 h`, `never` (reference: api.md §4.10).
//!
//! Leaves out Go's compound form (`1h30m`): the wire has one number and one unit.

use std::time::Duration;

/// The word `never` means one hundred years of 365 days.
pub const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Seconds per unit, by every spelling of the unit.
const UNITS: &[(&[&str], f64)] = &[
    (&["ns", "nanosecond", "nanoseconds"], 1e-9),
    (&["us", "µs", "μs", "microsecond", "microseconds"], 1e-6),
    (&["ms", "millisecond", "milliseconds"], 1e-3),
    (&["s", "sec", "second", "seconds"], 1.0),
    (&["m", "min", "minute", "minutes"], 60.0),
    (&["h", "hour", "hours"], 3_600.0),
    (&["d", "day", "days"], 86_400.0),
    (&["w", "week", "weeks"], 604_800.0),
    (&["mo", "month", "months"], 30.0 * 86_400.0),
    (&["y", "year", "years"], 365.0 * 86_400.0),
];

/// Reads `text` as a duration; a bare number counts seconds.
///
/// # Errors
/// A text that starts with `Invalid duration '<text>': ` and says what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if trimmed == "never" {
        return Ok(NEVER);
    }
    let split = trimmed.find(|c: char| !(c.is_ascii_digit() || ".+-eE".contains(c))).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| refuse(text, "it must start with a number"))?;
    let unit = unit.trim();
    let seconds = match unit {
        "" => 1.0,
        _ => UNITS
            .iter()
            .find(|(names, _)| names.contains(&unit))
            .map(|(_, seconds)| *seconds)
            .ok_or_else(|| refuse(text, "the unit must be one of ns, us, ms, s, m, h, d, w, mo, y"))?,
    };
    Duration::try_from_secs_f64(number * seconds)
        .map(|found| found.min(NEVER))
        .map_err(|_| refuse(text, "it must be zero or more, and finite"))
}

fn refuse(text: &str, why: &str) -> String {
    format!("Invalid duration '{text}': {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        let check =
            |text: &str, millis: u64| assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        check("600", 600_000);
        check("1.5h", 5_400_000);
        check("1.5 h", 5_400_000);
        check("250ms", 250);
        check("2w", 2 * 604_800_000);
        check("1mo", 30 * 86_400_000);
        check("0", 0);
        assert_eq!(parse("never"), Ok(NEVER));
    }

    #[test]
    fn refuses_with_the_text_and_the_remedy() {
        for bad in ["", "cow", "5 parsecs", "-1", "1e999", "nan"] {
            let text = parse(bad).unwrap_err();
            assert!(text.starts_with(&format!("Invalid duration '{bad}': ")), "{text}");
        }
    }
}
