//! Dates and durations. The clock, and which zone is the local one, come from the host; the zones
//! themselves are compiled in.

mod calendar;
mod layout;
mod named;
mod parse;

use super::args::{ANY, STR, str};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::{Object, Signature};
use crate::rune;
use crate::value::{Type, Uint, Value};
use calendar::{Civil, parse_duration, show_duration};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use named::{Duration, Named};
use std::any::Any;

const TYPE: &str = "time.Time";
const TIME: Type = Type::Named(TYPE);

const MODIFY: Signature = Signature::exact(&[STR, TIME]);
const IN_ZONE: Signature = Signature::exact(&[STR, ANY, STR]);

pub(super) static ROWS: &[Row] = &[
    row(
        "date",
        Signature::exact(&[STR, ANY]),
        date,
        "date LAYOUT TIME",
        "The time by a layout of Go, in the local zone. A TIME is a time or seconds since 1970; anything else means now.",
    ),
    row(
        "dateInZone",
        IN_ZONE,
        date_in_zone,
        "dateInZone LAYOUT TIME ZONE",
        "As date, in the given zone; UTC if that does not exist.",
    ),
    row(
        "date_in_zone",
        IN_ZONE,
        date_in_zone,
        "date_in_zone LAYOUT TIME ZONE",
        "Another name of dateInZone.",
    ),
    row(
        "htmlDate",
        Signature::exact(&[ANY]),
        html_date,
        "htmlDate TIME",
        "The time as 2006-01-02, in the local zone.",
    ),
    row(
        "htmlDateInZone",
        Signature::exact(&[ANY, STR]),
        html_date_in_zone,
        "htmlDateInZone TIME ZONE",
        "The time as 2006-01-02, in the given zone.",
    ),
    row(
        "dateModify",
        MODIFY,
        modify,
        "dateModify DURATION TIME",
        "The time moved by a duration such as -1.5h; unchanged for a bad duration.",
    ),
    row("date_modify", MODIFY, modify, "date_modify DURATION TIME", "Another name of dateModify."),
    row(
        "mustDateModify",
        MODIFY,
        must_modify,
        "mustDateModify DURATION TIME",
        "As dateModify, but fails for a bad duration.",
    ),
    row(
        "must_date_modify",
        MODIFY,
        must_modify,
        "must_date_modify DURATION TIME",
        "Another name of mustDateModify.",
    ),
    row(
        "toDate",
        Signature::exact(&[STR, STR]),
        to_date,
        "toDate LAYOUT STRING",
        "The time that the string is by a layout of Go; year 1 if it is none.",
    ),
    row(
        "mustToDate",
        Signature::exact(&[STR, STR]),
        must_to_date,
        "mustToDate LAYOUT STRING",
        "As toDate, but fails for a bad string.",
    ),
    row(
        "unixEpoch",
        Signature::exact(&[TIME]),
        |_, a| Ok(time(&a[0])?.seconds.to_string().into()),
        "unixEpoch TIME",
        "Seconds since 1970.",
    ),
    row("duration", Signature::exact(&[ANY]), duration, "duration SECONDS", "Seconds as 1h2m3s."),
    row(
        "durationRound",
        Signature::exact(&[ANY]),
        duration_round,
        "durationRound DURATION",
        "A duration, or the time since a time, in its greatest unit: 2h, 3mo.",
    ),
];

/// An instant, and the zone it is shown in.
#[derive(Clone, Debug)]
pub(super) struct Time {
    /// Since 1970.
    seconds: i64,
    nanoseconds: u32,
    zone: Zone,
}

#[derive(Clone, Debug)]
pub(super) enum Zone {
    Utc,
    Named(TimeZone),
    Fixed { offset: i64, name: String },
}

impl Zone {
    /// The zone of an IANA name.
    fn find(name: &str) -> Option<Self> {
        if name.is_empty() || name == "UTC" {
            return Some(Zone::Utc);
        }
        // The database does not mind upper and lower case; the files that Go reads do.
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(Zone::Named(zone))
    }

    fn local(scope: &Scope<'_>) -> Self {
        Self::find(scope.host().time_zone()).unwrap_or(Zone::Utc)
    }

    /// Offset and abbreviation at an instant.
    fn at(&self, seconds: i64) -> (i64, String) {
        match self {
            Zone::Utc => (0, "UTC".to_owned()),
            Zone::Fixed { offset, name } => (*offset, name.clone()),
            Zone::Named(zone) => {
                let clamped = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
                let stamp = Timestamp::from_second(clamped).unwrap_or(Timestamp::UNIX_EPOCH);
                let info = zone.to_offset_info(stamp);
                (info.offset().seconds().into(), info.abbreviation().to_owned())
            }
        }
    }

    /// The instant of a clock reading in this zone.
    fn to_utc(&self, clock: i64) -> i64 {
        let guess = clock.wrapping_sub(self.at(clock).0);
        clock.wrapping_sub(self.at(guess).0)
    }

