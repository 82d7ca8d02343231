//! Users (API §10.13). Passwords are hashed by the shell; the model stores the hash and never shows it.
//!
//! Unlike DRP, nobody can lock everybody out: the last user who can log in and has the role `superuser` stays so.

use serde_json::{Map, Value};

use crate::check::{self, Cross, Delete, Fill};
use crate::kind::{Behaviour, Index};
use crate::shape::wire;
use crate::{Bytes, Kind, Problems, View};

wire! {
    /// A person or program that logs in.
    object User {
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// The hash of the password; never shown.
        password_hash: Bytes = "PasswordHash" hidden,
        /// Part of the user's tokens: changing it makes them invalid.
        secret: String = "Secret",
        /// What the user may do.
        roles: Vec<String> = "Roles",
    }
}

/// The role that may do everything.
pub const SUPERUSER: &str = "superuser";

impl User {
    /// Whether this user can log in with a password and may then do everything.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        !self.password_hash.0.is_empty() && self.roles.iter().any(|role| role == SUPERUSER)
    }

    /// Whether nobody but the user stored under this name is a superuser.
    fn is_last_superuser(&self, view: &View) -> bool {
        let is_other = |name: &str| name != self.name && view.object::<User>(name).is_some_and(|user| user.is_superuser());
        let stored = view.object::<User>(&self.name).is_some_and(|user| user.is_superuser());
        stored && !view.find(Kind::User, "Roles", SUPERUSER).any(|key| is_other(key.as_str()))
    }
}

/// What somebody reads who would lock everybody out.
const LAST: &str = "User {} is the last one with a password and the role superuser: nobody could log in to manage this server. \
                    Give another user the role and a password first";

impl Behaviour for User {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::list("Roles").refers(Kind::Role),
        Index::text("Description"),
    ];

    fn fill(user: &mut Map<String, Value>, fill: &Fill<'_>) {
        if check::text(user, "Secret").is_empty() {
            user.insert("Secret".to_owned(), fill.now.secret(16).into());
        }
        // Nobody is shown the hash, so whoever replaces a user does not mean to take the password away.
        if check::text(user, "PasswordHash").is_empty()
            && let Some(hash) = fill.before.and_then(|before| before.get("PasswordHash"))
        {
            user.insert("PasswordHash".to_owned(), hash.clone());
        }
    }

    fn check(&self, problems: &mut Problems) {
        check::user_name(problems, "Invalid Name", &self.name);
        for role in &self.roles {
            check::name(problems, "Invalid Role", role);
        }
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        if !self.is_superuser() && self.is_last_superuser(cross.view) {
            problems.add(LAST.replace("{}", &self.name));
        }
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        if self.is_last_superuser(delete.view) {
            delete.refuse(LAST.replace("{}", &self.name));
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        for role in &self.roles {
            if view.record(Kind::Role, role).is_none() {
                errors.push(format!("Role {role} does not exist"));
            }
        }
    }
}
