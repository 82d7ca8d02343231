//! Tenants: which objects a group of users sees (API §10.15). They are kept; that they hide anything is left out as yet.

use std::collections::BTreeMap;

use crate::check::{self, Cross, Delete};
use crate::kind::{Behaviour, Index};
use crate::shape::wire;
use crate::{Kind, Problems, View};

wire! {
    /// A group of users who see only certain objects. Stored and not yet enforced: its users see what their roles let them see.
    object Tenant {
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// The keys of the objects, by prefix of their kind.
        members: BTreeMap<String, Vec<String>> = "Members",
        /// The users.
        users: Vec<String> = "Users",
    }
}

impl Behaviour for Tenant {
    const INDEXES: &'static [Index] = &[
        Index::text("Name").unique(),
        Index::text("Description"),
        Index::text("Documentation"),
        Index::list("Users").refers(Kind::User).internal(),
    ];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        for prefix in self.members.keys() {
            if Kind::from_prefix(prefix).is_none() {
                problems.add(format!("Invalid Member type {prefix}"));
            }
        }
    }

    fn cross(&self, cross: &Cross<'_>, problems: &mut Problems) {
        for user in &self.users {
            for other in cross.view.find(Kind::Tenant, "Users", user).filter(|other| other.as_str() != self.name) {
                problems.add(format!("User {user} is already in Tenant {other}"));
            }
        }
    }

    fn derive(&self, view: &View, errors: &mut Vec<String>) {
        for user in &self.users {
            if view.record(Kind::User, user).is_none() {
                errors.push(format!("User {user} does not exist"));
            }
        }
    }

    fn delete(&self, delete: &mut Delete<'_>) {
        if !self.users.is_empty() {
            delete.problems.used.push(format!("Constraining Users: [{}]", self.users.join(" ")));
        }
    }
}
