//! The calendar: days, months, instants and durations without any zone.

/// Names of the months.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of the days of the week.
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

/// The year that Go counts days and seconds from, so that they are never negative: times wrap around there.
const ABSOLUTE_YEARS: u64 = 292_277_022_400;
/// Days from the first of March of that year to 1970-01-01.
const ABSOLUTE_DAYS: u64 = ABSOLUTE_YEARS / 400 * 146_097 + 719_468;

/// Days since 1970-01-01 of a date; months beyond 1 to 12 carry over. Dates beyond all times wrap around as in Go.
pub(super) fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = year.wrapping_add(month.wrapping_sub(1).div_euclid(12));
    let month = month.wrapping_sub(1).rem_euclid(12) + 1;
    // Years begin in March, so that a leap day is the last one.
    let year = (year as u64).wrapping_sub(u64::from(month <= 2)).wrapping_add(ABSOLUTE_YEARS);
    let days_of_years = 146_097_u64.wrapping_mul(year / 100) / 4 + 1461 * (year % 100) / 4;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let days = (days_of_years as i64).wrapping_add(day_of_year).wrapping_add(day).wrapping_sub(1);
    days.wrapping_sub(ABSOLUTE_DAYS as i64)
}

impl Civil {
    /// What the clock shows `seconds` after the epoch, in the zone of those seconds.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        let absolute = (seconds as u64).wrapping_add(ABSOLUTE_DAYS.wrapping_mul(86_400));
        let rest = (absolute % 86_400) as i64;
        let shifted = (absolute / 86_400) as i64 - ABSOLUTE_DAYS as i64 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Seconds since the epoch, as if in UTC.
    pub(super) fn seconds(&self) -> i64 {
        let clock = self.hour * 3600 + self.minute * 60 + self.second;
        days_from_date(self.year, self.month, self.day).wrapping_mul(86_400).wrapping_add(clock)
    }

    /// 0 is Sunday.
    pub(super) fn weekday(&self) -> usize {
        (days_from_date(self.year, self.month, self.day) + 4).rem_euclid(7) as usize
    }

    /// 1 to 366.
    pub(super) fn day_of_year(&self) -> i64 {
        days_from_date(self.year, self.month, self.day) - days_from_date(self.year, 1, 1) + 1
    }
}

/// Whether the year has a 29th of February.
pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    days_from_date(year, month + 1, 1) - days_from_date(year, month, 1)
}

/// The quoting of package `time`, which escapes all but plain ASCII byte by byte.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for rune in text.chars() {
        match rune {
            '"' | '\\' => out.extend(['\\', rune]),
            ' '..='\x7f' => out.push(rune),
            _ => {
                let byte = crate::rune::unmarked(rune);
                let bytes = byte.map_or_else(|| rune.to_string().into_bytes(), |byte| vec![byte]);
                bytes.iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
            }
        }
    }
    out.push('"');
    out
}

/// Go's `time.ParseDuration`, in nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    let quoted = quote(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = &rest[whole..];
        let fraction = after.strip_prefix('.').map(|body| &body[..digits(body)]);
        if whole + fraction.map_or(0, str::len) == 0 {
            return Err(invalid());
        }
        let number: u128 = if whole == 0 { 0 } else { rest[..whole].parse().map_err(|_| invalid())? };
        if number > 1 << 63 {
            return Err(invalid());
        }
        let after = &after[fraction.map_or(0, |f| f.len() + 1)..];
        let unit_len = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let unit = &after[..unit_len];
        let scale: u128 = match unit {
            "" => return Err(format!("time: missing unit in duration {quoted}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                let unit = quote(unit);
                return Err(format!("time: unknown unit {unit} in duration {quoted}"));
            }
        };
        let mut part = number.checked_mul(scale).filter(|&n| n <= 1 << 63).ok_or_else(invalid)?;
        if let Some(fraction) = fraction.filter(|f| !f.is_empty()) {
            let share: f64 = format!("0.{fraction}").parse().unwrap_or(0.0);
            part += (share * scale as f64) as u128;
        }
        total += part;
        if total > 1 << 63 {
            return Err(invalid());
        }
        rest = &after[unit_len..];
    }
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Go's `Duration.String`.
pub(super) fn show_duration(nanoseconds: i64) -> String {
    let size = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if size == 0 {
        return "0s".to_owned();
    }
    let (unit, scale) = match size {
        0..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => {
            let seconds = decimal(size % 60_000_000_000, 1_000_000_000);
            let minutes = size / 60_000_000_000;
            return match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            };
        }
    };
    format!("{sign}{}{unit}", decimal(size, scale))
}

fn decimal(n: u64, scale: u64) -> String {
    let fraction = n % scale;
    if fraction == 0 {
        return (n / scale).to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{}.{}", n / scale, digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for seconds in [-62_135_596_800, -1, 0, 951_782_400, 1_589_673_600, 4_102_444_799] {
            assert_eq!(Civil::from_seconds(seconds).seconds(), seconds);
        }
        assert_eq!(Civil::from_seconds(i64::MIN).year, 292_277_026_596);
        let leap = Civil::from_seconds(951_782_400);
        assert_eq!((leap.year, leap.month, leap.day, leap.weekday()), (2000, 2, 29, 2));
        assert_eq!((days_in(2021, 2), days_in(2000, 2), days_in(1900, 2)), (28, 29, 28));
    }

    #[test]
    fn durations_read_and_write_like_go() {
        for (text, want) in [
            ("1h", "1h0m0s"),
            ("-2h30m", "-2h30m0s"),
            ("1.5s", "1.5s"),
            ("100ms", "100ms"),
            ("3us", "3µs"),
            ("0", "0s"),
            (".5m", "30s"),
        ] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), want);
        }
        assert_eq!(parse_duration("1d").unwrap_err(), "time: unknown unit \"d\" in duration \"1d\"");
        assert_eq!(parse_duration("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse_duration("x").unwrap_err(), "time: invalid duration \"x\"");
    }
}
