//! The file of `--key`, as `drpcli` makes it: a private key, 32 bytes in base64, as a JSON string.
//!
//! A file with a key in it is never overwritten: what was sealed for that key could be opened by nobody. The key is used again
//! instead, so one serves for several packs. What holds something else is left alone.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use gantry_model::secret::KeyPair;
use gantry_model::{Bytes, Now};
use serde_json::Value;

use crate::Error;

/// The pair whose private key is in the file.
pub(super) fn read(file: &str) -> Result<KeyPair, Error> {
    let text = fs::read(file).map_err(|source| Error::File { file: file.to_owned(), source })?;
    let key = serde_json::from_slice::<String>(&text).ok().and_then(|text| Bytes::parse(&text).ok());
    let key = key.and_then(|key| <[u8; 32]>::try_from(key.0).ok());
    let none = || Error::Usage(format!("{file} is no key: 32 bytes in base64, as a JSON string"));
    key.map(KeyPair::from_private).ok_or_else(none)
}

/// The same; where there is no file, or an empty one, with a fresh key that is written to it.
pub(super) fn read_or_make(file: &str, dice: &Now) -> Result<KeyPair, Error> {
    let wrong = |source| Error::File { file: file.to_owned(), source };
    let pair = match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return make(file, dice, OpenOptions::new().create_new(true)).map_err(wrong);
        }
        // A pipe to the program that keeps the key.
        Ok(there) if !there.is_file() => return make(file, dice, &mut OpenOptions::new()).map_err(wrong),
        Ok(there) if there.len() == 0 => make(file, dice, &mut OpenOptions::new()).map_err(wrong)?,
        Ok(_) => read(file)?,
        Err(error) => return Err(wrong(error)),
    };
    // It may have been there, for everybody to read.
    fs::set_permissions(file, Permissions::from_mode(0o600)).map_err(wrong)?;
    Ok(pair)
}

fn make(file: &str, dice: &Now, open: &mut OpenOptions) -> io::Result<KeyPair> {
    let pair = KeyPair::fresh(dice);
    let mut file = open.write(true).mode(0o600).open(file)?;
    let text = Bytes(pair.private().to_vec()).to_string();
    file.write_all(Value::String(text).to_string().as_bytes())?;
    if file.metadata()?.is_file() {
        // Before anything is sealed for it.
        file.sync_all()?;
    }
    Ok(pair)
}
