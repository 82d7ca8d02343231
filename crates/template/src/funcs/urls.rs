//! URLs, as Go's `net/url` takes them apart and puts them together.

use super::args::{MAP, STR, map, str};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::fmt::quote;
use crate::object::Signature;
use crate::value::{Map, Value};

pub(super) static ROWS: &[Row] = &[
    row(
        "urlParse",
        Signature::exact(&[STR]),
        parse,
        "urlParse URL",
        "A map of scheme, host, hostname, path, query, opaque, fragment and userinfo.",
    ),
    row("urlJoin", Signature::exact(&[MAP]), join, "urlJoin MAP", "The URL of a map as urlParse gives it."),
];

/// Which part of a URL a text is: that decides what is escaped in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    UserPassword,
    Fragment,
}

fn should_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone) && b"!$&'()*+,;=:[]<>\"".contains(&byte) {
        return false;
    }
    match byte {
        b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::UserPassword => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => false,
            Part::Host | Part::Zone => true,
        },
        b'!' | b'(' | b')' | b'*' => part != Part::Fragment,
        _ => true,
    }
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if should_escape(byte, part) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
    out
}

fn show(text: &[u8]) -> String {
    quote::text(text)
}

type Parsed<T> = std::result::Result<T, String>;

fn unescape(text: &[u8], part: Part) -> Parsed<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if byte == b'%' {
            let digits = text.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
            let Some(digits) = digits else {
                let shown = &text[at..text.len().min(at + 3)];
                return Err(format!("invalid URL escape {}", show(shown)));
            };
            let code = u8::from_str_radix(&String::from_utf8_lossy(digits), 16).unwrap_or(0);
            let bad = match part {
                Part::Host => code < 0x80 && &text[at..at + 3] != b"%25",
                Part::Zone => &text[at..at + 3] != b"%25" && code != b' ' && should_escape(code, Part::Host),
                _ => false,
            };
            if bad {
                return Err(format!("invalid URL escape {}", show(&text[at..at + 3])));
            }
            out.push(code);
            at += 3;
            continue;
        }
        if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && should_escape(byte, part) {
            return Err(format!("invalid character {} in host name", show(&text[at..=at])));
        }
        out.push(byte);
        at += 1;
    }
    Ok(out)
}

#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    raw_path: Vec<u8>,
    query: Vec<u8>,
    force_query: bool,
    fragment: Vec<u8>,
    raw_fragment: Vec<u8>,
}

struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl User {
    fn show(&self) -> Vec<u8> {
        let mut out = escape(&self.name, Part::UserPassword);
        if let Some(password) = &self.password {
            out.push(b':');
            out.extend(escape(password, Part::UserPassword));
        }
        out
    }
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = text.iter().position(|&b| b == at)?;
    Some((&text[..found], &text[found + 1..]))
}

/// The scheme before a colon, and the rest.
fn scheme(text: &[u8]) -> Parsed<(&[u8], &[u8])> {
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' => return Ok((b"", text)),
            b':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..i], &text[i + 1..])),
            _ => return Ok((b"", text)),
        }
    }
    Ok((b"", text))
}

impl Url {
    fn parse(text: &[u8]) -> Parsed<Self> {
        let (body, fragment) = cut(text, b'#').unwrap_or((text, b""));
        let mut url = Self::parse_body(body).map_err(|error| format!("parse {}: {error}", show(body)))?;
        if !fragment.is_empty() {
            url.fragment = unescape(fragment, Part::Fragment)
                .map_err(|error| format!("parse {}: {error}", show(text)))?;
            if escape(&url.fragment, Part::Fragment) != fragment {
                url.raw_fragment = fragment.to_vec();
            }
        }
        Ok(url)
    }

