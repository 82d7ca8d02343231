//! Passwords: bcrypt lines, and the Master Password algorithm.

use super::super::Result;
use super::super::args::str;
use crate::error::Fail;
use crate::exec::Scope;
use crate::value::Value;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Steps that one of these counts as: about a tenth of a second.
const WORK: u64 = 1_000_000;

pub(super) fn htpasswd(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    const COST: u32 = 10;
    let (user, password) = (str(&args[0]), str(&args[1]));
    let shown = String::from_utf8_lossy(user);
    if user.contains(&b':') {
        return Ok(format!("invalid username: {shown}").into());
    }
    scope.work(WORK)?;
    let mut salt = [0; 16];
    scope.host().random(&mut salt);
    Ok(match bcrypt::hash_with_salt(password, COST, salt) {
        Ok(hash) => format!("{shown}:{}", hash.format_for_version(bcrypt::Version::TwoA)).into(),
        Err(error) => format!("failed to create htpasswd: {error}").into(),
    })
}

/// The patterns of each kind of password.
const KINDS: &[(&str, &[&str])] = &[
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

/// The characters that a letter of a pattern stands for.
fn characters(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// <https://masterpassword.app/masterpassword-algorithm.pdf>
pub(super) fn derive(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    const SCOPE: &[u8] = b"com.lyndir.masterpassword";
    let Value::Uint(_, counter) = args[0] else { return Ok(Value::Nil) };
    let kind = str(&args[1]);
    let (password, user, site) = (str(&args[2]), str(&args[3]), str(&args[4]));
    let Some((_, patterns)) = KINDS.iter().find(|(name, _)| name.as_bytes() == kind) else {
        let kind = String::from_utf8_lossy(kind);
        return Ok(format!("cannot find password template {kind}").into());
    };
    scope.work(WORK)?;
    let failed = |_| Fail::text("failed to derive password");
    let salt = [SCOPE, &(user.len() as u32).to_be_bytes(), user].concat();
    let mut key = [0; 64];
    let params = scrypt::Params::new(15, 8, 2).map_err(|_| failed(()))?;
    scrypt::scrypt(password, &salt, &params, &mut key).map_err(|_| failed(()))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| failed(()))?;
    mac.update(SCOPE);
    mac.update(&(site.len() as u32).to_be_bytes());
    mac.update(site);
    mac.update(&(counter as u32).to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let pattern = patterns[usize::from(seed[0]) % patterns.len()];
    let picked = pattern.bytes().zip(&seed[1..]).map(|(letter, &byte)| {
        let set = characters(letter);
        set[usize::from(byte) % set.len()]
    });
    Ok(picked.collect::<Vec<u8>>().into())
}
