//! Small texts: sizes, times, safe file names.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time as RFC 3339 with milliseconds, in UTC.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs() as i64, since.subsec_millis());
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant's formula).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let of_year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * of_year + of_year / 4 - of_year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (of_year + era * 400 + i64::from(month <= 2), month, day)
}

/// A file name out of any text: what is not a letter, digit, dot, dash or blank becomes `_`.
pub fn file_name(text: &str) -> String {
    let safe: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() || ".-_ ".contains(c) { c } else { '_' })
        .take(100)
        .collect();
    if safe.trim_matches('.').is_empty() { "_".to_owned() } else { safe }
}

/// Reads a size such as `20G`, `512 MiB`, `1000000`; powers of 1024, except with `B` after K, M, G, T
/// without `i` (`20GB`), which are powers of 1000.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..split)?.parse().ok()?;
    let (power, base) = match text.get(split..)?.trim() {
        "" | "B" => (0, 1024),
        "K" | "KiB" => (1, 1024),
        "M" | "MiB" => (2, 1024),
        "G" | "GiB" => (3, 1024),
        "T" | "TiB" => (4, 1024),
        "KB" | "kB" => (1, 1000),
        "MB" => (2, 1000),
        "GB" => (3, 1000),
        "TB" => (4, 1000),
        _ => return None,
    };
    number.checked_mul(u64::checked_pow(base, power)?)
}

/// A size for people, in binary units.
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Reads a duration such as `90`, `90s`, `30m`, `2h`, `1d`, in seconds.
pub fn parse_seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, factor) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3600),
        b'd' => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_millis(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(784_111_777_123), "1994-11-06T08:49:37.123Z");
        assert_eq!(at(1_709_208_000_000), "2024-02-29T12:00:00.000Z");
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("20G"), Some(20 << 30));
        assert_eq!(parse_size("20 GB"), Some(20_000_000_000));
        assert_eq!(parse_size("512"), Some(512));
        for bad in ["", "G", "5X", "99999999999T", "-1"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        assert_eq!(human_size(1536 << 20), "1.5 GiB");
        assert_eq!(human_size(12), "12 B");
    }

    #[test]
    fn names_and_durations() {
        assert_eq!(file_name("../a/b c"), ".._a_b c");
        assert_eq!(file_name(".."), "_");
        assert_eq!(parse_seconds("30m"), Some(1800));
        assert_eq!((parse_seconds("x"), parse_seconds(""), parse_seconds("é")), (None, None, None));
    }
}
