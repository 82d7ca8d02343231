//! What plain scalars mean to go-yaml version 2, which speaks YAML 1.1, and how Go writes numbers.

use serde_json::{Number, Value};

/// True when a text needs no quotes to stay one: it is not read as a number, a boolean, nothing or a time.
pub(super) fn is_text(text: &str) -> bool {
    let words = [".nan", ".NaN", ".NAN"];
    let infinite = || matches!(text.trim_start_matches(['+', '-']), ".inf" | ".Inf" | ".INF");
    resolve(text).is_string()
        && !words.contains(&text)
        && !infinite()
        && !is_time(text)
        && !is_sexagesimal(text)
}

/// `2006-1-2`, with `T15:4:5.999Z07:00`, `t15:4:5.999Z07:00` or ` 15:4:5.999` behind it or not.
fn is_time(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let within = |part: Option<&str>, most: u32| {
        part.is_some_and(|part| {
            digits(part, 1..=2) && part.parse::<u32>().is_ok_and(|n| (1..=most).contains(&n))
        })
    };
    let is_date =
        digits(year, 4..=4) && within(month, 12) && within(day, days(year, month)) && parts.next().is_none();
    is_date && time.is_none_or(is_clock)
}

fn days(year: &str, month: Option<&str>) -> u32 {
    let year: u32 = year.parse().unwrap_or_default();
    match month.and_then(|month| month.parse::<u32>().ok()) {
        Some(4 | 6 | 9 | 11) => 30,
        Some(2) if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        Some(2) => 28,
        _ => 31,
    }
}

/// `T15:4:5.999Z` and the like; after a space there is no zone.
fn is_clock(text: &str) -> bool {
    let (mark, clock) = text.split_at(1);
    let clock = match (mark, clock.strip_suffix('Z')) {
        (" ", _) => clock,
        (_, Some(clock)) => clock,
        (_, None) => match clock.rfind(['+', '-']).map(|at| clock.split_at(at)) {
            Some((clock, zone)) if is_zone(&zone[1..]) => clock,
            _ => return false,
        },
    };
    let (clock, fraction) =
        clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else { return false };
    let below =
        |part: &str, length, most: u32| digits(part, length) && part.parse::<u32>().is_ok_and(|n| n < most);
    below(hours, 1..=2, 24)
        && below(minutes, 1..=2, 60)
        && below(seconds, 1..=2, 60)
        && fraction.is_none_or(|fraction| digits(fraction, 1..=usize::MAX))
}

fn is_zone(text: &str) -> bool {
    text.split_once(':').is_some_and(|(hours, minutes)| digits(hours, 2..=2) && digits(minutes, 2..=2))
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: a number of old, which go-yaml does not read but quotes.
fn is_sexagesimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let loose = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let rest: Vec<&str> = parts.collect();
    first.starts_with(|c: char| c.is_ascii_digit())
        && loose(first)
        && loose(fraction)
        && !rest.is_empty()
        && rest.iter().all(|part| digits(part, 1..=2) && part.parse::<u32>().is_ok_and(|n| n < 60))
}

/// A number of JSON, which Go holds as a 64 bit float: a whole one plainly while it fits 64 bits.
pub(super) fn json_number(number: &Number) -> String {
    let value = number.as_f64().unwrap_or_default();
    let whole =
        value.fract() == 0.0 && (-9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&value);
    if value == 0.0 {
        "0".to_owned()
    } else if whole {
        value.to_string()
    } else {
        gantry_template::float_text(value)
    }
}

/// A number as Go writes it into a string field: whole ones plainly, others in the shortest form that a 32 bit float needs.
#[must_use]
pub fn number_text(number: &Number) -> String {
    if !number.is_f64() {
        return number.to_string();
    }
    #[expect(clippy::cast_possible_truncation, reason = "that is what Go does here")]
    let value = number.as_f64().unwrap_or_default() as f32;
    general(&format!("{value:e}"))
}

/// Go's `FormatFloat(x, 'g', -1, …)` from the shortest digits in the form `1.5e3`.
fn general(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    if !(-4..6).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent + 1).unwrap_or_default();
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// The words of YAML 1.1 for an absent value, true and false.
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];
const TRUES: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSES: [&str; 11] = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

/// What a plain scalar means.
#[must_use]
pub fn resolve(text: &str) -> Value {
    let Some(first) = text.chars().next() else { return Value::Null };
    if NULLS.contains(&text) {
        return Value::Null;
    }
    if TRUES.contains(&text) {
        return true.into();
    }
    if FALSES.contains(&text) {
        return false.into();
    }
    let number = match first {
        '.' => text.parse().ok().filter(|_| is_float(text)).and_then(float),
        '0'..='9' | '+' | '-' => number(&text.replace('_', "")),
        _ => None,
    };
    number.map_or_else(|| text.into(), Value::Number)
}

fn number(plain: &str) -> Option<Number> {
    if let Some(whole) = whole(plain) {
        return Some(whole);
    }
    plain.parse().ok().filter(|_| is_float(plain)).and_then(float)
}

/// A float as JSON has it: a whole one has no fraction there. Large ones stay floats, for the sake of [`number_text`].
#[must_use]
pub fn float(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small, as tested before")]
    let whole = (value.fract() == 0.0 && value.abs() < 1e6).then_some(value as i64);
    whole.map(Number::from).or_else(|| Number::from_f64(value))
}

/// Go's `ParseInt` and `ParseUint` with base 0.
fn whole(plain: &str) -> Option<Number> {
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, base).ok()?;
    match (negative, i64::try_from(value)) {
        (false, _) if plain.starts_with('+') => i64::try_from(value).ok().map(Number::from),
        (false, _) => Some(value.into()),
        (true, Ok(value)) => Some((-value).into()),
        (true, Err(_)) if value == 1 << 63 => Some(i64::MIN.into()),
        (true, Err(_)) => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_yaml_1_1_says() {
        let table = [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("n", json!(false)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("", json!(null)),
            ("010", json!(8)),
            ("08", json!(8)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("7.10", json!(7.1)),
            (".5", json!(0.5)),
            ("1e3", json!(1000)),
            ("1e7", json!(1e7)),
            ("12:30:45", json!("12:30:45")),
            ("2020-01-02", json!("2020-01-02")),
            ("1.2.3", json!("1.2.3")),
            ("0755a", json!("0755a")),
            ("-", json!("-")),
            ("/ foo", json!("/ foo")),
        ];
        for (text, expected) in table {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_become_text_as_go_writes_them() {
        for (number, text) in [
            (8.0, "8"),
            (7.1, "7.1"),
            (20.04, "20.04"),
            (1e21, "1e+21"),
            (0.000_01, "1e-05"),
            (1_234_567.0, "1.234567e+06"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(number_text(&Number::from_f64(number).unwrap()), text);
        }
        assert_eq!(number_text(&Number::from(2004)), "2004");
    }
}
