//! Go's layouts: a format written as the reference time, `Mon Jan 2 15:04:05 MST 2006`.

use super::calendar::{DAYS, MONTHS};
use super::{Time, Zone};

/// An element of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Std {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekDay,
    WeekDay,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    /// A numeric offset: whether `Z` stands for UTC, whether minutes and seconds are written, and
    /// whether colons are.
    Offset {
        z: bool,
        minutes: bool,
        seconds: bool,
        colon: bool,
    },
    /// Fractional seconds with exactly so many digits.
    Fraction0(usize),
    /// Fractional seconds with at most so many digits.
    Fraction9(usize),
}

/// The next element: what is before it, the element and its text, and what is behind it.
pub(super) fn next(layout: &str) -> (&str, Option<(Std, &str)>, &str) {
    let bytes = layout.as_bytes();
    for at in 0..bytes.len() {
        if !layout.is_char_boundary(at) {
            continue;
        }
        if let Some((std, skip, len)) = element(bytes, at) {
            let start = at + skip;
            let end = start + len;
            return (&layout[..start], Some((std, &layout[start..end])), &layout[end..]);
        }
    }
    (layout, None, "")
}

fn has(bytes: &[u8], at: usize, text: &str) -> bool {
    bytes[at..].starts_with(text.as_bytes())
}

/// The element at `at`: what it is, how many bytes of plain text precede it, and its length.
fn element(bytes: &[u8], at: usize) -> Option<(Std, usize, usize)> {
    let found = |std, len| Some((std, 0, len));
    let lower_after = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
    match bytes[at] {
        b'J' if has(bytes, at, "January") => found(Std::LongMonth, 7),
        b'J' if has(bytes, at, "Jan") && !lower_after(at + 3) => found(Std::Month, 3),
        b'M' if has(bytes, at, "Monday") => found(Std::LongWeekDay, 6),
        b'M' if has(bytes, at, "Mon") && !lower_after(at + 3) => found(Std::WeekDay, 3),
        b'M' if has(bytes, at, "MST") => found(Std::ZoneName, 3),
        b'0' => match bytes.get(at + 1) {
            Some(b'1') => found(Std::ZeroMonth, 2),
            Some(b'2') => found(Std::ZeroDay, 2),
            Some(b'3') => found(Std::ZeroHour12, 2),
            Some(b'4') => found(Std::ZeroMinute, 2),
            Some(b'5') => found(Std::ZeroSecond, 2),
            Some(b'6') => found(Std::Year, 2),
            _ if has(bytes, at, "002") => found(Std::ZeroYearDay, 3),
            _ => None,
        },
        b'1' if has(bytes, at, "15") => found(Std::Hour, 2),
        b'1' => found(Std::NumMonth, 1),
        b'2' if has(bytes, at, "2006") => found(Std::LongYear, 4),
        b'2' => found(Std::Day, 1),
        b'_' if has(bytes, at, "_2006") => Some((Std::LongYear, 1, 4)),
        b'_' if has(bytes, at, "_2") => found(Std::UnderDay, 2),
        b'_' if has(bytes, at, "__2") => found(Std::UnderYearDay, 3),
        b'3' => found(Std::Hour12, 1),
        b'4' => found(Std::Minute, 1),
        b'5' => found(Std::Second, 1),
        b'P' if has(bytes, at, "PM") => found(Std::UpperPm, 2),
        b'p' if has(bytes, at, "pm") => found(Std::LowerPm, 2),
        b'-' | b'Z' => offset(bytes, at),
        b'.' | b',' => fraction(bytes, at),
        _ => None,
    }
}

fn offset(bytes: &[u8], at: usize) -> Option<(Std, usize, usize)> {
    let z = bytes[at] == b'Z';
    let forms = [
        ("070000", true, true, false),
        ("07:00:00", true, true, true),
        ("0700", true, false, false),
        ("07:00", true, false, true),
        ("07", false, false, false),
    ];
    forms.iter().find(|(text, ..)| has(bytes, at + 1, text)).map(|&(text, minutes, seconds, colon)| {
        (Std::Offset { z, minutes, seconds, colon }, 0, text.len() + 1)
    })
}

fn fraction(bytes: &[u8], at: usize) -> Option<(Std, usize, usize)> {
    let digit = *bytes.get(at + 1).filter(|&&b| b == b'0' || b == b'9')?;
    let count = bytes[at + 1..].iter().take_while(|&&b| b == digit).count();
    if bytes.get(at + 1 + count).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let std = if digit == b'0' { Std::Fraction0(count) } else { Std::Fraction9(count) };
    Some((std, 0, count + 1))
}

