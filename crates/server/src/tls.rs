//! Certificates and the TLS set-up: the one place that names the crypto provider.
//!
//! At the first start a self-signed certificate is made and kept; clients of this API do not verify it, and may pin it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Curve, Pair};

/// A year and a bit more than ten: nobody verifies these certificates, and an expired one only frightens.
const VALID_YEARS: i32 = 10;

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A PEM file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A fresh certificate could not be kept.
    #[error("cannot write {file}")]
    Write {
        /// Which file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// Certificate and key do not fit, or are of a sort that is not supported.
    #[error("cannot use the certificate {file}")]
    Use {
        /// Which file.
        file: String,
        /// Why.
        source: rustls::Error,
    },
}

/// The crypto provider of everything in this program.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads the pair, making it first when neither file is there.
///
/// # Errors
/// See [`Error`]; one file without the other is an error, too.
pub fn server_config(pair: &Pair, curve: Curve, names: Vec<String>) -> Result<Arc<ServerConfig>, Error> {
    if !pair.cert.exists() && !pair.key.exists() {
        make(pair, curve, names)?;
    }
    let read = |file: &Path, reason: rustls::pki_types::pem::Error| Error::Read {
        file: file.display().to_string(),
        reason: reason.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&pair.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|reason| read(&pair.cert, reason))?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(|reason| read(&pair.key, reason))?;
    let unusable = |source| Error::Use { file: pair.cert.display().to_string(), source };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn make(pair: &Pair, curve: Curve, names: Vec<String>) -> Result<(), Error> {
    let algorithm = match curve {
        Curve::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        Curve::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
    };
    let key = KeyPair::generate_for(algorithm)?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Gantry");
    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    params.not_before = rcgen::date_time_ymd(i32::from(year) - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(i32::from(year) + VALID_YEARS, 1, 1);
    let cert = params.self_signed(&key)?;
    write_private(&pair.key, &key.serialize_pem())?;
    write_private(&pair.cert, &cert.pem())
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(file: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let part = file.with_extension("part");
        let mut open =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(part, file)
    };
    write().map_err(|source| Error::Write { file: file.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair { cert: folder.path().join("a/c.crt"), key: folder.path().join("a/c.key") };
        server_config(&pair, Curve::P256, vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let first = fs::read(&pair.cert).unwrap();
        server_config(&pair, Curve::P384, vec!["other".into()]).unwrap();
        assert_eq!(fs::read(&pair.cert).unwrap(), first);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&pair.key).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn half_a_pair_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair { cert: folder.path().join("c.crt"), key: folder.path().join("c.key") };
        fs::write(&pair.key, "junk").unwrap();
        let error = server_config(&pair, Curve::P256, Vec::new()).unwrap_err();
        assert!(error.to_string().contains("c.crt"), "{error}");
    }
}
