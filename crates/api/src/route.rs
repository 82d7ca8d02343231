//! From method and path to an operation and its arguments, and back.
//!
//! The traps of the wire live here (reference: api.md §1.3): parameter names and file paths hold slashes that clients
//! do not escape, a key may be `Index:value`, doubled slashes are tolerated. Anything else is no route: the answer is
//! the same for an unknown path and for a method that a path lacks.

use crate::operation::{BASE, Method, OPERATIONS, Operation};

/// A request's place in the list of operations.
#[derive(Clone, Debug)]
pub struct Route {
    /// The row.
    pub operation: &'static Operation,
    /// `{kind}` of the path, or the first word of it when that is fixed.
    pub kind: String,
    /// `{key}`, as written by the caller; empty when the path has none.
    pub key: String,
    /// The rest of the path or the last word: parameter name, file path, command, index.
    pub rest: String,
}

/// Finds the operation for `method` and a path that includes [`BASE`] but no query.
pub fn find(method: Method, path: &str) -> Option<Route> {
    let words = words(path.strip_prefix(BASE)?)?;
    let first = words.first()?;
    OPERATIONS
        .iter()
        .filter(|operation| operation.method == method)
        .find_map(|operation| fit(operation, &words, first))
}

/// The methods that `path` has, for CORS and for telling a slash too many from an unknown path.
pub fn methods(path: &str) -> Vec<Method> {
    let all = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];
    all.into_iter().filter(|method| find(*method, path).is_some()).collect()
}

/// Splits at slashes, drops empty words, and undoes percent-escapes. None when the path is not below `/`, or an
/// escape yields no UTF-8.
fn words(path: &str) -> Option<Vec<String>> {
    if !path.starts_with('/') {
        return None;
    }
    path.split('/').filter(|word| !word.is_empty()).map(unescape).collect()
}

/// Undoes percent-escapes; a lone `%` stays as it is, because clients of this API do not escape.
pub fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(value)) => {
                plain.push(value);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).ok()
}

fn fit(operation: &'static Operation, words: &[String], first: &str) -> Option<Route> {
    let mut route = Route { operation, kind: first.to_owned(), key: String::new(), rest: String::new() };
    let mut given = words.iter();
    for want in operation.path.split('/').skip(1) {
        let (name, tail) = match want.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            None if given.next().is_some_and(|word| word == want) => continue,
            None => return None,
            Some(inner) => match inner.strip_prefix('*') {
                Some(name) => (name, true),
                None => (inner, false),
            },
        };
        let value = given.next()?.clone();
        let value = match tail {
            true => given.by_ref().fold(value, |path, word| path + "/" + word),
            false => value,
        };
        match name {
            "kind" if !operation.kinds.include(&value) => return None,
            "kind" => route.kind = value,
            "key" => route.key = value,
            _ => route.rest = value,
        }
    }
    given.next().is_none().then_some(route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Op;

    fn check(method: Method, path: &str, want: Option<(Op, &str, &str, &str)>) {
        let found = find(method, path);
        let got = found
            .as_ref()
            .map(|route| (route.operation.op, route.kind.as_str(), route.key.as_str(), route.rest.as_str()));
        assert_eq!(got, want, "{} {path}", method.as_str());
    }

    #[test]
    fn names_with_slashes_are_the_rest_of_the_path() {
        let get = Method::Get;
        check(get, "/api/v3/params/net/conf", Some((Op::Read, "params", "net/conf", "")));
        check(get, "/api/v3/params/plain", Some((Op::Read, "params", "plain", "")));
        check(get, "/api/v3/machines/m/params/a/b", Some((Op::ParamRead, "machines", "m", "a/b")));
        check(get, "/api/v3/files/a/b.txt", Some((Op::BlobRead, "files", "", "a/b.txt")));
        check(get, "/api/v3/meta/params/a/b", Some((Op::MetaRead, "params", "a/b", "")));
    }

    #[test]
    fn fixed_words_come_before_kinds() {
        check(Method::Post, "/api/v3/jobs", Some((Op::JobCreate, "jobs", "", "")));
        check(Method::Get, "/api/v3/jobs/j/log", Some((Op::JobLogRead, "jobs", "j", "")));
        check(Method::Get, "/api/v3/users/u/token", Some((Op::UserToken, "users", "u", "")));
        check(Method::Get, "/api/v3/ws", Some((Op::EventStream, "ws", "", "")));
    }

    #[test]
    fn everything_else_is_no_route() {
        check(Method::Get, "/api/v3/nosuch", None);
        check(Method::Get, "/api/v3/", None);
        check(Method::Get, "/api/v2/machines", None);
        check(Method::Delete, "/api/v3/info", None);
        check(Method::Get, "/api/v3/tasks/t/params", None);
        check(Method::Post, "/api/v3/leases", None);
    }

    #[test]
    fn doubled_slashes_and_escapes_are_read() {
        check(Method::Get, "/api/v3//machines//Name:a%20b", Some((Op::Read, "machines", "Name:a b", "")));
        check(Method::Get, "/api/v3/machines/100%", Some((Op::Read, "machines", "100%", "")));
    }

    #[test]
    fn every_row_can_be_reached() {
        for operation in OPERATIONS {
            let kind = match operation.kinds {
                crate::operation::Kinds::Words([word, ..]) => word,
                crate::operation::Kinds::Slashed(_) => "params",
                _ => "profiles",
            };
            let path =
                operation.path.replace("{kind}", kind).replace("{*key}", "a/b").replace("{*path}", "a/b");
            let path = path.replace("{*name}", "a/b").replace("{*index}", "a").replace("{*proxy}", "a");
            let path = path.replace("{key}", "k").replace("{command}", "c");
            let found = find(operation.method, &format!("{BASE}{path}"));
            assert_eq!(found.map(|route| route.operation.op), Some(operation.op), "{path}");
        }
    }
}
