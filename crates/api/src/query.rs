//! The part of a request behind the question mark.
//!
//! Splits it into the names that steer an operation and, for lists, the filters. Leaves out what the filters mean:
//! that is `model`'s.

use crate::route::unescape;

/// Name and value pairs in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string; `+` is a blank and percent-escapes are undone. Pieces that are no UTF-8 are left as sent.
    pub fn parse(text: &str) -> Self {
        let plain = |piece: &str| {
            let piece = piece.replace('+', " ");
            unescape(&piece).unwrap_or(piece)
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plain(name), plain(value))
        });
        Self(pairs.collect())
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether `name` is there and says yes: `true`, `1`, or nothing at all.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value, "true" | "1" | "" | "True" | "TRUE" | "t"))
    }

    /// The comma list in `name`, without blanks and empty pieces.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let pieces = self.get(name).unwrap_or_default().split(',');
        pieces.map(str::trim).filter(|piece| !piece.is_empty()).collect()
    }

    /// All pairs.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_flags_and_lists() {
        let query = Query::parse("a=1&Name=Re(x%2By+z)&flag&list=p,%20q,,&a=2&off=false");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("Name"), Some("Re(x+y z)"));
        assert!(query.flag("flag") && !query.flag("off") && !query.flag("missing"));
        assert_eq!(query.list("list"), ["p", "q"]);
        assert_eq!(query.pairs().len(), 6);
    }
}
