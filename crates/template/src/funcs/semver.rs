//! Semantic versions and ranges of them, as Masterminds/semver 3.1.0 reads them.

mod range;

use super::args::{NIL_DEREFERENCE, STR, str};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::{Object, Signature};
use crate::rune;
use crate::value::{Type, Uint, Value};
use regex::Regex;
use std::any::Any;
use std::cmp::Ordering;
use std::sync::LazyLock;

use range::parse_range;

const POINTER: &str = "*semver.Version";
const VALUE: &str = "semver.Version";

pub(super) static ROWS: &[Row] = &[
    row(
        "semver",
        Signature::exact(&[STR]),
        semver,
        "semver VERSION",
        "A version with the members Major, Minor, Patch, Prerelease, Metadata, Original, Compare and so on.",
    ),
    row(
        "semverCompare",
        Signature::exact(&[STR, STR]),
        semver_compare,
        "semverCompare RANGE VERSION",
        "Whether the version is in the range: >=1.2, <2 || ^3.1.",
    ),
];

/// The copy of a version: the private fields are lost, so it is 0.0.0. None of any other object.
pub(super) fn copied(object: &dyn Object) -> Option<Value> {
    let version = object.as_any()?.downcast_ref::<Version>()?;
    Some(Value::object(Version { is_value: version.is_value, ..Version::default() }))
}

/// A parsed version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    metadata: String,
    original: String,
    /// Whether it is a version itself, as `IncMajor` gives one, and no pointer: that has fewer methods.
    is_value: bool,
}

const SUFFIXES: &str = r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant")
}

static VERSION: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{SUFFIXES}$")));

impl Version {
    fn parse(text: &str) -> std::result::Result<Self, Fail> {
        let found = VERSION.captures(text).ok_or("Invalid Semantic Version")?;
        let part = |i: usize| found.get(i).map_or("", |part| part.as_str());
        let number = |i: usize| {
            match part(i).trim_start_matches('.') {
            "" => Ok(0),
            digits => digits.parse::<u64>().map_err(|_| {
                Fail::text(format!(
                    "Error parsing version segment: strconv.ParseUint: parsing \"{digits}\": value out of range"
                ))
            }),
        }
        };
        let version = Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            pre: part(5).to_owned(),
            metadata: part(8).to_owned(),
            original: text.to_owned(),
            is_value: false,
        };
        check_prerelease(&version.pre)?;
        Ok(version)
    }

    fn compare(&self, other: &Version) -> Ordering {
        let numbers = |v: &Version| (v.major, v.minor, v.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_prerelease(&self.pre, &other.pre),
        })
    }

    /// The next version after an increment; the last one only drops a prerelease.
    fn next(&self, part: &str) -> Version {
        let mut next = Version { pre: String::new(), metadata: String::new(), ..self.clone() };
        match part {
            "IncMajor" => (next.major, next.minor, next.patch) = (self.major.wrapping_add(1), 0, 0),
            "IncMinor" => (next.minor, next.patch) = (self.minor.wrapping_add(1), 0),
            _ if self.pre.is_empty() => next.patch = self.patch.wrapping_add(1),
            _ => {}
        }
        next.renamed()
    }

    fn renamed(mut self) -> Self {
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        self.original = format!("{prefix}{self}");
        self.is_value = true;
        self
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn check_prerelease(pre: &str) -> std::result::Result<(), Fail> {
    if pre.is_empty() {
        return Ok(());
    }
    for part in pre.split('.') {
        if part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fail::text("Version segment starts with 0"));
        }
        if !part.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric()) {
            return Err(Fail::text("Invalid Prerelease string"));
        }
    }
    Ok(())
}

fn compare_prerelease(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_part(a.unwrap_or(""), b.unwrap_or("")),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b || a.is_empty() || b.is_empty() {
        return a.len().cmp(&b.len()).then(Ordering::Equal);
    }
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

impl Object for Version {
    fn type_name(&self) -> &'static str {
        if self.is_value { VALUE } else { POINTER }
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn json(&self) -> Option<std::result::Result<String, Fail>> {
        Some(Ok(format!("\"{self}\"")))
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("major", Value::Uint(Uint::U64, self.major)),
            ("minor", Value::Uint(Uint::U64, self.minor)),
            ("patch", Value::Uint(Uint::U64, self.patch)),
            ("pre", self.pre.as_str().into()),
            ("metadata", self.metadata.as_str().into()),
            ("original", self.original.as_str().into()),
        ]
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(self == other.as_any()?.downcast_ref::<Version>()?)
    }

    fn method(&self, name: &str) -> Option<Signature> {
        const NONE: Signature = Signature::exact(&[]);
        const OTHER: Signature = Signature::exact(&[Type::Named(POINTER)]);
        const TEXT: Signature = Signature::exact(&[Type::String]);
        Some(match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "String" | "IncMajor" | "IncMinor"
            | "IncPatch" => NONE,
            "Original" if !self.is_value => NONE,
            "Compare" | "Equal" | "LessThan" | "GreaterThan" if !self.is_value => OTHER,
            "SetPrerelease" | "SetMetadata" => TEXT,
            _ => return None,
        })
    }

    fn call(&self, name: &str, args: &[Value], _: &mut Scope<'_>) -> Result {
        let other = args.first().and_then(as_version);
        let order = || Ok::<_, Fail>(self.compare(other.ok_or_else(|| Fail::text(NIL_DEREFERENCE))?));
        Ok(match name {
            "Major" => Value::Uint(Uint::U64, self.major),
            "Minor" => Value::Uint(Uint::U64, self.minor),
            "Patch" => Value::Uint(Uint::U64, self.patch),
            "Prerelease" => self.pre.as_str().into(),
            "Metadata" => self.metadata.as_str().into(),
            "Original" => self.original.as_str().into(),
            "String" => self.to_string().into(),
            "Compare" => Value::Int(order()? as i64),
            "Equal" => order()?.is_eq().into(),
            "LessThan" => order()?.is_lt().into(),
            "GreaterThan" => order()?.is_gt().into(),
            "SetPrerelease" | "SetMetadata" => self.with_suffix(name, &args[0])?,
            _ => Value::object(self.next(name)),
        })
    }
}

impl Version {
    fn with_suffix(&self, name: &str, suffix: &Value) -> Result {
        let suffix = rune::lossy(str(suffix)).into_owned();
        let mut next = self.clone();
        if name == "SetPrerelease" {
            check_prerelease(&suffix)?;
            next.pre = suffix;
        } else {
            let fine = |part: &str| part.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric());
            if !suffix.split('.').all(fine) {
                return Err(Fail::text("Invalid Metadata string"));
            }
            next.metadata = suffix;
        }
        Ok(Value::object(next.renamed()))
    }
}

fn as_version(value: &Value) -> Option<&Version> {
    match value {
        Value::Object(object) => object.as_any()?.downcast_ref(),
        _ => None,
    }
}

fn text(value: &Value) -> String {
    rune::lossy(str(value)).into_owned()
}

fn semver(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::object(Version::parse(&text(&args[0]))?))
}

fn semver_compare(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    scope.work(20 + str(&args[0]).len() as u64)?;
    let range = parse_range(&text(&args[0]))?;
    let version = Version::parse(&text(&args[1]))?;
    Ok(range.iter().any(|all| all.iter().all(|one| one.allows(&version))).into())
}
