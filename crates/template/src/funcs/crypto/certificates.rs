//! X.509 certificates with RSA keys of 2048 bits and SHA-256 signatures (RFC 5280).

use super::super::Result;
use super::super::args::{int, str};
use super::super::encoding::decode64;
use super::{CERTIFICATE, der, keys};
use crate::error::Fail;
use crate::exec::Scope;
use crate::fmt::for_message;
use crate::object::Object;
use crate::value::Value;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding, Signer};
use sha1::{Digest, Sha1};
use std::any::Any;
use std::net::IpAddr;

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
struct Certificate {
    cert: String,
    key: String,
}

impl Object for Certificate {
    fn type_name(&self) -> &'static str {
        CERTIFICATE
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(self.cert.as_str().into()),
            "Key" => Some(self.key.as_str().into()),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", self.cert.as_str().into()), ("Key", self.key.as_str().into())]
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let other = other.as_any()?.downcast_ref::<Certificate>()?;
        Some(self.cert == other.cert && self.key == other.key)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

// Encoded object identifiers.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

const NULL: &[u8] = &[0x05, 0x00];
const TRUE: &[u8] = &[0x01, 0x01, 0xff];

/// What a certificate shall say.
struct Request<'v> {
    name: &'v [u8],
    addresses: Vec<IpAddr>,
    names: Vec<Vec<u8>>,
    days: i64,
    is_authority: bool,
}

/// Who signs: the encoded name, and the key.
struct Signer256<'k> {
    subject: Vec<u8>,
    key: &'k RsaPrivateKey,
}

pub(super) fn authority(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let days = int(&args[1]);
    let request =
        Request { name: str(&args[0]), addresses: Vec::new(), names: Vec::new(), days, is_authority: true };
    issue(scope, &request, None)
}

pub(super) fn self_signed(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    issue(scope, &request(args)?, None)
}

pub(super) fn signed(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let ca = match &args[4] {
        Value::Object(object) => object.as_any().and_then(|any| any.downcast_ref::<Certificate>()),
        _ => None,
    };
    let ca = ca.ok_or("unable to decode certificate")?;
    let der = der::unpem(ca.cert.as_bytes()).ok_or("unable to decode certificate")?;
    let subject = subject_of(&der)
        .ok_or("error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate")?;
    let der = der::unpem(ca.key.as_bytes()).ok_or("unable to decode key")?;
    let key = RsaPrivateKey::from_pkcs1_der(&der)
        .map_err(|error| format!("error parsing prive key: decodedSignerKey.Bytes: {error}"))?;
    issue(scope, &request(args)?, Some(&Signer256 { subject: subject.to_vec(), key: &key }))
}

fn request(args: &[Value]) -> std::result::Result<Request<'_>, Fail> {
    let items = |value: &Value| match value {
        Value::List(list) => list.to_vec(),
        _ => Vec::new(),
    };
    let mut addresses = Vec::new();
    for item in items(&args[1]) {
        let Value::Str(text) = &item else {
            return Err(Fail::text(format!("error parsing ip: {} is not a string", for_message(&item, 'v'))));
        };
        let address = text.as_text().and_then(|text| text.parse().ok());
        addresses.push(address.ok_or_else(|| format!("error parsing ip: {text}"))?);
    }
    let mut names = Vec::new();
    for item in items(&args[2]) {
        let Value::Str(text) = &item else {
            let shown = for_message(&item, 'v');
            return Err(Fail::text(format!("error processing alternate dns name: {shown} is not a string")));
        };
        names.push(text.to_vec());
    }
    Ok(Request { name: str(&args[0]), addresses, names, days: int(&args[3]), is_authority: false })
}

fn issue(scope: &mut Scope<'_>, request: &Request<'_>, signer: Option<&Signer256<'_>>) -> Result {
    let key = keys::rsa(scope, 2048)?;
    let own = Signer256 { subject: common_name(request.name), key: &key };
    let cert = certificate(scope, request, &own, signer.unwrap_or(&own))?;
    Ok(Value::object(Certificate { cert: der::pem("CERTIFICATE", &cert), key: keys::rsa_pem(&key)? }))
}

fn common_name(name: &[u8]) -> Vec<u8> {
    let attribute = der::sequence(&[&der::oid(COMMON_NAME), &der::tagged(0x0c, name)]);
    der::sequence(&[&der::tagged(0x31, &attribute)])
}

