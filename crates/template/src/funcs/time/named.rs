//! Go's named integers of time: durations, months, days of the week. They are numbers that print as words.

use super::Result;
use super::calendar::{DAYS, MONTHS, show_duration};
use crate::exec::Scope;
use crate::object::{Object, Signature};
use crate::value::Value;

/// A duration in nanoseconds, as `Sub` gives it.
#[derive(Debug)]
pub(super) struct Duration(pub(super) i64);

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }

    fn basic(&self) -> Option<Value> {
        Some(Value::Int64(self.0))
    }

    fn text(&self) -> Option<String> {
        Some(show_duration(self.0))
    }

    fn method(&self, name: &str) -> Option<Signature> {
        let names = ["String", "Hours", "Minutes", "Seconds", "Milliseconds", "Microseconds", "Nanoseconds"];
        names.contains(&name).then_some(Signature::exact(&[]))
    }

    fn call(&self, name: &str, _: &[Value], _: &mut Scope<'_>) -> Result {
        /// Go divides the whole part and the rest apart, so that large ones keep their digits.
        fn share(nanoseconds: i64, unit: i64) -> Value {
            Value::Float((nanoseconds / unit) as f64 + (nanoseconds % unit) as f64 / unit as f64)
        }
        Ok(match name {
            "Hours" => share(self.0, 3_600_000_000_000),
            "Minutes" => share(self.0, 60_000_000_000),
            "Seconds" => share(self.0, 1_000_000_000),
            "Milliseconds" => Value::Int64(self.0 / 1_000_000),
            "Microseconds" => Value::Int64(self.0 / 1000),
            "Nanoseconds" => Value::Int64(self.0),
            _ => show_duration(self.0).into(),
        })
    }
}

/// A month or a day of the week: an int that prints as a name.
#[derive(Debug)]
pub(super) struct Named {
    names: &'static [&'static str],
    first: i64,
    ty: &'static str,
    index: i64,
}

impl Named {
    pub(super) fn month(index: i64) -> Self {
        Self { names: &MONTHS, first: 1, ty: "time.Month", index }
    }

    pub(super) fn weekday(index: i64) -> Self {
        Self { names: &DAYS, first: 0, ty: "time.Weekday", index }
    }
}

impl Object for Named {
    fn type_name(&self) -> &'static str {
        self.ty
    }

    fn basic(&self) -> Option<Value> {
        Some(Value::Int(self.index))
    }

    fn text(&self) -> Option<String> {
        let index = usize::try_from(self.index - self.first).ok()?;
        self.names.get(index).map(|&name| name.to_owned())
    }

    fn method(&self, name: &str) -> Option<Signature> {
        (name == "String").then_some(Signature::exact(&[]))
    }

    fn call(&self, _: &str, _: &[Value], _: &mut Scope<'_>) -> Result {
        Ok(self.text().into())
    }
}
