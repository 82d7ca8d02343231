//! Who is asking: from credentials to a [`Caller`] with claims (reference: api.md §15).

pub mod password;
pub mod token;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::Error;
use gantry_api::claim::{self, Claim, Wanted};
use gantry_api::query::Query;
use gantry_model::{User, View};
use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use password::Passwords;
pub use token::{Subject, Token};

use crate::clock;

/// Somebody whose credentials were right.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As events and commits name them: `user:<name>`, `runner:<machine>`, `unknown`.
    pub principal: String,
    /// Whom the credentials speak for.
    pub subject: Subject,
    /// What they may do.
    pub claims: Vec<Claim>,
    /// Whether a password was given with this very request.
    pub by_password: bool,
}

/// Why a request has no caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No credentials, or none that can be read: 401 with an empty body.
    Missing,
    /// Credentials that are wrong: 403 with this body.
    Wrong(Box<Error>),
}

impl Caller {
    /// Whether some claim of the caller covers `wanted`.
    pub fn may(&self, wanted: &Wanted) -> bool {
        claim::allows(&self.claims, wanted)
    }

    /// The machine that the caller acts as, if it does.
    pub fn machine(&self) -> Option<&str> {
        match &self.subject {
            Subject::Machine(uuid) => Some(uuid),
            _ => None,
        }
    }

    fn of_token(token: &Token, view: &View) -> Self {
        let principal = match &token.subject {
            Subject::User(name) => format!("user:{name}"),
            Subject::Machine(uuid) => format!("runner:{uuid}"),
            Subject::Unknown | Subject::Profile(_) => "unknown".into(),
        };
        Self { principal, subject: token.subject.clone(), claims: token.claims(view), by_password: false }
    }
}

/// What a request brought.
enum Credentials {
    Password(String, String),
    Token(String),
}

/// Finds out who sent a request.
///
/// # Errors
/// See [`Refused`].
pub async fn identify(
    headers: &HeaderMap,
    query: &Query,
    view: &View,
    passwords: &Passwords,
) -> Result<Caller, Refused> {
    match credentials(headers, query).ok_or(Refused::Missing)? {
        Credentials::Token(text) => of_token(&text, view),
        Credentials::Password(user, password) => of_password(&user, &password, view, passwords).await,
    }
}

fn credentials(headers: &HeaderMap, query: &Query) -> Option<Credentials> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        let (scheme, rest) = header.to_str().ok()?.trim().split_once(' ')?;
        return match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(Credentials::Token(rest.trim().to_owned())),
            "basic" => basic(rest.trim()),
            _ => None,
        };
    }
    let text = query.get("token").or_else(|| query.get("Token"))?;
    Some(match text.split_once(':') {
        Some((user, password)) => Credentials::Password(user.to_owned(), password.to_owned()),
        None => Credentials::Token(text.to_owned()),
    })
}

/// `user:password` in base64; a raw token is taken too, because the documents of DRP show that form.
fn basic(text: &str) -> Option<Credentials> {
    if text.matches('.').count() == 2 {
        return Some(Credentials::Token(text.to_owned()));
    }
    let plain = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some(Credentials::Password(user.to_owned(), password.to_owned()))
}

fn of_token(text: &str, view: &View) -> Result<Caller, Refused> {
    let token = Token::open(text, view, clock::now()).map_err(|refused| {
        Refused::Wrong(Box::new(match refused {
            token::Refused::Revoked => Error::revoked_token(),
            other => Error::invalid_token(other),
        }))
    })?;
    Ok(Caller::of_token(&token, view))
}

async fn of_password(
    name: &str,
    password: &str,
    view: &View,
    passwords: &Passwords,
) -> Result<Caller, Refused> {
    // An unknown user costs as much as a wrong password, so that names cannot be found out by the clock.
    const NOBODY: &[u8] =
        b"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let user = view.object::<User>(name);
    let stored = user.as_ref().map_or(NOBODY, |user| user.password_hash.0.as_slice());
    if !passwords.verify(name, password, stored).await || user.is_none() {
        return Err(Refused::Wrong(Box::new(Error::access_denied())));
    }
    Ok(Caller {
        principal: format!("user:{name}"),
        subject: Subject::User(name.to_owned()),
        claims: token::of_user(view, name, None),
        by_password: true,
    })
}
