//! Who may do what: claims that a caller has, and what a request wants (reference: api.md §15.4).
//!
//! A claim is a triple of scope, action and specific, each `*` or a comma list. A request wants one or more exact
//! triples, and each must be covered by at least one claim. An unknown word covers nothing but itself, so a misspelt
//! claim never opens a door. Roles, users and tokens, which carry claims, are the server's business.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One granted right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Claim {
    /// Kind prefixes or other scopes (`machines`, `info`, …), comma separated, or `*`.
    #[serde(default, alias = "Scope")]
    pub scope: String,
    /// Actions (`get`, `update:/Params`, …), comma separated, or `*`.
    #[serde(default, alias = "Action")]
    pub action: String,
    /// Native keys, comma separated, or `*`.
    #[serde(default, alias = "Specific")]
    pub specific: String,
}

/// One right that a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A kind's prefix or another scope.
    pub scope: String,
    /// One action, perhaps with a detail after a colon: `update:/OS/Name`, `action:reboot`.
    pub action: String,
    /// The key of the object, or empty for a whole kind.
    pub specific: String,
}

impl Wanted {
    /// The right to do `action` in `scope` to `specific`.
    pub fn new(scope: impl Into<String>, action: impl Into<String>, specific: impl Into<String>) -> Self {
        Self { scope: scope.into(), action: action.into(), specific: specific.into() }
    }
}

/// `scope action specific`, without a blank at the end when there is no specific.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scope, self.action)?;
        if self.specific.is_empty() { Ok(()) } else { write!(f, " {}", self.specific) }
    }
}

impl Claim {
    /// A claim from its three words.
    pub fn new(scope: impl Into<String>, action: impl Into<String>, specific: impl Into<String>) -> Self {
        Self { scope: scope.into(), action: action.into(), specific: specific.into() }
    }

    /// The claim that covers everything.
    pub fn everything() -> Self {
        Self::new("*", "*", "*")
    }

    /// Whether this claim alone satisfies what a request wants.
    pub fn covers(&self, wanted: &Wanted) -> bool {
        any(&self.scope, |word| word == wanted.scope)
            && any(&self.action, |word| action_covers(word, &wanted.action))
            && any(&self.specific, |word| word == wanted.specific)
    }
}

/// Whether some claim of `claims` covers `wanted`.
pub fn allows(claims: &[Claim], wanted: &Wanted) -> bool {
    claims.iter().any(|claim| claim.covers(wanted))
}

/// Whether some claim of `claims` covers `action` in `scope` for any object at all: for requests whose body names the object.
pub fn allows_some(claims: &[Claim], scope: &str, action: &str) -> bool {
    let covers = |claim: &Claim| {
        any(&claim.scope, |word| word == scope) && any(&claim.action, |word| action_covers(word, action))
    };
    claims.iter().any(covers)
}

/// Whether every right of `claims` is also in `within`: nobody hands on more than they have.
pub fn contains(within: &[Claim], claim: &Claim) -> bool {
    let words = |list: &str| list.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
    words(&claim.scope).iter().all(|scope| {
        words(&claim.action).iter().all(|action| {
            words(&claim.specific)
                .iter()
                .all(|specific| allows(within, &Wanted::new(scope, action, specific)))
        })
    })
}

fn any(list: &str, fits: impl Fn(&str) -> bool) -> bool {
    list.split(',').map(str::trim).any(|word| word == "*" || fits(word))
}

/// `update` covers `update:/OS`, and `update:/OS` covers `update:/OS/Name` but not `update:/OSX`.
fn action_covers(granted: &str, wanted: &str) -> bool {
    let Some(rest) = wanted.strip_prefix(granted) else { return false };
    match granted.contains(':') {
        true => rest.is_empty() || rest.starts_with('/'),
        false => rest.is_empty() || rest.starts_with(':'),
    }
}

/// What every user may do, whatever the roles (reference: api.md §15.3).
pub fn of_any_user(name: &str) -> Vec<Claim> {
    let mut claims = of_narrowed_user(name);
    claims.push(Claim::new("users", "password", name));
    claims
}

/// The same for a token with fewer roles than its user: who could give the user another password with it would have all of them.
pub fn of_narrowed_user(name: &str) -> Vec<Claim> {
    vec![Claim::new("users", "get,token", name), Claim::new("info", "get", "*")]
}

/// What a token may do that a machine gets before anybody knows it: register itself, find itself again, read `info`
/// and files (reference: network.md §2.13).
pub fn of_unknown_machine() -> Vec<Claim> {
    vec![
        Claim::new("machines", "create,get", "*"),
        Claim::new("machines", "list,whoami", ",*"),
        Claim::new("info", "get", "*"),
        Claim::new("files", "get", "*"),
    ]
}

