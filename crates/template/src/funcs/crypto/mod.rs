//! Digests, passwords, ciphers and randomness. All randomness comes from the host. What takes long
//! counts as many steps, so that a template cannot keep a processor busy for ever.

#[cfg(feature = "keys")]
mod certificates;
#[cfg(feature = "keys")]
mod der;
#[cfg(feature = "keys")]
mod keys;
mod passwords;
#[cfg(not(feature = "keys"))]
mod without_keys;

#[cfg(feature = "keys")]
use certificates::{authority, build, self_signed, signed};
#[cfg(feature = "keys")]
use keys::generate;
#[cfg(not(feature = "keys"))]
use without_keys::{authority, build, generate, self_signed, signed};

use super::args::{INT, STR, int, str};
use super::encoding::{base64, decode64};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::host::Host;
use crate::object::Signature;
use crate::rune;
use crate::value::{Type, Value};
use aes::Aes256;
use aes::cipher::{
    BlockDecryptMut, BlockEncryptMut, KeyIvInit, block_padding::NoPadding, block_padding::Pkcs7,
};
use base16ct::lower::encode_string as hex;
use sha1::Sha1;
use sha2::{Digest, Sha256};

const ONE: Signature = Signature::exact(&[STR]);
const TWO: Signature = Signature::exact(&[STR, STR]);
const COUNT: Signature = Signature::exact(&[INT]);
/// The Go name of a certificate with its key.
const CERTIFICATE: &str = "sprig.certificate";
const CERTIFICATE_TYPE: Type = Type::Named(CERTIFICATE);
const LIST: Type = Type::List(crate::value::Elem::Any);

pub(super) static ROWS: &[Row] = &[
    row(
        "sha1sum",
        ONE,
        |_, a| Ok(hex(&Sha1::digest(str(&a[0]))).into()),
        "sha1sum STRING",
        "SHA-1 digest in hexadecimal.",
    ),
    row(
        "sha256sum",
        ONE,
        |_, a| Ok(hex(&Sha256::digest(str(&a[0]))).into()),
        "sha256sum STRING",
        "SHA-256 digest in hexadecimal.",
    ),
    row(
        "adler32sum",
        ONE,
        |_, a| Ok(adler32(str(&a[0])).to_string().into()),
        "adler32sum STRING",
        "Adler-32 checksum in decimal.",
    ),
    row(
        "htpasswd",
        TWO,
        passwords::htpasswd,
        "htpasswd USER PASSWORD",
        "A line for htpasswd files, with bcrypt.",
    ),
    row(
        "derivePassword",
        Signature::exact(&[Type::Uint32, STR, STR, STR, STR]),
        passwords::derive,
        "derivePassword COUNTER KIND PASSWORD USER SITE",
        "A password by the Master Password algorithm; KIND is maximum, long, medium, short, basic or pin.",
    ),
    row("encryptAES", TWO, encrypt, "encryptAES PASSWORD STRING", "Encrypted with AES-256-CBC, in base 64."),
    row("decryptAES", TWO, decrypt, "decryptAES PASSWORD STRING", "What encryptAES made, decrypted."),
    row("uuidv4", Signature::exact(&[]), uuid, "uuidv4", "A random UUID."),
    row(
        "randAlphaNum",
        COUNT,
        |s, a| random_text(s, &a[0], |c| c.is_ascii_alphanumeric()),
        "randAlphaNum COUNT",
        "Random letters and digits.",
    ),
    row(
        "randAlpha",
        COUNT,
        |s, a| random_text(s, &a[0], |c| c.is_ascii_alphabetic()),
        "randAlpha COUNT",
        "Random letters.",
    ),
    row(
        "randNumeric",
        COUNT,
        |s, a| random_text(s, &a[0], |c| c.is_ascii_digit()),
        "randNumeric COUNT",
        "Random digits.",
    ),
    row(
        "randAscii",
        COUNT,
        |s, a| random_text(s, &a[0], |c| (' '..='~').contains(&c)),
        "randAscii COUNT",
        "Random printable ASCII.",
    ),
    row("shuffle", ONE, shuffle, "shuffle STRING", "The characters in random order."),
    row("getHostByName", ONE, resolve, "getHostByName NAME", "An address of the host."),
    row(
        "genPrivateKey",
        ONE,
        generate,
        "genPrivateKey KIND",
        "A private key in PEM; KIND is rsa, dsa or ecdsa.",
    ),
    row(
        "genCA",
        Signature::exact(&[STR, INT]),
        authority,
        "genCA NAME DAYS",
        "A certificate authority with the members Cert and Key.",
    ),
    row(
        "genSelfSignedCert",
        Signature::exact(&[STR, LIST, LIST, INT]),
        self_signed,
        "genSelfSignedCert NAME ADDRESSES NAMES DAYS",
        "A certificate signed by itself, with the members Cert and Key.",
    ),
    row(
        "genSignedCert",
        Signature::exact(&[STR, LIST, LIST, INT, CERTIFICATE_TYPE]),
        signed,
        "genSignedCert NAME ADDRESSES NAMES DAYS CA",
        "A certificate signed by an authority, with the members Cert and Key.",
    ),
    row(
        "buildCustomCert",
        TWO,
        build,
        "buildCustomCert CERTIFICATE KEY",
        "A certificate authority from PEM texts in base 64.",
    ),
];

