//! The rules for names (API §3). The sentence of a broken rule is the reference's; a hint beside it says the rule in words
//! and a name that would do.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::size::LONGEST_NAME;
use crate::Problems;

/// One rule.
struct Rule {
    pattern: LazyLock<Regex>,
    /// What a name may begin with.
    begins: &'static str,
    /// The signs that it may go on with, besides letters and digits.
    signs: &'static str,
}

macro_rules! rules {
    ($($function:ident = $pattern:literal, $begins:literal, $signs:literal;)*) => {
        $(
            #[doc = concat!("Adds ``what `value` `` unless the value matches `", $pattern, "`.")]
            pub(crate) fn $function(problems: &mut Problems, what: &str, value: &str) {
                static RULE: Rule = Rule {
                    pattern: LazyLock::new(|| Regex::new($pattern).expect("a pattern of this table is valid")),
                    begins: $begins,
                    signs: $signs,
                };
                RULE.check(problems, what, value);
            }
        )*
    };
}

rules! {
    name = r"^\pL+([- _.]+|\pN+|\pL+)+$", "a letter", "-_. ";
    number_name = r"^(\pL|\pN)+([- _.]+|\pN+|\pL+)+$", "a letter or digit", "-_. ";
    endpoint_name = r"^(\pL|\pN)+([- _.:]+|\pN+|\pL+)+$", "a letter or digit", "-_.: ";
    user_name = r"^\pL+([- _.@]+|\pN+|\pL+)+$", "a letter", "-_.@ ";
    param_name = r"^\pL+([- _./]+|\pN+|\pL+)+$", "a letter", "-_./ ";
}

/// Longer values are not repeated in a hint.
const SHOWN: usize = 60;

impl Rule {
    fn check(&self, problems: &mut Problems, what: &str, value: &str) {
        if value.len() > LONGEST_NAME {
            problems.add(format!("{what} `{}…`", shown(value)));
            problems.hint(format!("it has {} bytes; a name has at most {LONGEST_NAME}", value.len()));
        } else if !self.pattern.is_match(value) {
            problems.add(format!("{what} `{value}`"));
            problems.hint(self.hint(value));
        }
    }

    /// The rule in words, and a name like `value` that follows it.
    fn hint(&self, value: &str) -> String {
        let signs: Vec<String> = self.signs.trim().chars().map(|sign| format!("`{sign}`")).collect();
        let is = if value.is_empty() { "an empty name".to_owned() } else { format!("`{}`", shown(value)) };
        format!(
            "{is} is refused because a name begins with {}, goes on with letters, digits, blanks or {}, and has two characters \
             or more; `{}` would do",
            self.begins,
            signs.join(" "),
            self.similar(value)
        )
    }

    /// `value` with what is not allowed replaced or left out.
    fn similar(&self, value: &str) -> String {
        let allowed = |c: char| c.is_alphanumeric() || self.signs.contains(c);
        let replaced: String = shown(value).chars().map(|c| if allowed(c) { c } else { '-' }).collect();
        let bare = replaced.trim_matches(|c: char| !c.is_alphanumeric());
        let candidates = [bare.to_owned(), format!("{bare}-1"), format!("x-{bare}")];
        let mut usable =
            candidates.into_iter().filter(|name| !bare.is_empty() && self.pattern.is_match(name));
        usable.next().unwrap_or_else(|| "my-name".to_owned())
    }
}

/// The beginning of a value that may be of any length.
fn shown(value: &str) -> &str {
    &value[..value.floor_char_boundary(SHOWN)]
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

    type Check = fn(&mut Problems, &str, &str);

    #[test]
    fn names_follow_their_rules() {
        let table: [(Check, &[&str], &[&str]); 5] = [
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

    #[test]
    fn a_refusal_says_the_rule_and_a_name_that_follows_it() {
        let hint = |rule: Check, value: &str| {
            let mut problems = Problems::default();
            rule(&mut problems, "Invalid Name", value);
            problems.into_messages().pop().unwrap()
        };
        assert_eq!(
            hint(name, "a:b"),
            "`a:b` is refused because a name begins with a letter, goes on with letters, digits, blanks or `-` `_` `.`, and has \
             two characters or more; `a-b` would do"
        );
        let table: [(Check, &str, &str); 7] = [
            (name, "1x", "`x-1x` would do"),
            (name, "a", "`a-1` would do"),
            (name, "", "an empty name is refused because"),
            (name, "", "`my-name` would do"),
            (name, "a\n", "`a-1` would do"),
            (param_name, "/net/eth0", "`net/eth0` would do"),
            (user_name, "bob!", "`bob` would do"),
        ];
        for (rule, value, expected) in table {
            let got = hint(rule, value);
            assert!(got.contains(expected), "{value:?}: {got}");
        }
        let mut problems = Problems::default();
        name(&mut problems, "Invalid Name", &"ab".repeat(1 << 20));
        let told = problems.into_messages().join("\n");
        assert!(told.ends_with("it has 2097152 bytes; a name has at most 255"), "{told}");
        assert!(told.len() < 400, "a giant name is not repeated");
    }
}