/// What the token of machine `uuid` may do (reference: network.md §2.13 and api.md §15.6). `address` is the key of a
/// reservation for its own address, when the machine has one.
pub fn of_machine(uuid: &str, address: Option<&str>) -> Vec<Claim> {
    let own = "get,actions,update,patch,action,getSecure,updateSecure,token,releaseToPool";
    let mut claims = vec![
        Claim::new("machines", own, uuid),
        Claim::new("machines", "whoami", ",*"),
        Claim::new("params,stages,tasks,bootenvs,isos,files,info", "get", "*"),
        Claim::new("jobs", "create,get,update,save,actions,log", uuid),
        Claim::new("machines", "save", uuid),
        Claim::new("events", "post", "*"),
        Claim::new("reservations", "get,create", "*"),
    ];
    claims.extend(address.map(|key| Claim::new("reservations", "*", key)));
    claims
}

/// What a token for one profile may do (reference: network.md §2.13).
pub fn of_profile(name: &str) -> Vec<Claim> {
    vec![Claim::new("profiles", "get,getSecure,update,updateSecure", name), Claim::new("params", "get", "*")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claim: (&str, &str, &str), wanted: (&str, &str, &str), want: bool) {
        let granted = Claim::new(claim.0, claim.1, claim.2);
        let asked = Wanted::new(wanted.0, wanted.1, wanted.2);
        assert_eq!(granted.covers(&asked), want, "{claim:?} covers {wanted:?}");
    }

    #[test]
    fn words_lists_and_stars() {
        check(("machines", "get", "*"), ("machines", "get", "a"), true);
        check(("machines", "get", "a,b"), ("machines", "get", "b"), true);
        check(("machines", "get", "a"), ("machines", "get", "b"), false);
        check(("machines,jobs", "*", "*"), ("jobs", "log", "x"), true);
        check(("*", "*", "*"), ("anything", "at:all", ""), true);
        check(("", "", ""), ("machines", "list", ""), false);
    }

    #[test]
    fn a_longer_action_covers_only_below_itself() {
        check(("m", "update", "*"), ("m", "update:/OS/Name", "k"), true);
        check(("m", "update:/OS", "*"), ("m", "update:/OS/Name", "k"), true);
        check(("m", "update:/OS", "*"), ("m", "update:/OSX", "k"), false);
        check(("m", "update:/OS", "*"), ("m", "update", "k"), false);
        check(("m", "up", "*"), ("m", "update", "k"), false);
        check(("m", "action", "*"), ("m", "action:reboot", "k"), true);
        check(("m", "action", "*"), ("m", "actions", "k"), false);
    }

    #[test]
    fn an_unknown_word_opens_nothing() {
        check(("prefs", "list", "*"), ("preferences", "list", ""), false);
    }

    #[test]
    fn unknown_machines_register_and_look_but_do_not_touch() {
        let claims = of_unknown_machine();
        let may = |s: &str, a: &str, k: &str| allows(&claims, &Wanted::new(s, a, k));
        assert!(
            may("machines", "create", "") && may("machines", "list", "") && may("machines", "whoami", "")
        );
        assert!(may("machines", "get", "x") && may("info", "get", "") && may("files", "get", "/a"));
        assert!(
            !may("machines", "update:/Name", "x") && !may("files", "list", "/") && !may("users", "list", "")
        );
    }

    #[test]
    fn a_machine_may_change_itself_alone() {
        let claims = of_machine("me", Some("C0A86401"));
        let may = |s: &str, a: &str, k: &str| allows(&claims, &Wanted::new(s, a, k));
        assert!(may("machines", "update:/Params", "me") && !may("machines", "update:/Params", "other"));
        assert!(
            !may("machines", "delete", "me")
                && !may("machines", "create", "")
                && !may("machines", "list", "")
        );
        assert!(may("jobs", "create", "me") && may("jobs", "log", "me") && !may("jobs", "delete", "me"));
        assert!(may("reservations", "delete", "C0A86401") && !may("reservations", "delete", "C0A86402"));
    }

    #[test]
    fn nobody_hands_on_more_than_they_have() {
        let own = of_any_user("bob");
        assert!(contains(&own, &Claim::new("users", "get", "bob")));
        assert!(!contains(&own, &Claim::new("users", "get", "*")));
        assert!(!contains(&own, &Claim::new("users,machines", "get", "bob")));
    }
}
