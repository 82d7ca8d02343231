//! Tokens: sealed statements of who the bearer is and what they may do.
//!
//! A token is a JWT (RFC 7519) signed with HS256 under preference `baseTokenSecret`; the algorithm is fixed, so the header is
//! not consulted. It names its subject and carries *seals*: keyed digests of every secret it depends on (the subject's own,
//! the grantor's). Changing any of them ends the token at once, changing `baseTokenSecret` ends all (reference: api.md §15.2).
//! The secrets themselves are not in it. Signing is one call of `ring`; a JWT library would bring RSA and elliptic curves
//! that nothing here may accept.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use gantry_api::claim::{self, Claim};
use gantry_model::{Job, Machine, Time, User, View};
use ring::hmac;
use serde::{Deserialize, Serialize};

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer tokens are not looked at: no token made here comes near.
const LONGEST: usize = 16 * 1024;

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A user, with the user's roles or a part of them.
    User(String),
    /// A machine, by UUID.
    Machine(String),
    /// A machine that nobody knows yet.
    Unknown,
    /// Whoever works on one profile.
    Profile(String),
}

/// What is written in a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whom it speaks for.
    #[serde(rename = "sub")]
    pub subject: Subject,
    /// Seconds since 1970 when it was made.
    pub iat: i64,
    /// Seconds since 1970 when it ends.
    pub exp: i64,
    /// Whether the server granted it by itself, so that `systemGrantorSecret` ends it.
    #[serde(default)]
    pub system: bool,
    /// What it may do less than its user.
    #[serde(flatten)]
    pub limits: Limits,
    /// The job of a machine whose rights it has, too, as long as that job is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Digest over the secrets that it depends on.
    #[serde(default)]
    pub seal: String,
}

/// What the token of a user may do less than the user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Roles to take claims from when it is used; None stands for all of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Claims instead of roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<Claim>>,
}

impl Limits {
    /// Fewer roles: those of `wanted` that are allowed now.
    pub fn narrow(&mut self, wanted: &[&str]) {
        let allowed =
            |role: &&&str| self.roles.as_ref().is_none_or(|roles| roles.iter().any(|own| own == **role));
        self.roles = Some(wanted.iter().filter(allowed).map(|role| (*role).to_owned()).collect());
    }
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a token of this server, or altered.
    #[error("token is malformed or was not signed here")]
    Foreign,
    /// Its time is over.
    #[error("token is expired by {seconds}s")]
    Expired {
        /// Since when.
        seconds: i64,
        /// Whom it spoke for.
        subject: Subject,
    },
    /// A secret that it depends on has changed, or its subject is gone.
    #[error("Validation failed")]
    Revoked {
        /// Whom it spoke for.
        subject: Subject,
    },
}

impl Subject {
    /// As events, commits and the log name it.
    pub fn principal(&self) -> String {
        match self {
            Self::User(name) => format!("user:{name}"),
            Self::Machine(uuid) => format!("runner:{uuid}"),
            Self::Unknown | Self::Profile(_) => "unknown".into(),
        }
    }
}

impl Token {
    /// A token for a user, with all roles unless the caller narrows it.
    pub fn for_user(name: &str, now: Time, ttl: i64) -> Self {
        Self::new(Subject::User(name.to_owned()), now, ttl)
    }

    /// A token that acts as the machine.
    pub fn for_machine(uuid: &str, now: Time, ttl: Duration) -> Self {
        Self { system: true, ..Self::new(Subject::Machine(uuid.to_owned()), now, seconds(ttl)) }
    }

    /// A token that acts as the machine, with what the task of its job may do beyond that (reference: engine.md §4.9).
    pub fn for_job(machine: &str, job: &str, now: Time, ttl: Duration) -> Self {
        Self { job: Some(job.to_owned()), ..Self::for_machine(machine, now, ttl) }
    }

    /// A token for a machine that is to register itself.
    pub fn for_unknown(now: Time, ttl: Duration) -> Self {
        Self { system: true, ..Self::new(Subject::Unknown, now, seconds(ttl)) }
    }

    /// A token for work on one profile.
    pub fn for_profile(name: &str, now: Time, ttl: Duration) -> Self {
        Self { system: true, ..Self::new(Subject::Profile(name.to_owned()), now, seconds(ttl)) }
    }

    fn new(subject: Subject, now: Time, ttl: i64) -> Self {
        let iat = now.unix();
        Self {
            subject,
            iat,
            exp: iat.saturating_add(ttl),
            system: false,
            limits: Limits::default(),
            job: None,
            seal: String::new(),
        }
    }

