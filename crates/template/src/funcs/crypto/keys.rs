//! Private keys in PEM.

use super::super::Result;
use super::super::args::str;
use super::der;
use crate::error::Fail;
use crate::exec::Scope;
use crate::host::Host;
use crate::value::Value;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;

/// Steps that a key of 2048 bits counts as.
const WORK: u64 = 1_500_000;

/// The host's randomness for the crates that take a generator.
pub(super) struct HostRandom<'h>(pub(super) &'h dyn Host);

impl rand_core::RngCore for HostRandom<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.random(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.random(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), rand_core::Error> {
        self.0.random(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for HostRandom<'_> {}

/// A new RSA key.
pub(super) fn rsa(scope: &mut Scope<'_>, bits: usize) -> std::result::Result<RsaPrivateKey, Fail> {
    scope.work(WORK * if bits > 2048 { 4 } else { 1 })?;
    RsaPrivateKey::new(&mut HostRandom(scope.host()), bits)
        .map_err(|error| Fail::text(format!("error generating rsa key: {error}")))
}

/// An RSA key in the form of PKCS #1.
pub(super) fn rsa_pem(key: &RsaPrivateKey) -> std::result::Result<String, Fail> {
    let encoded =
        key.to_pkcs1_der().map_err(|error| Fail::text(format!("error pem-encoding key: {error}")))?;
    Ok(der::pem("RSA PRIVATE KEY", encoded.as_bytes()))
}

pub(super) fn generate(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    match str(&args[0]) {
        b"" | b"rsa" => {
            let key = rsa(scope, 4096)?;
            Ok(rsa_pem(&key)?.into())
        }
        b"dsa" => dsa(scope),
        b"ecdsa" => {
            scope.work(WORK / 100)?;
            let key = p256::SecretKey::random(&mut HostRandom(scope.host()));
            let encoded = key.to_sec1_der().map_err(|error| Fail::text(error.to_string()))?;
            Ok(der::pem("EC PRIVATE KEY", &encoded).into())
        }
        other => Ok(format!("Unknown type {}", String::from_utf8_lossy(other)).into()),
    }
}

fn dsa(scope: &mut Scope<'_>) -> Result {
    use dsa::{Components, KeySize, SigningKey};
    scope.work(WORK * 4)?;
    let mut random = HostRandom(scope.host());
    let components = Components::generate(&mut random, KeySize::DSA_2048_256);
    let key = SigningKey::generate(&mut random, components);
    let public = key.verifying_key();
    let parts = public.components();
    let number = |n: &dsa::BigUint| der::integer(&n.to_bytes_be());
    let encoded = der::sequence(&[
        &der::integer(&[0]),
        &number(parts.p()),
        &number(parts.q()),
        &number(parts.g()),
        &number(public.y()),
        &number(key.x()),
    ]);
    Ok(der::pem("DSA PRIVATE KEY", &encoded).into())
}