/// `Time.Format`
pub(super) fn format(time: &Time, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 10);
    let mut rest = layout;
    loop {
        let (before, found, after) = next(rest);
        out.push_str(before);
        let Some((std, text)) = found else { return out };
        push(&mut out, time, std, text);
        rest = after;
    }
}

fn push(out: &mut String, time: &Time, std: Std, text: &str) {
    let civil = time.civil();
    let month = MONTHS[(civil.month - 1) as usize];
    let day = DAYS[civil.weekday()];
    let hour12 = if civil.hour % 12 == 0 { 12 } else { civil.hour % 12 };
    let piece = match std {
        Std::LongMonth => month.to_owned(),
        Std::Month => month[..3].to_owned(),
        Std::NumMonth => civil.month.to_string(),
        Std::ZeroMonth => format!("{:02}", civil.month),
        Std::LongWeekDay => day.to_owned(),
        Std::WeekDay => day[..3].to_owned(),
        Std::Day => civil.day.to_string(),
        Std::UnderDay => format!("{:2}", civil.day),
        Std::ZeroDay => format!("{:02}", civil.day),
        Std::UnderYearDay => format!("{:3}", civil.day_of_year()),
        Std::ZeroYearDay => format!("{:03}", civil.day_of_year()),
        Std::Hour => format!("{:02}", civil.hour),
        Std::Hour12 => hour12.to_string(),
        Std::ZeroHour12 => format!("{hour12:02}"),
        Std::Minute => civil.minute.to_string(),
        Std::ZeroMinute => format!("{:02}", civil.minute),
        Std::Second => civil.second.to_string(),
        Std::ZeroSecond => format!("{:02}", civil.second),
        Std::LongYear if civil.year < 0 => format!("-{:04}", -civil.year),
        Std::LongYear => format!("{:04}", civil.year),
        Std::Year => format!("{:02}", civil.year.abs() % 100),
        Std::UpperPm => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
        Std::LowerPm => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
        Std::ZoneName => zone_name(time),
        Std::Offset { z: true, .. } if time.offset() == 0 => "Z".to_owned(),
        Std::Offset { minutes, seconds, colon, .. } => show_offset(time.offset(), minutes, seconds, colon),
        Std::Fraction0(count) => format!("{}{}", &text[..1], fraction_digits(time, count)),
        Std::Fraction9(count) => {
            let digits = fraction_digits(time, count);
            match digits.trim_end_matches('0') {
                "" => String::new(),
                digits => format!("{}{digits}", &text[..1]),
            }
        }
    };
    out.push_str(&piece);
}

/// As many digits as there are to nanoseconds, whatever the layout has.
fn fraction_digits(time: &Time, count: usize) -> String {
    let nine = format!("{:09}", time.nanoseconds);
    nine[..count.min(9)].to_owned()
}

fn zone_name(time: &Time) -> String {
    match time.zone_abbreviation() {
        name if !name.is_empty() => name,
        _ => {
            let minutes = time.offset() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
        }
    }
}

fn show_offset(offset: i64, minutes: bool, seconds: bool, colon: bool) -> String {
    let sign = if offset / 60 < 0 { '-' } else { '+' };
    let size = offset.abs();
    let separator = if colon { ":" } else { "" };
    let mut text = format!("{sign}{:02}", size / 3600);
    if minutes {
        text.push_str(&format!("{separator}{:02}", size / 60 % 60));
    }
    if seconds {
        text.push_str(&format!("{separator}{:02}", size % 60));
    }
    text
}

/// `Time.String`
pub(super) fn show(time: &Time) -> String {
    format(time, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// The form of `encoding/json`: RFC 3339 with nanoseconds. Its years have four digits, its zones are less than a day.
pub(super) fn rfc3339(time: &Time) -> Result<String, &'static str> {
    const DAY: i64 = 86_400;
    if !(0..=9999).contains(&time.civil().year) {
        return Err("year outside of range [0,9999]");
    }
    if time.offset().abs() >= DAY {
        return Err("timezone hour outside of range [0,23]");
    }
    Ok(format(time, "2006-01-02T15:04:05.999999999Z07:00"))
}

impl Zone {
    /// What Go prints for the location itself.
    pub(super) fn is_utc(&self) -> bool {
        matches!(self, Zone::Utc)
    }
}