    /// The offset that an abbreviation has in this zone around a time.
    fn offset_of(&self, name: &str, seconds: i64) -> Option<i64> {
        const HALF_YEAR: i64 = 182 * 86_400;
        let found = [seconds, seconds.saturating_sub(HALF_YEAR), seconds.saturating_add(HALF_YEAR)]
            .map(|seconds| self.at(seconds));
        found.into_iter().find(|(_, have)| have == name).map(|(offset, _)| offset)
    }
}

impl Time {
    /// Go's zero time: the first of January of year 1.
    fn zero() -> Self {
        Self { seconds: -62_135_596_800, nanoseconds: 0, zone: Zone::Utc }
    }

    fn now(scope: &Scope<'_>) -> Self {
        let now = scope.host().now();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(0);
        Self { seconds, nanoseconds: now.subsec_nanos(), zone: Zone::local(scope) }
    }

    fn offset(&self) -> i64 {
        self.zone.at(self.seconds).0
    }

    fn zone_abbreviation(&self) -> String {
        self.zone.at(self.seconds).1
    }

    fn civil(&self) -> Civil {
        Civil::from_seconds(self.seconds.wrapping_add(self.offset()))
    }

    fn add(&self, nanoseconds: i64) -> Self {
        let total = i64::from(self.nanoseconds) + nanoseconds.rem_euclid(1_000_000_000);
        let seconds = nanoseconds.div_euclid(1_000_000_000) + total / 1_000_000_000;
        let seconds = self.seconds.wrapping_add(seconds);
        Self { seconds, nanoseconds: (total % 1_000_000_000) as u32, zone: self.zone.clone() }
    }

    fn order(&self, other: &Time) -> std::cmp::Ordering {
        (self.seconds, self.nanoseconds).cmp(&(other.seconds, other.nanoseconds))
    }

    fn within(&self, zone: Zone) -> Self {
        Self { zone, ..*self }
    }
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        TYPE
    }

    fn text(&self) -> Option<String> {
        Some(layout::show(self))
    }

    fn json(&self) -> Option<std::result::Result<String, Fail>> {
        let text = layout::rfc3339(self).map(|text| format!("\"{text}\""));
        Some(text.map_err(|reason| Fail::text(format!("Time.MarshalJSON: {reason}"))))
    }

    /// The private fields of Go's time, which verbs without a meaning for times print: nanoseconds, seconds since the year 1, and
    /// the place, which is shown as UTC.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        const YEAR_1: i64 = 62_135_596_800;
        vec![
            ("wall", Value::Uint(Uint::U64, self.nanoseconds.into())),
            ("ext", Value::Int64(self.seconds.wrapping_add(YEAR_1))),
            ("loc", Value::NilPtr("*time.Location")),
        ]
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any()?.downcast_ref::<Time>()?;
        Some(self.order(other).is_eq() && self.zone.is_utc() == other.zone.is_utc())
    }

    fn method(&self, name: &str) -> Option<Signature> {
        Some(match name {
            "Year" | "Month" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" | "YearDay"
            | "Weekday" | "Unix" | "UnixNano" | "UnixMicro" | "UnixMilli" | "String" | "IsZero" | "UTC"
            | "Local" => Signature::exact(&[]),
            "Format" => Signature::exact(&[STR]),
            "After" | "Before" | "Equal" | "Compare" | "Sub" => Signature::exact(&[TIME]),
            "AddDate" => Signature::exact(&[Type::Int, Type::Int, Type::Int]),
            _ => return None,
        })
    }

    fn call(&self, name: &str, args: &[Value], scope: &mut Scope<'_>) -> Result {
        let civil = self.civil();
        let order = match name {
            "After" | "Before" | "Equal" | "Compare" => Some(self.order(time(&args[0])?)),
            _ => None,
        };
        Ok(match name {
            "Year" => Value::Int(civil.year),
            "Month" => Value::object(Named::month(civil.month)),
            "Weekday" => Value::object(Named::weekday(civil.weekday() as i64)),
            "Day" => Value::Int(civil.day),
            "Hour" => Value::Int(civil.hour),
            "Minute" => Value::Int(civil.minute),
            "Second" => Value::Int(civil.second),
            "Nanosecond" => Value::Int(self.nanoseconds.into()),
            "YearDay" => Value::Int(civil.day_of_year()),
            "Unix" => Value::Int64(self.seconds),
            "UnixNano" => self.count(1_000_000_000),
            "UnixMicro" => self.count(1_000_000),
            "UnixMilli" => self.count(1000),
            "String" => layout::show(self).into(),
            "IsZero" => self.order(&Time::zero()).is_eq().into(),
            "UTC" => Value::object(self.within(Zone::Utc)),
            "Local" => Value::object(self.within(Zone::local(scope))),
            "Format" => formatted(self, str(&args[0])),
            "After" => order.is_some_and(std::cmp::Ordering::is_gt).into(),
            "Before" => order.is_some_and(std::cmp::Ordering::is_lt).into(),
            "Equal" => order.is_some_and(std::cmp::Ordering::is_eq).into(),
            "Compare" => Value::Int(order.map_or(0, |order| order as i64)),
            "Sub" => Value::object(Duration(self.since(time(&args[0])?))),
            _ => self.add_date(args),
        })
    }
}

