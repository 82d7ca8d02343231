//! Roles: named sets of rights (API §10.14, §15.4).

use crate::check::{self, Cross, Delete};
use crate::kind::{Behaviour, Index};
use crate::parts::Claim;
use crate::shape::wire;
use crate::{Kind, Problems};

wire! {
    /// A named set of rights that users have.
    object Role {
        /// Unique name.
        name: String = "Name",
        /// One line for people.
        description: String = "Description",
        /// Longer text for people, in Markdown.
        documentation: String = "Documentation",
        /// What it allows.
        claims: Vec<Claim> = "Claims",
    }
}

impl Behaviour for Role {
    const INDEXES: &'static [Index] =
        &[Index::text("Name").unique(), Index::text("Description"), Index::text("Documentation")];

    fn check(&self, problems: &mut Problems) {
        check::name(problems, "Invalid Name", &self.name);
        for claim in &self.claims {
            check::claim(claim, problems);
        }
    }

    fn cross(&self, _cross: &Cross<'_>, _problems: &mut Problems) {}

    fn delete(&self, delete: &mut Delete<'_>) {
        delete.used_by(Kind::User, "Roles", |user| format!("In use by User {user}"));
    }
}
