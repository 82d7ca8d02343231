//! Ranges of versions: alternatives of comparisons, wildcards, `~`, `^` and `a - b`.

use super::{Version, compare_prerelease, pattern};
use crate::error::Fail;
use regex::Regex;
use std::cmp::Ordering;
use std::sync::LazyLock;

/// One comparison of a range, such as `>=1.2`.
pub(super) struct Constraint {
    operator: String,
    version: Version,
    any_minor: bool,
    any_patch: bool,
    /// Whether some part was left out or is a wildcard.
    dirty: bool,
}

const OPERATORS: &str = r"=|!=|>|<|>=|=>|<=|=<|~|~>|\^|";
const RANGE_VERSION: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";

static HYPHEN: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"\s*({RANGE_VERSION})\s+-\s+({RANGE_VERSION})\s*")));
static FIND: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"({OPERATORS})\s*({RANGE_VERSION})")));
static VALID: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^(\s*({OPERATORS})\s*({RANGE_VERSION})\s*\,?)+$")));
static ONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^\s*({OPERATORS})\s*({RANGE_VERSION})\s*$")));

impl Constraint {
    fn parse(text: &str) -> std::result::Result<Self, Fail> {
        let improper = || Fail::text(format!("improper constraint: {text}"));
        let found = ONE.captures(text).ok_or_else(improper)?;
        let part = |i: usize| found.get(i).map_or("", |part| part.as_str());
        let any = |i: usize| matches!(part(i).trim_start_matches('.'), "" | "x" | "*" | "X");
        let (mut any_minor, mut any_patch, mut dirty) = (false, false, true);
        let version = if any(3) {
            "0.0.0".to_owned()
        } else if any(4) {
            any_minor = true;
            format!("{}.0.0{}", part(3), part(6))
        } else if any(5) {
            any_patch = true;
            format!("{}{}.0{}", part(3), part(4), part(6))
        } else {
            dirty = false;
            part(2).to_owned()
        };
        let version = Version::parse(&version).map_err(|_| Fail::text("constraint Parser Error"))?;
        Ok(Self { operator: part(1).to_owned(), version, any_minor, any_patch, dirty })
    }

    /// Whether the version is in the range.
    pub(super) fn allows(&self, v: &Version) -> bool {
        let c = &self.version;
        let operator = self.operator.as_str();
        // A range without a prerelease means releases only.
        let hidden = !v.pre.is_empty() && c.pre.is_empty();
        if hidden && (operator != "!=" || self.dirty) {
            return false;
        }
        let order = v.compare(c);
        match operator {
            "!=" => self.differs(v),
            ">" => self.is_above(v),
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" if !self.dirty => order != Ordering::Greater,
            "<=" | "=<" => v.major <= c.major && (v.major != c.major || v.minor <= c.minor || self.any_minor),
            "~" | "~>" => self.tilde(v),
            "^" => self.caret(v),
            _ if self.dirty => self.tilde(v),
            _ => order == Ordering::Equal,
        }
    }

    fn differs(&self, v: &Version) -> bool {
        let c = &self.version;
        if self.dirty {
            if c.major != v.major || c.minor != v.minor && !self.any_minor {
                return true;
            }
            if self.any_minor {
                return false;
            }
            if c.patch != v.patch && !self.any_patch {
                return true;
            }
            if self.any_patch {
                let prerelease = !v.pre.is_empty() || !c.pre.is_empty();
                return prerelease && compare_prerelease(&v.pre, &c.pre) != Ordering::Equal;
            }
        }
        v.compare(c) != Ordering::Equal
    }

    fn is_above(&self, v: &Version) -> bool {
        let c = &self.version;
        if !self.dirty || v.major == c.major && !self.any_minor && !self.any_patch {
            return v.compare(c) == Ordering::Greater;
        }
        if v.major != c.major {
            return v.major > c.major;
        }
        !self.any_minor && v.minor > c.minor
    }

    fn tilde(&self, v: &Version) -> bool {
        let c = &self.version;
        if v.compare(c) == Ordering::Less {
            return false;
        }
        let zero = (c.major, c.minor, c.patch) == (0, 0, 0) && !self.any_minor && !self.any_patch;
        zero || v.major == c.major && (v.minor == c.minor || self.any_minor)
    }

    fn caret(&self, v: &Version) -> bool {
        let c = &self.version;
        if v.compare(c) == Ordering::Less {
            return false;
        }
        if c.major > 0 || self.any_minor {
            return v.major == c.major;
        }
        if v.major > 0 {
            return false;
        }
        if c.minor > 0 || self.any_patch {
            return v.minor == c.minor;
        }
        c.patch == v.patch
    }
}

/// Alternatives, each a list of comparisons that must all hold.
pub(super) fn parse_range(text: &str) -> std::result::Result<Vec<Vec<Constraint>>, Fail> {
    let mut rewritten = text.to_owned();
    for found in HYPHEN.captures_iter(text) {
        rewritten = rewritten.replacen(&found[0], &format!(">= {}, <= {}", &found[1], &found[11]), 1);
    }
    let alternatives = rewritten.split("||").map(|part| {
        if !VALID.is_match(part) {
            return Err(Fail::text(format!("improper constraint: {part}")));
        }
        FIND.find_iter(part).map(|found| Constraint::parse(found.as_str())).collect()
    });
    alternatives.collect()
}
