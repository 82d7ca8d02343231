//! Go's `time.ParseInLocation`.

use super::calendar::{Civil, DAYS, MONTHS, days_in, is_leap, quote};
use super::layout::{Std, next};
use super::{Time, Zone};

/// A bad element; the layout element and the value it met are added by the caller.
struct Bad;

type Step<T> = Result<T, Bad>;

#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: i64,
    am: bool,
    pm: bool,
    utc: bool,
    offset: Option<i64>,
    zone_name: String,
    /// What is out of its range.
    range: Option<&'static str>,
}

/// Parses `value` by `layout`; without a zone of its own it is in `local`.
pub(super) fn parse(layout: &str, value: &str, local: &Zone) -> Result<Time, String> {
    let mut fields = Fields::default();
    let mut rest_layout = layout;
    let mut rest = value;
    loop {
        let (prefix, found, after) = next(rest_layout);
        match skip(rest, prefix) {
            Ok(skipped) => rest = skipped,
            Err(at) => return Err(error(layout, value, prefix, at, "")),
        }
        let Some((std, text)) = found else {
            if rest.is_empty() {
                break;
            }
            return Err(error(layout, value, "", rest, &format!(": extra text: {}", quote(rest))));
        };
        rest_layout = after;
        let hold = rest;
        let result = fields.element(std, rest, rest_layout);
        if let Some(what) = fields.range {
            return Err(error(layout, value, text, rest, &format!(": {what} out of range")));
        }
        match result {
            Ok(left) => rest = left,
            Err(Bad) => return Err(error(layout, value, text, hold, "")),
        }
    }
    fields.finish(local).map_err(|message| error(layout, value, "", rest, message))
}

fn error(layout: &str, value: &str, element: &str, at: &str, message: &str) -> String {
    if message.is_empty() {
        return format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(value),
            quote(layout),
            quote(at),
            quote(element)
        );
    }
    format!("parsing time {}{message}", quote(value))
}

/// Skips the text between elements; runs of spaces match runs of spaces.
fn skip<'v>(value: &'v str, prefix: &str) -> Result<&'v str, &'v str> {
    let mut value = value;
    let mut prefix = prefix;
    while let Some(c) = prefix.chars().next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(c).ok_or(value)?;
        prefix = &prefix[c.len_utf8()..];
    }
    Ok(value)
}

fn is_digit(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
}

/// One or two digits; exactly two when `fixed`.
fn number(text: &str, fixed: bool) -> Step<(i64, &str)> {
    let len = match (is_digit(text, 0), is_digit(text, 1)) {
        (true, true) => 2,
        (true, false) if !fixed => 1,
        _ => return Err(Bad),
    };
    Ok((text[..len].parse().map_err(|_| Bad)?, &text[len..]))
}

fn name<'v>(names: &[&str], text: &'v str, len: Option<usize>) -> Step<(i64, &'v str)> {
    for (i, name) in names.iter().enumerate() {
        let name = &name[..len.unwrap_or(name.len())];
        if text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            return Ok((i as i64, &text[name.len()..]));
        }
    }
    Err(Bad)
}

fn split(text: &str, at: usize) -> Step<(&str, &str)> {
    text.split_at_checked(at).ok_or(Bad)
}

