//! Who is asking: from credentials to a [`Caller`] with claims (reference: api.md §15).

mod brake;
pub mod password;
pub mod token;

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::Error;
use gantry_api::claim::{self, Claim, Wanted};
use gantry_api::query::Query;
use gantry_model::{User, View};
use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use password::{Passwords, Verdict};
pub use token::{Limits, Subject, Token};

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
    /// What they may do less than their user; tokens that they ask for themselves have the same limits.
    pub limits: Limits,
    /// Whether a password was given with this very request.
    pub by_password: bool,
}

/// Why a request has no caller, for the log and the metrics; the client is told less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was wrong.
    pub why: Why,
    /// The user name that was given, or whom the token spoke for; empty when that is not known. Never a password or token.
    pub who: String,
    /// The answer's body, with status 403 or 429, or none: 401 with an empty body.
    pub body: Option<Box<Error>>,
}

/// What can be wrong with credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// None were given, or none that can be read.
    Missing,
    /// There is no such user.
    UnknownUser,
    /// The password is another.
    WrongPassword,
    /// Too many wrong passwords for this user came from the address of late; the next one is looked at after this time.
    TooManyGuesses(Duration),
    /// The token was not made here, or was altered.
    ForeignToken,
    /// The token's time is over.
    ExpiredToken,
    /// A secret that the token depends on has changed, or its subject is gone.
    RevokedToken,
}

impl Why {
    /// As the metrics name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::TooManyGuesses(_) => "too_many_guesses",
            Self::ForeignToken => "foreign_token",
            Self::ExpiredToken => "expired_token",
            Self::RevokedToken => "revoked_token",
        }
    }

    /// As the log says it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "no credentials",
            Self::UnknownUser => "no such user",
            Self::WrongPassword => "wrong password",
            Self::TooManyGuesses(_) => "too many wrong passwords",
            Self::ForeignToken => "the token was not made here, or was altered",
            Self::ExpiredToken => "the token has expired",
            Self::RevokedToken => "the token was revoked",
        }
    }
}

/// Longer names are cut in the log.
const LONGEST_NAME: usize = 64;

impl Refused {
    fn missing() -> Self {
        Self { why: Why::Missing, who: String::new(), body: None }
    }

    fn wrong(why: Why, who: &str, body: Error) -> Self {
        Self { why, who: who.to_owned(), body: Some(Box::new(body)) }
    }

    /// The name for the log: whatever a stranger sent stays one short line.
    pub fn shown(&self) -> String {
        match self.who.as_str() {
            "" => "somebody".to_owned(),
            who => who[..who.floor_char_boundary(LONGEST_NAME)].escape_debug().to_string(),
        }
    }
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
        let principal = token.subject.principal();
        Self {
            principal,
            subject: token.subject.clone(),
            claims: token.claims(view),
            limits: token.limits.clone(),
            by_password: false,
        }
    }
}

/// What a request brought.
enum Credentials {
    Password(String, String),
    Token(String),
}

/// Finds out who sent a request, from the address `from`.
///
/// # Errors
/// See [`Refused`].
pub async fn identify(
    headers: &HeaderMap,
    query: &Query,
    from: IpAddr,
    view: &View,
    passwords: &Passwords,
) -> Result<Caller, Refused> {
    match credentials(headers, query).ok_or_else(Refused::missing)? {
        Credentials::Token(text) => of_token(&text, view),
        Credentials::Password(user, password) => of_password(&user, &password, from, view, passwords).await,
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
    let token = Token::open(text, view, clock::now()).map_err(|refused| match &refused {
        token::Refused::Foreign => Refused::wrong(Why::ForeignToken, "", Error::invalid_token(&refused)),
        token::Refused::Expired { subject, .. } => {
            Refused::wrong(Why::ExpiredToken, &subject.principal(), Error::invalid_token(&refused))
        }
        token::Refused::Revoked { subject } => {
            Refused::wrong(Why::RevokedToken, &subject.principal(), Error::revoked_token())
        }
    })?;
    Ok(Caller::of_token(&token, view))
}

async fn of_password(
    name: &str,
    password: &str,
    from: IpAddr,
    view: &View,
    passwords: &Passwords,
) -> Result<Caller, Refused> {
    // An unknown user costs as much as a wrong password, so that names cannot be found out by the clock.
    const NOBODY: &[u8] =
        b"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let user = view.object::<User>(name);
    let stored = user.as_ref().map_or(NOBODY, |user| user.password_hash.0.as_slice());
    match passwords.verify(from, name, password, stored).await {
        Verdict::Right if user.is_some() => {}
        Verdict::Later(wait) => {
            return Err(Refused::wrong(Why::TooManyGuesses(wait), name, Error::too_many_guesses(wait)));
        }
        Verdict::Right | Verdict::Wrong => {
            let why = if user.is_some() { Why::WrongPassword } else { Why::UnknownUser };
            return Err(Refused::wrong(why, name, Error::access_denied()));
        }
    }
    Ok(Caller {
        principal: format!("user:{name}"),
        subject: Subject::User(name.to_owned()),
        claims: token::of_user(view, name, None),
        limits: Limits::default(),
        by_password: true,
    })
}