fn adler32(bytes: &[u8]) -> u32 {
    const MOD: u32 = 65_521;
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in bytes {
        a = (a + u32::from(byte)) % MOD;
        b = (b + a) % MOD;
    }
    b << 16 | a
}

/// A random number below `end`, without bias.
fn below(host: &dyn Host, end: usize) -> usize {
    let end = end.max(1) as u64;
    loop {
        let mut bytes = [0; 8];
        host.random(&mut bytes);
        let n = u64::from_le_bytes(bytes);
        if n < u64::MAX - u64::MAX % end {
            return (n % end) as usize;
        }
    }
}

fn random_text(scope: &mut Scope<'_>, count: &Value, accept: fn(char) -> bool) -> Result {
    let count = usize::try_from(int(count)).unwrap_or(0);
    scope.produce(count)?;
    scope.work(count as u64 / 16)?;
    let alphabet: Vec<char> = (' '..='~').filter(|&c| accept(c)).collect();
    let host = scope.host();
    Ok((0..count).map(|_| alphabet[below(host, alphabet.len())]).collect::<String>().into())
}

fn shuffle(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut runes = rune::to_vec(str(&args[0]));
    for i in (1..runes.len()).rev() {
        runes.swap(i, below(scope.host(), i + 1));
    }
    Ok(rune::from_slice(&runes).into())
}

fn uuid(scope: &mut Scope<'_>, _: &[Value]) -> Result {
    let mut bytes = [0; 16];
    scope.host().random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    Ok(parts.join("-").into())
}

fn resolve(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let addresses = scope.host().resolve(&String::from_utf8_lossy(str(&args[0])));
    if addresses.is_empty() {
        // What Go says when Sprig picks one of none.
        return Err(Fail::text("invalid argument to Intn"));
    }
    let index = below(scope.host(), addresses.len());
    Ok(addresses[index].as_str().into())
}

/// A password as a key: its first 32 bytes, or filled up with zeros.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let len = password.len().min(32);
    key[..len].copy_from_slice(&password[..len]);
    key
}

fn encrypt(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let text = str(&args[1]);
    if text.is_empty() {
        return Ok("".into());
    }
    let mut iv = [0; 16];
    scope.host().random(&mut iv);
    let cipher = cbc::Encryptor::<Aes256>::new(&aes_key(str(&args[0])).into(), &iv.into());
    let mut out = iv.to_vec();
    out.extend(cipher.encrypt_padded_vec_mut::<Pkcs7>(text));
    Ok(base64(&out).into())
}

fn decrypt(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let text = str(&args[1]);
    if text.is_empty() {
        return Ok("".into());
    }
    let data = decode64(text).map_err(|at| format!("illegal base64 data at input byte {at}"))?;
    let capacity = text.len() / 4 * 3;
    if capacity < 16 {
        return Err(Fail::text(format!(
            "runtime error: slice bounds out of range [:16] with capacity {capacity}"
        )));
    }
    let Some((iv, body)) = data.split_at_checked(16) else {
        return Err(Fail::text(format!("runtime error: slice bounds out of range [16:{}]", data.len())));
    };
    if body.len() % 16 != 0 {
        return Err(Fail::text("crypto/cipher: input not full blocks"));
    }
    let mut plain = body.to_vec();
    cbc::Decryptor::<Aes256>::new_from_slices(&aes_key(str(&args[0])), iv)
        .ok()
        .and_then(|cipher| cipher.decrypt_padded_mut::<NoPadding>(&mut plain).ok().map(drop))
        .ok_or("crypto/cipher: input not full blocks")?;
    let Some(&padding) = plain.last() else {
        return Err(Fail::text("runtime error: index out of range [-1]"));
    };
    let keep = plain.len() as i64 - i64::from(padding);
    match usize::try_from(keep) {
        Ok(keep) => Ok(plain[..keep].to_vec().into()),
        Err(_) => Err(Fail::text(format!("runtime error: slice bounds out of range [:{keep}]"))),
    }
}
