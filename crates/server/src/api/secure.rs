//! The keys that secure parameters are sealed for (reference: api.md §8).
//!
//! Every object that carries parameters has a key pair. The private keys are not stored one by one: each is derived from one
//! master key, kept in a file that only the server may read, and the object's name. Losing that file loses the secrets.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use gantry_model::Kind;
use gantry_model::secret::{KeyPair, Sealed};
use ring::hmac;
use serde_json::{Map, Value};

use crate::clock;

/// Derives key pairs of objects. Cloning is cheap; it prints nothing of the key.
#[derive(Clone, Debug)]
pub struct Keys(Arc<hmac::Key>);

impl Keys {
    /// Reads the master key from `file`, making it first when there is none; without a file it lives as long as the process.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or holds anything but 32 bytes.
    pub fn open_file(file: Option<&Path>) -> io::Result<Self> {
        let master = match file {
            None => clock::random::<32>().to_vec(),
            Some(file) => match fs::read(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => make(file)?,
                read => read?,
            },
        };
        if master.len() != 32 {
            return Err(io::Error::other("the master key of secure parameters must be 32 bytes long"));
        }
        Ok(Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &master))))
    }

    /// The key pair of one object.
    pub fn pair(&self, kind: Kind, key: &str) -> KeyPair {
        let tag = hmac::sign(&self.0, format!("{}/{key}", kind.prefix()).as_bytes());
        let mut private = [0; 32];
        private.copy_from_slice(tag.as_ref());
        KeyPair::from_private(private)
    }

    /// The value behind a sealed one; anything else stays as it is.
    pub fn open(&self, kind: Kind, key: &str, value: &Value) -> Value {
        self.open_sealed(kind, key, value).unwrap_or_else(|| value.clone())
    }

    /// The value behind a sealed one, if it is one and was sealed for this object.
    pub fn open_sealed(&self, kind: Kind, key: &str, value: &Value) -> Option<Value> {
        let sealed = Sealed::parse(value).ok()?;
        self.pair(kind, key).open(&sealed).ok()
    }

    /// Opens every sealed value of a map.
    pub fn open_all(&self, kind: Kind, key: &str, params: &mut Map<String, Value>) {
        for value in params.values_mut().filter(|value| value.is_object()) {
            *value = self.open(kind, key, value);
        }
    }
}

fn make(file: &Path) -> io::Result<Vec<u8>> {
    let master = clock::random::<32>();
    let part = file.with_extension("part");
    let mut open = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
    open.write_all(&master)?;
    open.sync_all()?;
    fs::rename(part, file)?;
    Ok(master.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_key_is_made_once_and_pairs_differ_by_object() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secure.key");
        let first = Keys::open_file(Some(&file)).unwrap();
        let again = Keys::open_file(Some(&file)).unwrap();
        let public = |keys: &Keys, key: &str| keys.pair(Kind::Machine, key).public();
        assert_eq!(public(&first, "a"), public(&again, "a"));
        assert_ne!(public(&first, "a"), public(&first, "b"));
        fs::write(&file, "short").unwrap();
        assert!(Keys::open_file(Some(&file)).is_err());
    }
}