impl Fields {
    fn element<'v>(&mut self, std: Std, value: &'v str, layout: &str) -> Step<&'v str> {
        match std {
            Std::Year => {
                let (digits, rest) = split(value, 2)?;
                let year: i64 = digits.parse().map_err(|_| Bad)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
                Ok(rest)
            }
            Std::LongYear => {
                if !is_digit(value, 0) {
                    return Err(Bad);
                }
                let (digits, rest) = split(value, 4)?;
                self.year = digits.parse().map_err(|_| Bad)?;
                Ok(rest)
            }
            Std::Month => self.set_month(name(&MONTHS, value, Some(3))?),
            Std::LongMonth => self.set_month(name(&MONTHS, value, None)?),
            Std::NumMonth | Std::ZeroMonth => {
                let (month, rest) = number(value, std == Std::ZeroMonth)?;
                self.check("month", (1..=12).contains(&month));
                self.month = Some(month);
                Ok(rest)
            }
            Std::WeekDay => Ok(name(&DAYS, value, Some(3))?.1),
            Std::LongWeekDay => Ok(name(&DAYS, value, None)?.1),
            Std::Day | Std::UnderDay | Std::ZeroDay => {
                let value =
                    if std == Std::UnderDay { value.strip_prefix(' ').unwrap_or(value) } else { value };
                let (day, rest) = number(value, std == Std::ZeroDay)?;
                self.day = Some(day);
                Ok(rest)
            }
            Std::UnderYearDay | Std::ZeroYearDay => self.set_year_day(value, std == Std::ZeroYearDay),
            Std::Hour => {
                let (hour, rest) = number(value, false)?;
                self.check("hour", hour < 24);
                self.hour = hour;
                Ok(rest)
            }
            Std::Hour12 | Std::ZeroHour12 => {
                let (hour, rest) = number(value, std == Std::ZeroHour12)?;
                self.check("hour", hour <= 12);
                self.hour = hour;
                Ok(rest)
            }
            Std::Minute | Std::ZeroMinute => {
                let (minute, rest) = number(value, std == Std::ZeroMinute)?;
                self.check("minute", minute < 60);
                self.minute = minute;
                Ok(rest)
            }
            Std::Second | Std::ZeroSecond => self.set_second(value, std == Std::ZeroSecond, layout),
            Std::UpperPm => self.half(value, "AM", "PM"),
            Std::LowerPm => self.half(value, "am", "pm"),
            Std::Offset { z: true, .. } if value.starts_with('Z') => {
                self.utc = true;
                Ok(&value[1..])
            }
            Std::Offset { minutes, seconds, colon, .. } => self.set_offset(value, minutes, seconds, colon),
            Std::ZoneName => self.set_zone_name(value),
            Std::Fraction0(count) => {
                let (digits, rest) = split(value, count + 1)?;
                self.set_fraction(digits)?;
                Ok(rest)
            }
            Std::Fraction9(_) => {
                if !value.starts_with(['.', ',']) || !is_digit(value, 1) {
                    return Ok(value);
                }
                let count = value[1..].bytes().take_while(u8::is_ascii_digit).count();
                self.set_fraction(&value[..1 + count])?;
                Ok(&value[1 + count..])
            }
        }
    }

    fn check(&mut self, what: &'static str, fine: bool) {
        if !fine {
            self.range = Some(what);
        }
    }

    fn set_month<'v>(&mut self, (index, rest): (i64, &'v str)) -> Step<&'v str> {
        self.month = Some(index + 1);
        Ok(rest)
    }

    fn set_year_day<'v>(&mut self, value: &'v str, fixed: bool) -> Step<&'v str> {
        let mut value = value;
        for _ in 0..2 {
            if !fixed {
                value = value.strip_prefix(' ').unwrap_or(value);
            }
        }
        let count = value.bytes().take(3).take_while(u8::is_ascii_digit).count();
        if count == 0 || fixed && count != 3 {
            return Err(Bad);
        }
        self.year_day = Some(value[..count].parse().map_err(|_| Bad)?);
        Ok(&value[count..])
    }

    fn set_second<'v>(&mut self, value: &'v str, fixed: bool, layout: &str) -> Step<&'v str> {
        let (second, rest) = number(value, fixed)?;
        self.check("second", second < 60);
        self.second = second;
        let fraction = rest.starts_with(['.', ',']) && is_digit(rest, 1);
        if self.range.is_some() || !fraction {
            return Ok(rest);
        }
        if matches!(next(layout).1, Some((Std::Fraction0(_) | Std::Fraction9(_), _))) {
            return Ok(rest);
        }
        // A fraction that the layout does not mention is taken all the same.
        let count = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        self.set_fraction(&rest[..1 + count])?;
        Ok(&rest[1 + count..])
    }

    /// `.123`: the point and digits; what is beyond nanoseconds is cut.
    fn set_fraction(&mut self, text: &str) -> Step<()> {
        if !text.starts_with(['.', ',']) {
            return Err(Bad);
        }
        let digits = text.get(1..text.len().min(10)).ok_or(Bad)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Bad);
        }
        let digits = format!("{digits:0<9}");
        self.nanoseconds = digits.parse().map_err(|_| Bad)?;
        Ok(())
    }

    fn half<'v>(&mut self, value: &'v str, am: &str, pm: &str) -> Step<&'v str> {
        let (word, rest) = split(value, 2)?;
        self.am = word == am;
        self.pm = word == pm;
        if self.am || self.pm { Ok(rest) } else { Err(Bad) }
    }

    fn set_offset<'v>(&mut self, value: &'v str, minutes: bool, seconds: bool, colon: bool) -> Step<&'v str> {
        let gap = usize::from(colon);
        let len = 3 + usize::from(minutes) * (2 + gap) + usize::from(seconds) * (2 + gap);
        let (text, rest) = split(value, len)?;
        let colon_at = |at: usize| !colon || text.as_bytes()[at] == b':';
        if minutes && !colon_at(3) || seconds && !colon_at(3 + 2 + gap) {
            return Err(Bad);
        }
        let part = |at: usize| text.get(at..at + 2).ok_or(Bad).and_then(|two| Ok(number(two, true)?.0));
        let hour = part(1)?;
        self.check("time zone offset hour", hour <= 24);
        let minute = if minutes { part(3 + gap)? } else { 0 };
        self.check("time zone offset minute", minute <= 60);
        let second = if seconds { part(5 + 2 * gap)? } else { 0 };
        self.check("time zone offset second", second <= 60);
        let offset = (hour * 60 + minute) * 60 + second;
        self.offset = Some(match text.as_bytes()[0] {
            b'+' => offset,
            b'-' => -offset,
            _ => return Err(Bad),
        });
        Ok(rest)
    }

    fn set_zone_name<'v>(&mut self, value: &'v str) -> Step<&'v str> {
        if let Some(rest) = value.strip_prefix("UTC") {
            self.utc = true;
            return Ok(rest);
        }
        let len = zone_name_len(value).ok_or(Bad)?;
        self.zone_name = value[..len].to_owned();
        Ok(&value[len..])
    }

    fn finish(mut self, local: &Zone) -> Result<Time, &'static str> {
        if self.pm && self.hour < 12 {
            self.hour += 12;
        } else if self.am && self.hour == 12 {
            self.hour = 0;
        }
        self.apply_year_day()?;
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if day < 1 || day > days_in(self.year, month) {
            return Err(": day out of range");
        }
        let civil =
            Civil { year: self.year, month, day, hour: self.hour, minute: self.minute, second: self.second };
        let utc = civil.seconds();
        let nanoseconds = self.nanoseconds as u32;
        let made = |seconds: i64, zone: Zone| Time { seconds, nanoseconds, zone };
        if self.utc {
            return Ok(made(utc, Zone::Utc));
        }
        if let Some(offset) = self.offset {
            let seconds = utc - offset;
            let (have, name) = local.at(seconds);
            let same = have == offset && (self.zone_name.is_empty() || name == self.zone_name);
            let zone = if same { local.clone() } else { Zone::Fixed { offset, name: self.zone_name } };
            return Ok(made(seconds, zone));
        }
        if !self.zone_name.is_empty() {
            if let Some(offset) = local.offset_of(&self.zone_name, utc) {
                return Ok(made(utc - offset, local.clone()));
            }
            let hours: i64 = self.zone_name.strip_prefix("GMT").and_then(|h| h.parse().ok()).unwrap_or(0);
            // Go applies the offset to the zone, not to the instant.
            return Ok(made(utc, Zone::Fixed { offset: hours * 3600, name: self.zone_name }));
        }
        Ok(made(local.to_utc(utc), local.clone()))
    }

    fn apply_year_day(&mut self) -> Result<(), &'static str> {
        let Some(year_day) = self.year_day else { return Ok(()) };
        if year_day < 1 || year_day > 365 + i64::from(is_leap(self.year)) {
            return Err(": day-of-year out of range");
        }
        let jan = Civil { year: self.year, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        let date = Civil::from_seconds(jan.seconds() + (year_day - 1) * 86_400);
        if self.month.is_some_and(|month| month != date.month) {
            return Err(": day-of-year does not match month");
        }
        if self.day.is_some_and(|day| day != date.day) {
            return Err(": day-of-year does not match day");
        }
        (self.month, self.day) = (Some(date.month), Some(date.day));
        Ok(())
    }
}

/// How many bytes at the start look like the abbreviation of a time zone.
fn zone_name_len(value: &str) -> Option<usize> {
    if value.len() < 3 {
        return None;
    }
    if value.starts_with("ChST") || value.starts_with("MeST") {
        return Some(4);
    }
    if let Some(rest) = value.strip_prefix("GMT") {
        return Some(3 + signed_offset_len(rest));
    }
    if value.starts_with(['+', '-']) {
        return Some(signed_offset_len(value)).filter(|&len| len > 0);
    }
    let upper = value.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
    match upper {
        5 if value.as_bytes()[4] == b'T' => Some(5),
        4 if value.as_bytes()[3] == b'T' || value.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

fn signed_offset_len(value: &str) -> usize {
    if !value.starts_with(['+', '-']) {
        return 0;
    }
    let count = value[1..].bytes().take_while(u8::is_ascii_digit).count();
    match value[1..=count].parse::<u64>() {
        Ok(hours) if hours <= 23 => 1 + count,
        _ => 0,
    }
}
