//! That somebody can always log in and do everything: unlike in DRP, nobody can lock everybody out.
//!
//! It holds of a whole View and is judged there, whatever was changed: a user, a role, or the content packs. Users of packs do
//! not count, for packs come and go.

use crate::{Kind, Role, Rules, User, View};

/// Why a change is refused that would leave nobody who can log in and may do everything. `None` when somebody is left, or when
/// there was nobody before, so that such a server can be mended. Costs nothing unless users or roles differ.
#[must_use]
pub fn lost(before: &View, after: &View, rules: &dyn Rules) -> Option<String> {
    let same = |kind| before.stamp(kind) == after.stamp(kind);
    if same(Kind::User) && same(Kind::Role) || managers(after, rules).next().is_some() {
        return None;
    }
    let last = managers(before, rules).next()?;
    Some(format!(
        "User {last} is the last one of the store with a password and a role that allows everything (* * *): nobody could log \
         in to manage this server. Give another user both first"
    ))
}

/// Whether the user may do everything, by a role that allows `* * *` in one claim, and is no pack's.
#[must_use]
pub fn allows_everything(view: &View, user: &str) -> bool {
    let stored = view.record(Kind::User, user).filter(|record| !record.read_only());
    stored.is_some_and(|record| record.typed::<User>().roles.iter().any(|role| is_everything(view, role)))
}

/// The stored users who can log in with a password and may then do everything.
fn managers<'a>(view: &'a View, rules: &'a dyn Rules) -> impl Iterator<Item = &'a str> {
    let stored = view.records(Kind::User).filter(|record| !record.read_only());
    let able = stored.filter(move |record| {
        rules.is_password_hash(&record.typed::<User>().password_hash.0)
            && allows_everything(view, record.key())
    });
    able.map(|record| record.key().as_str())
}

fn is_everything(view: &View, role: &str) -> bool {
    let star = |list: &str| list.split(',').any(|word| word.trim() == "*");
    view.object::<Role>(role).is_some_and(|role| {
        role.claims.iter().any(|claim| star(&claim.scope) && star(&claim.action) && star(&claim.specific))
    })
}
