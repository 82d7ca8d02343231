//! Users (API §10.13). Passwords are hashed by the shell; the model stores the hash and never shows it.
//!
//! That the last user who may do everything stays so is [`crate::access`]'s matter.

use serde_json::{Map, Value};

use crate::check::{self, Fill};
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

/// The built-in role that may do everything; no content pack may bring one of this name.
pub const SUPERUSER: &str = "superuser";

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
    }

    fn check(&self, problems: &mut Problems) {
        check::user_name(problems, "Invalid Name", &self.name);
        for role in &self.roles {
            check::name(problems, "Invalid Role", role);
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