    /// Seals and signs. None when the subject does not exist.
    pub fn issue(mut self, view: &View) -> Option<String> {
        let key = base_key(view)?;
        self.seal = self.make_seal(view, &key)?;
        let body = serde_json::to_vec(&self).ok()?;
        let signed = format!("{HEADER}.{}", BASE64.encode(body));
        let signature = BASE64.encode(hmac::sign(&key, signed.as_bytes()));
        Some(format!("{signed}.{signature}"))
    }

    /// Reads a token and checks signature, time and seal against the present secrets.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn open(text: &str, view: &View, now: Time) -> Result<Self, Refused> {
        let key = base_key(view).ok_or(Refused::Foreign)?;
        let token = verify(text, &key).ok_or(Refused::Foreign)?;
        if token.exp <= now.unix() {
            return Err(Refused::Expired { seconds: now.unix() - token.exp, subject: token.subject });
        }
        let seal = token.make_seal(view, &key);
        if seal.as_ref() == Some(&token.seal) {
            Ok(token)
        } else {
            Err(Refused::Revoked { subject: token.subject })
        }
    }

    /// What the bearer may do at this moment.
    pub fn claims(&self, view: &View) -> Vec<Claim> {
        match &self.subject {
            Subject::User(name) => match &self.limits.claims {
                Some(claims) => claims.clone(),
                None => of_user(view, name, self.limits.roles.as_deref()),
            },
            Subject::Machine(uuid) => {
                let job = self.job.as_ref().and_then(|job| at_work(view, uuid, job));
                let mut claims = of_machine(view, uuid);
                claims.extend(job.iter().flat_map(|job| &job.extra_claims).map(granted));
                claims
            }
            Subject::Unknown => claim::of_unknown_machine(),
            Subject::Profile(name) => claim::of_profile(name),
        }
    }

    fn make_seal(&self, view: &View, key: &hmac::Key) -> Option<String> {
        let own = match &self.subject {
            Subject::User(name) => view.object::<User>(name)?.secret.clone(),
            Subject::Machine(uuid) => {
                if let Some(job) = &self.job {
                    at_work(view, uuid, job)?;
                }
                view.object::<Machine>(uuid)?.secret.clone()
            }
            Subject::Unknown | Subject::Profile(_) => String::new(),
        };
        let system = if self.system { view.preference("systemGrantorSecret") } else { String::new() };
        let mut context = hmac::Context::with_key(key);
        for secret in [&own, &system] {
            context.update(&(secret.len() as u64).to_be_bytes());
            context.update(secret.as_bytes());
        }
        Some(BASE64.encode(&context.sign().as_ref()[..16]))
    }
}

/// Claims of a user: those of the roles and what every user may do; or of the named roles among them and what a token with fewer
/// roles may do.
pub fn of_user(view: &View, name: &str, only: Option<&[String]>) -> Vec<Claim> {
    let mut claims = match only {
        None => claim::of_any_user(name),
        Some(_) => claim::of_narrowed_user(name),
    };
    let Some(user) = view.object::<User>(name) else { return claims };
    let chosen = user.roles.iter().filter(|role| only.is_none_or(|only| only.contains(role)));
    for role in chosen.filter_map(|role| view.object::<gantry_model::Role>(role)) {
        claims.extend(role.claims.iter().map(granted));
    }
    claims
}

fn granted(claim: &gantry_model::parts::Claim) -> Claim {
    Claim::new(&claim.scope, &claim.action, &claim.specific)
}

/// The job, while it is the machine's current one and its scripts may run.
fn at_work(view: &View, machine: &str, job: &str) -> Option<Arc<Job>> {
    let job = view.object::<Job>(job)?;
    let state = gantry_workflow::job::State::of(&job);
    (job.current && job.machine.to_string() == machine && state.is_live()).then_some(job)
}

fn of_machine(view: &View, uuid: &str) -> Vec<Claim> {
    let address = view.object::<Machine>(uuid).map(|machine| machine.address.hex());
    claim::of_machine(uuid, address.as_deref().filter(|hex| !hex.is_empty()))
}

/// None while there is no secret: what anybody could sign proves nothing.
fn base_key(view: &View) -> Option<hmac::Key> {
    let secret = view.preference("baseTokenSecret");
    (!secret.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
}

fn verify(text: &str, key: &hmac::Key) -> Option<Token> {
    if text.len() > LONGEST {
        return None;
    }
    let (signed, signature) = text.rsplit_once('.')?;
    hmac::verify(key, signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
    let (header, body) = signed.split_once('.')?;
    if header != HEADER {
        return None;
    }
    serde_json::from_slice(&BASE64.decode(body).ok()?).ok()
}

fn seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)
}
