//! Tokens and passwords of users (reference: api.md §10.13, §15.5).

use gantry_api::claim::{self, Claim};
use gantry_api::refusal::Target;
use gantry_api::{Error, duration};
use gantry_model::{Bytes, Kind, User, check};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::{Ask, body};
use crate::auth::{Subject, Token, token};
use crate::clock;

/// How long a token of a user lasts when nobody says, in seconds.
const DEFAULT_TTL: i64 = 3_600;

/// How many roles that do not exist are told one by one: each is compared with all roles there are.
const TOLD: usize = 20;

/// `GET /users/<u>/token`: what its user may and these words say, so roles that the user lacks give nothing.
pub(super) fn token(ask: &Ask) -> Answer {
    let key = ask.view.lookup(Kind::User, &ask.route.key);
    let key = key.ok_or_else(|| Error::not_found(ask.method, "users", &ask.route.key))?;
    known_words(ask)?;
    let mut token = Token::for_user(key.as_str(), clock::now(), ttl(ask, DEFAULT_TTL)?);
    // A token for somebody else is a right of its own; one for the caller may do no more than the caller.
    let own = ask.caller.subject == Subject::User(key.as_str().to_owned());
    let mut within = token::of_user(&ask.view, key.as_str(), None);
    if own {
        token.limits = ask.caller.limits.clone();
        within.clone_from(&ask.caller.claims);
    }
    if ask.query.get("roles").is_some() {
        token.limits.narrow(&ask.query.list("roles"));
    }
    if ask.query.get("scope").is_some_and(|scope| !scope.is_empty()) {
        // A claim that goes beyond these rights is dropped, not an error: the token then may do nothing.
        let wanted = Claim::new(word(ask, "scope"), word(ask, "action"), word(ask, "specific"));
        token.limits.claims = Some(if claim::contains(&within, &wanted) { vec![wanted] } else { Vec::new() });
    }
    let issued =
        token.issue(&ask.view).ok_or_else(|| Error::not_found(ask.method, "users", &ask.route.key))?;
    answer::ok(&json!({ "Token": issued, "Info": *super::info::describe(ask) }))
}

/// A part of the right that is asked for; all when it is not given.
fn word<'a>(ask: &'a Ask, name: &str) -> &'a str {
    match ask.query.get(name).unwrap_or_default() {
        "" => "*",
        // The word of DRP's clients.
        "all" if name == "scope" => "*",
        word => word,
    }
}

/// Refuses roles, scopes and actions that do not exist. Of roles that the caller may not see nothing is told: they give nothing.
fn known_words(ask: &Ask) -> Result<(), Error> {
    let missing = |role: &&&str| ask.may_see(Kind::Role, role) && ask.view.record(Kind::Role, role).is_none();
    let roles = ask.query.list("roles");
    let mut missing = roles.iter().filter(missing);
    let mut messages: Vec<String> = missing.by_ref().take(TOLD).map(|role| no_role(ask, role)).collect();
    match missing.count() {
        0 => {}
        more => messages.push(format!("Further roles that do not exist: {more}")),
    }
    messages.extend(check::unknown_words(word(ask, "scope"), word(ask, "action")));
    if messages.is_empty() {
        return Ok(());
    }
    Err(Error { messages, ..Error::new(422, "ValidationError", "").about("users", &ask.route.key) })
}

fn no_role(ask: &Ask, role: &str) -> String {
    let known = ask.view.records(Kind::Role).map(|role| role.key().as_str());
    match gantry_pack::similar(role, known.filter(|known| ask.may_see(Kind::Role, known))) {
        Some(meant) => format!("Role {role} does not exist; did you mean `{meant}`?"),
        None => format!("Role {role} does not exist"),
    }
}

/// `ttl` in seconds or as a duration. Negative numbers are taken and make a token that is over already.
pub(super) fn ttl(ask: &Ask, default: i64) -> Result<i64, Error> {
    let Some(text) = ask.query.get("ttl").filter(|text| !text.is_empty()) else { return Ok(default) };
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds);
    }
    let parsed = duration::parse(text)
        .map_err(|text| Error::new(400, ask.method, text).about(&ask.route.kind, &ask.route.key))?;
    Ok(i64::try_from(parsed.as_secs()).unwrap_or(i64::MAX))
}

/// `PUT /users/<u>/password`
pub(super) async fn password(mut ask: Ask) -> Answer {
    let key = ask.view.lookup(Kind::User, &ask.route.key);
    let key = key.ok_or_else(|| Error::not_found("PUT", "users", &ask.route.key))?.as_str().to_owned();
    let upload = ask.take_body();
    let given = body::json(upload, &ask.headers, body::JSON_LIMIT, json!({})).await?;
    let password = given.get("Password").or_else(|| given.get("password")).and_then(Value::as_str);
    let password =
        password.ok_or_else(|| Error::malformed("PUT", "Password is missing; it must be a string"))?;
    if password.is_empty() {
        return Err(Error::new(422, "ValidationError", "the password is empty").about("users", &key));
    }
    let hash = ask
        .api
        .passwords
        .hash(password)
        .await
        .ok_or_else(|| Error::internal("PUT", "no hash could be made"))?;
    let name = key.clone();
    let written = ask.write("save", Target::Object, move |tx| {
        let user = tx.get(Kind::User, &name)?.typed::<User>();
        tx.save(&User { password_hash: Bytes(hash.clone()), secret: tx.now().secret(32), ..(*user).clone() })
    });
    let written = written.await?;
    super::objects::show(&ask, &written.view, Kind::User, &key, StatusCode::OK)
}
