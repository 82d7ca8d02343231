//! The rules for names (API §3).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::Problems;

macro_rules! rules {
    ($($function:ident = $pattern:literal),* $(,)?) => {
        $(
            #[doc = concat!("Adds ``what `value` `` unless the value matches `", $pattern, "`.")]
            pub(crate) fn $function(problems: &mut Problems, what: &str, value: &str) {
                static RULE: LazyLock<Regex> =
                    LazyLock::new(|| Regex::new($pattern).expect("a pattern of this table is valid"));
                if !RULE.is_match(value) {
                    problems.add(format!("{what} `{value}`"));
                }
            }
        )*
    };
}

rules! {
    name = r"^\pL+([- _.]+|\pN+|\pL+)+$",
    number_name = r"^(\pL|\pN)+([- _.]+|\pN+|\pL+)+$",
    endpoint_name = r"^(\pL|\pN)+([- _.:]+|\pN+|\pL+)+$",
    user_name = r"^\pL+([- _.@]+|\pN+|\pL+)+$",
    param_name = r"^\pL+([- _./]+|\pN+|\pL+)+$",
}

/// The lists of required and optional parameters.
pub(crate) fn param_names(problems: &mut Problems, required: &[String], optional: &[String]) {
    for name in required {
        param_name(problems, "Invalid Required Param", name);
    }
    for name in optional {
        param_name(problems, "Invalid Optional Param", name);
    }
}

/// The keys of a `Params` map.
pub(crate) fn param_keys(problems: &mut Problems, params: &Map<String, Value>) {
    for name in params.keys() {
        param_name(problems, "Invalid Param Name", name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        type Rule = fn(&mut Problems, &str, &str);
        let table: [(Rule, &[&str], &[&str]); 5] = [
            (name, &["ab", "a1", "Ünï-cödé 2.x", "a_"], &["", "a", "1a", "-a", "a/b", "a@b", "a:b", "a\n"]),
            (number_name, &["1a", "d00-11-22", "12"], &["", "1", "-a", "a:b"]),
            (endpoint_name, &["00:11:22", "fred"], &["", ":a", "a@b"]),
            (user_name, &["bob@site.org"], &["", "1bob", "b"]),
            (param_name, &["krib/cluster-profile"], &["", "/a", "a:b", "a\\b"]),
        ];
        for (rule, good, bad) in table {
            for (value, expected) in good.iter().map(|v| (v, 0)).chain(bad.iter().map(|v| (v, 1))) {
                let mut problems = Problems::default();
                rule(&mut problems, "Invalid Name", value);
                assert_eq!(problems.len(), expected, "{value:?}");
            }
        }
        let mut problems = Problems::default();
        name(&mut problems, "Invalid Stage", "x:y");
        assert_eq!(problems.as_slice(), ["Invalid Stage `x:y`"]);
    }
}