    fn parse_body(text: &[u8]) -> Parsed<Self> {
        if text.iter().any(|&b| b < 0x20 || b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Self::default();
        if text == b"*" {
            url.path = b"*".to_vec();
            return Ok(url);
        }
        let (scheme, mut rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with(b"?") && rest.iter().filter(|&&b| b == b'?').count() == 1 {
            url.force_query = true;
            rest = &rest[..rest.len() - 1];
        } else if let Some((before, query)) = cut(rest, b'?') {
            url.query = query.to_vec();
            rest = before;
        }
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            let first = rest.split(|&b| b == b'/').next().unwrap_or_default();
            if first.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if (!url.scheme.is_empty() || !rest.starts_with(b"///")) && rest.starts_with(b"//") {
            let authority = &rest[2..];
            let end = authority.iter().position(|&b| b == b'/').unwrap_or(authority.len());
            rest = &authority[end..];
            url.set_authority(&authority[..end])?;
        }
        url.path = unescape(rest, Part::Path)?;
        if escape(&url.path, Part::Path) != rest {
            url.raw_path = rest.to_vec();
        }
        Ok(url)
    }

    fn set_authority(&mut self, authority: &[u8]) -> Parsed<()> {
        let Some(at) = authority.iter().rposition(|&b| b == b'@') else {
            self.host = parse_host(authority)?;
            return Ok(());
        };
        self.host = parse_host(&authority[at + 1..])?;
        let user = &authority[..at];
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
        if !user.iter().all(|&b| fine(b)) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        self.user = Some(match cut(user, b':') {
            None => User { name: unescape(user, Part::UserPassword)?, password: None },
            Some((name, password)) => User {
                name: unescape(name, Part::UserPassword)?,
                password: Some(unescape(password, Part::UserPassword)?),
            },
        });
        Ok(())
    }

    fn hostname(&self) -> &[u8] {
        let host = match self.host.iter().rposition(|&b| b == b':') {
            Some(colon) if valid_port(&self.host[colon..]) => &self.host[..colon],
            _ => &self.host,
        };
        host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
    }

    fn escaped_path(&self) -> Vec<u8> {
        if !self.raw_path.is_empty()
            && valid_encoded(&self.raw_path, Part::Path)
            && unescape(&self.raw_path, Part::Path).is_ok_and(|path| path == self.path)
        {
            return self.raw_path.clone();
        }
        if self.path == b"*" { b"*".to_vec() } else { escape(&self.path, Part::Path) }
    }

    fn show(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if !self.opaque.is_empty() {
            out.extend_from_slice(&self.opaque);
        } else {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.extend_from_slice(b"//");
                }
                if let Some(user) = &self.user {
                    out.extend(user.show());
                    out.push(b'@');
                }
                out.extend(escape(&self.host, Part::Host));
            }
            let path = self.escaped_path();
            if !path.is_empty() && path[0] != b'/' && !self.host.is_empty() {
                out.push(b'/');
            }
            if out.is_empty() {
                // A colon in the first segment would read as a scheme.
                let segment = path.split(|&b| b == b'/').next().unwrap_or_default();
                if segment.contains(&b':') {
                    out.extend_from_slice(b"./");
                }
            }
            out.extend(path);
        }
        if self.force_query || !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            if self.raw_fragment.is_empty() {
                out.extend(escape(&self.fragment, Part::Fragment));
            } else {
                out.extend_from_slice(&self.raw_fragment);
            }
        }
        out
    }
}

fn valid_encoded(text: &[u8], part: Part) -> bool {
    text.iter().all(|&byte| match byte {
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'['
        | b']' | b'%' => true,
        _ => !should_escape(byte, part),
    })
}

fn valid_port(text: &[u8]) -> bool {
    text.is_empty() || text[0] == b':' && text[1..].iter().all(u8::is_ascii_digit)
}

fn parse_host(host: &[u8]) -> Parsed<Vec<u8>> {
    if host.starts_with(b"[") {
        let Some(end) = host.iter().rposition(|&b| b == b']') else {
            return Err("missing ']' in host".to_owned());
        };
        check_port(&host[end + 1..])?;
        let zone = host[..end].windows(3).position(|w| w == b"%25");
        if let Some(zone) = zone {
            let first = unescape(&host[..zone], Part::Host)?;
            let middle = unescape(&host[zone..end], Part::Zone)?;
            let last = unescape(&host[end..], Part::Host)?;
            return Ok([first, middle, last].concat());
        }
    } else if let Some(colon) = host.iter().rposition(|&b| b == b':') {
        check_port(&host[colon..])?;
    }
    unescape(host, Part::Host)
}

fn check_port(text: &[u8]) -> Parsed<()> {
    if valid_port(text) {
        return Ok(());
    }
    Err(format!("invalid port {} after host", show(text)))
}

fn parse(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let url =
        Url::parse(str(&args[0])).map_err(|error| Fail::text(format!("unable to parse url: {error}")))?;
    let user = url.user.as_ref().map(User::show).unwrap_or_default();
    let hostname = url.hostname().to_vec();
    Ok(Value::map([
        ("scheme", Value::from(url.scheme)),
        ("host", url.host.into()),
        ("hostname", hostname.into()),
        ("path", url.path.into()),
        ("query", url.query.into()),
        ("opaque", url.opaque.into()),
        ("fragment", url.fragment.into()),
        ("userinfo", user.into()),
    ]))
}

fn field(map: &Map, key: &str) -> std::result::Result<Vec<u8>, Fail> {
    match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::Str(s)) => Ok(s.to_vec()),
        Some(Value::Nil) => Err(Fail::text(super::args::NIL_DEREFERENCE)),
        Some(other) => Err(Fail::text(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            other.kind()
        ))),
    }
}

fn join(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let map = map(&args[0])?;
    let mut url = Url {
        scheme: field(map, "scheme")?,
        host: field(map, "host")?,
        path: field(map, "path")?,
        query: field(map, "query")?,
        opaque: field(map, "opaque")?,
        fragment: field(map, "fragment")?,
        ..Url::default()
    };
    let user = field(map, "userinfo")?;
    if !user.is_empty() {
        let parsed = Url::parse(&[b"proto://", user.as_slice(), b"@host"].concat())
            .map_err(|error| Fail::text(format!("unable to parse userinfo in dict: {error}")))?;
        url.user = parsed.user;
    }
    Ok(url.show().into())
}