impl Time {
    fn add_date(&self, args: &[Value]) -> Value {
        let by = |i: usize| super::args::int(&args[i]);
        let mut civil = self.civil();
        civil.year = civil.year.wrapping_add(by(0));
        civil.month = civil.month.wrapping_add(by(1));
        civil.day = civil.day.wrapping_add(by(2));
        Value::object(Time { seconds: self.zone.to_utc(civil.seconds()), ..self.clone() })
    }

    /// The time since 1970 in units of which a second has `units`.
    fn count(&self, units: i64) -> Value {
        let part = i64::from(self.nanoseconds) / (1_000_000_000 / units);
        Value::Int64(self.seconds.wrapping_mul(units).wrapping_add(part))
    }

    /// Nanoseconds from `other` to this time, or as many as there can be.
    fn since(&self, other: &Time) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(other.seconds);
        let nanoseconds = i128::from(self.nanoseconds) - i128::from(other.nanoseconds);
        let all = seconds * 1_000_000_000 + nanoseconds;
        i64::try_from(all).unwrap_or(if all < 0 { i64::MIN } else { i64::MAX })
    }
}

/// An instant in UTC by a layout.
#[cfg(feature = "keys")]
pub(super) fn format_utc(seconds: i64, layout: &str) -> String {
    layout::format(&Time { seconds, nanoseconds: 0, zone: Zone::Utc }, layout)
}

fn time(value: &Value) -> std::result::Result<&Time, Fail> {
    let found = match value {
        Value::Object(object) => object.as_any().and_then(|any| any.downcast_ref::<Time>()),
        _ => None,
    };
    found.ok_or_else(|| Fail::text("not a time.Time"))
}

fn shown(scope: &Scope<'_>, layout: &[u8], value: &Value, zone: Zone) -> Value {
    let shown = match value {
        Value::Int(seconds) | Value::Int64(seconds) => Time { seconds: *seconds, nanoseconds: 0, zone },
        value => match time(value) {
            Ok(time) => time.within(zone),
            Err(_) => Time::now(scope).within(zone),
        },
    };
    formatted(&shown, layout)
}

fn formatted(time: &Time, layout: &[u8]) -> Value {
    rune::unmarked_text(&layout::format(time, &rune::marked(layout))).into()
}

fn zone_argument(scope: &Scope<'_>, value: &Value) -> Zone {
    match &*String::from_utf8_lossy(str(value)) {
        "Local" => Zone::local(scope),
        name => Zone::find(name).unwrap_or(Zone::Utc),
    }
}

fn date(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(shown(scope, str(&args[0]), &args[1], Zone::local(scope)))
}

fn date_in_zone(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(shown(scope, str(&args[0]), &args[1], zone_argument(scope, &args[2])))
}

const HTML: &[u8] = b"2006-01-02";

fn html_date(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(shown(scope, HTML, &args[0], Zone::local(scope)))
}

fn html_date_in_zone(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(shown(scope, HTML, &args[0], zone_argument(scope, &args[1])))
}

fn must_modify(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let by = parse_duration(&rune::marked(str(&args[0])))?;
    Ok(Value::object(time(&args[1])?.add(by)))
}

fn modify(_: &mut Scope<'_>, args: &[Value]) -> Result {
    match parse_duration(&rune::marked(str(&args[0]))) {
        Ok(by) => Ok(Value::object(time(&args[1])?.add(by))),
        Err(_) => Ok(args[1].clone()),
    }
}

fn parsed(scope: &Scope<'_>, args: &[Value]) -> std::result::Result<Time, String> {
    let (layout, value) = (rune::marked(str(&args[0])), rune::marked(str(&args[1])));
    parse::parse(&layout, &value, &Zone::local(scope))
}

fn to_date(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::object(parsed(scope, args).unwrap_or_else(|_| Time::zero())))
}

fn must_to_date(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::object(parsed(scope, args)?))
}

fn duration(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let seconds = match &args[0] {
        Value::Str(s) => super::math::parse_clamped(s, 10).map_or(0, |(n, _)| n),
        Value::Int64(n) => *n,
        _ => 0,
    };
    Ok(show_duration(seconds.wrapping_mul(1_000_000_000)).into())
}

fn duration_round(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let nanoseconds = match &args[0] {
        Value::Str(s) => parse_duration(&rune::marked(s)).unwrap_or(0),
        Value::Int64(n) => *n,
        value => match time(value) {
            Ok(then) => {
                let now = Time::now(scope);
                let seconds = now.seconds.saturating_sub(then.seconds);
                seconds
                    .saturating_mul(1_000_000_000)
                    .saturating_add(i64::from(now.nanoseconds) - i64::from(then.nanoseconds))
            }
            Err(_) => 0,
        },
    };
    const HOUR: u64 = 3_600_000_000_000;
    let units = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (HOUR / 3600, "s"),
    ];
    let size = nanoseconds.unsigned_abs();
    let found = units.iter().find(|&&(unit, _)| size > unit);
    Ok(found.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", size / unit)).into())
}
