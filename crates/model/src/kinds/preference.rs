//! Preferences: the server's own settings (API §18). Their names, defaults and checks are in [`crate::preference`].

use std::collections::BTreeMap;

use crate::kind::{Behaviour, Envelope, Index, Shown, Verbs};
use crate::shape::wire;

wire! {
    /// One setting of the server.
    part Preference {
        /// Free values.
        meta: BTreeMap<String, String> = "Meta",
        /// Which setting.
        name: String = "Name",
        /// Its value.
        val: String = "Val",
    }
}

impl Envelope for Preference {}

impl Behaviour for Preference {
    const VERBS: Verbs = Verbs::NONE;
    const SHOWN: Shown = Shown::Bare;
    const INDEXES: &'static [Index] = &[Index::text("Name").unique().internal()];

    fn cross(&self, cross: &crate::check::Cross<'_>, problems: &mut crate::Problems) {
        if let Err(message) = crate::preference::check(cross.view, &self.name, &self.val) {
            problems.add(message);
        }
    }
}
