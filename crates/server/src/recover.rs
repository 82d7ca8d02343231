//! The way back in when nobody can log in any more: a new password for a superuser, written into the store itself.
//!
//! It needs what no request can have, the right to the store's file, and works while the server is stopped: the store admits one
//! process. Left out: choosing the password. A word from a command line stays in histories and lists of processes; this
//! one is made here and changed by its owner afterwards.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_model::{Bytes, Error as Refused, Kind, Tx, User, access, user};
use gantry_state::Audit;

use crate::auth::password;
use crate::config::Config;
use crate::{app, clock};

/// Characters of a new password: 62 of them, so that 20 carry 119 bits.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 20;

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--backend memory`.
    #[error("a server with --backend memory keeps nothing; start it again, and its first user is there")]
    Memory,
    /// There is no store.
    #[error("there is no store {}; name its folder with --base-root and --data-root, as for `gantry serve`", .0.display())]
    NoStore(PathBuf),
    /// The store cannot be opened; a server that runs has it, or it is damaged.
    #[error(transparent)]
    Start(#[from] app::Error),
    /// The user cannot be stored.
    #[error("user `{name}`: {reason}")]
    User {
        /// Who.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Gives `name` a new password and the role `superuser`, makes the user if need be, and ends the user's tokens.
/// Returns the password once it is durable. Nothing is written when the role would not help.
///
/// # Errors
/// See [`Error`].
pub async fn superuser(config: &Config, name: &str) -> Result<String, Error> {
    let file = config.data_root.as_ref().ok_or(Error::Memory)?.join(app::STORE);
    if !file.is_file() {
        return Err(Error::NoStore(file));
    }
    let failed = |reason: String| Error::User { name: name.to_owned(), reason };
    let word = new_password();
    let hash = password::hash(&word).ok_or_else(|| failed("no password hash could be made".to_owned()))?;
    let state = app::open_state(config, Arc::new(()))?;
    let who = name.to_owned();
    let written = state.write(Audit::new("server", "recover"), move |tx| restore(tx, &who, &hash)).await;
    written.map_err(|error| failed(error.to_string()))?;
    Ok(word)
}

fn restore(tx: &mut Tx, name: &str, hash: &[u8]) -> Result<(), Refused> {
    let known = tx.view().record(Kind::User, name).map(|record| record.typed::<User>());
    let mut user =
        known.map_or_else(|| User { name: name.to_owned(), ..User::default() }, |user| (*user).clone());
    if !user.roles.iter().any(|role| role == user::SUPERUSER) {
        user.roles.push(user::SUPERUSER.to_owned());
    }
    user.password_hash = Bytes(hash.to_vec());
    user.secret = tx.now().secret(32);
    tx.save(&user)?;
    if access::allows_everything(tx.view(), name) {
        return Ok(());
    }
    let role = tx.view().record(Kind::Role, user::SUPERUSER);
    let origin = role.map_or("nowhere", |role| role.bundle());
    Err(Refused::invalid(
        Kind::User,
        name,
        format!(
            "the role {} would not help: it comes from content pack {origin} and does not allow everything (* * *); start the \
             server without that pack, or with one that does not have the role",
            user::SUPERUSER
        ),
    ))
}

/// Random letters and digits, each as likely as the others.
fn new_password() -> String {
    let mut word = String::new();
    while word.len() < LENGTH {
        let fits = |byte: &u8| usize::from(*byte) < 256 / LETTERS.len() * LETTERS.len();
        let letters = clock::random::<32>().into_iter().filter(fits);
        let letters = letters.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        word.extend(letters.take(LENGTH - word.len()));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_plain_and_different() {
        let (one, other) = (new_password(), new_password());
        assert_eq!((one.len(), one.bytes().all(|byte| LETTERS.contains(&byte))), (LENGTH, true), "{one}");
        assert_ne!(one, other);
    }
}