fn certificate(
    scope: &mut Scope<'_>,
    request: &Request<'_>,
    subject: &Signer256<'_>,
    issuer: &Signer256<'_>,
) -> std::result::Result<Vec<u8>, Fail> {
    let mut serial = [0; 16];
    scope.host().random(&mut serial);
    let now = i64::try_from(scope.host().now().as_secs()).unwrap_or(0);
    let until = now.saturating_add(request.days.saturating_mul(86_400));
    let public = subject
        .key
        .to_public_key()
        .to_pkcs1_der()
        .map_err(|error| Fail::text(format!("error creating certificate: {error}")))?;
    let algorithm = der::sequence(&[&der::oid(SHA256_WITH_RSA), NULL]);
    let body = der::sequence(&[
        &der::tagged(0xa0, &der::integer(&[2])),
        &der::integer(&serial),
        &algorithm,
        &issuer.subject,
        &der::sequence(&[&time(now), &time(until)]),
        &subject.subject,
        &der::sequence(&[
            &der::sequence(&[&der::oid(RSA_ENCRYPTION), NULL]),
            &der::bit_string(public.as_bytes()),
        ]),
        &der::tagged(0xa3, &der::sequence(&[&extensions(request, public.as_bytes())])),
    ]);
    let signature = SigningKey::<sha2::Sha256>::new(issuer.key.clone())
        .try_sign(&body)
        .map_err(|error| Fail::text(format!("error creating certificate: {error}")))?;
    Ok(der::sequence(&[&body, &algorithm, &der::bit_string(&signature.to_vec())]))
}

/// UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5).
fn time(seconds: i64) -> Vec<u8> {
    let shown = |layout| super::super::time::format_utc(seconds, layout);
    let general = shown("20060102150405Z");
    if general.as_str() < "2050" && general.len() == 15 {
        return der::tagged(0x17, shown("060102150405Z").as_bytes());
    }
    der::tagged(0x18, general.as_bytes())
}

fn extensions(request: &Request<'_>, public: &[u8]) -> Vec<u8> {
    let critical = |oid, value: &[u8]| der::sequence(&[&der::oid(oid), TRUE, &der::octet_string(value)]);
    let plain = |oid, value: &[u8]| der::sequence(&[&der::oid(oid), &der::octet_string(value)]);
    // digitalSignature and keyEncipherment; an authority may sign certificates as well.
    let usage: &[u8] =
        if request.is_authority { &[0x03, 0x02, 0x02, 0xa4] } else { &[0x03, 0x02, 0x05, 0xa0] };
    let purposes = der::sequence(&[&der::oid(SERVER_AUTH), &der::oid(CLIENT_AUTH)]);
    let constraints = if request.is_authority { der::sequence(&[TRUE]) } else { der::sequence(&[]) };
    let mut out = [
        critical(KEY_USAGE, usage),
        plain(EXT_KEY_USAGE, &purposes),
        critical(BASIC_CONSTRAINTS, &constraints),
    ]
    .concat();
    if request.is_authority {
        out.extend(plain(SUBJECT_KEY_ID, &der::octet_string(&Sha1::digest(public))));
    }
    let mut names: Vec<u8> = request.names.iter().flat_map(|name| der::tagged(0x82, name)).collect();
    for address in &request.addresses {
        names.extend(match address {
            IpAddr::V4(v4) => der::tagged(0x87, &v4.octets()),
            IpAddr::V6(v6) => der::tagged(0x87, &v6.octets()),
        });
    }
    if !names.is_empty() {
        out.extend(plain(ALT_NAME, &der::sequence(&[&names])));
    }
    out
}

/// The encoded subject of a certificate.
fn subject_of(certificate: &[u8]) -> Option<&[u8]> {
    let outer = der::read(certificate).filter(|item| item.tag == der::SEQUENCE)?;
    let body = der::read(outer.content).filter(|item| item.tag == der::SEQUENCE)?;
    let mut item = der::read(body.content)?;
    if item.tag == 0xa0 {
        item = der::read(item.rest)?;
    }
    // Serial number, algorithm, issuer and validity come before the subject.
    for _ in 0..4 {
        item = der::read(item.rest)?;
    }
    (item.tag == der::SEQUENCE).then_some(item.whole)
}

pub(super) fn build(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let cert = decode64(str(&args[0])).map_err(|_| "unable to decode base64 certificate")?;
    let key = decode64(str(&args[1])).map_err(|_| "unable to decode base64 private key")?;
    let der = der::unpem(&cert).ok_or("unable to decode certificate")?;
    subject_of(&der).ok_or("error parsing certificate: decodedCert.Bytes: x509: malformed certificate")?;
    let der = der::unpem(&key).ok_or("unable to decode key")?;
    RsaPrivateKey::from_pkcs1_der(&der)
        .map_err(|error| format!("error parsing prive key: decodedKey.Bytes: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Value::object(Certificate { cert: text(&cert), key: text(&key) }))
}
