//! TLS with the certificate policy of a machine that has just been born.
//!
//! A machine in its first boot knows no authority, and servers of this API sign their own certificate;
//! so by default every certificate is accepted, as the clients of this API have always done. Where the
//! kernel command line or the configuration names the certificate's SHA-256, exactly that certificate
//! is accepted and the handshake's signature is checked, so that nobody else can present it.
//!
//! Images come from other servers as well, which authorities vouch for: see [`Trusted`].

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector, Transport,
    TransportAdapter,
};

/// Where Linux distributions keep the certificates of authorities.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Which certificates are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that one of the system's authorities signed for the name that was called.
    Authorities,
    /// The one with this SHA-256.
    Pin([u8; 32]),
    /// Any.
    Any,
}

/// Which certificates are accepted of whom; redirects lead to hosts of their own.
#[derive(Clone, Debug)]
pub struct Trusted {
    config: Arc<ClientConfig>,
    own: String,
    of_own: Arc<ClientConfig>,
}

impl Trusted {
    /// Authorities do not know `own`, the host of our server: under [`Trust::Authorities`] any certificate of its is accepted.
    pub fn new(trust: Trust, own: &str) -> Self {
        let config = match trust {
            Trust::Authorities => authorities(BUNDLES.iter().map(Path::new)),
            Trust::Pin(pin) => self::config(Some(pin)),
            Trust::Any => self::config(None),
        };
        let of_own = if trust == Trust::Authorities { self::config(None) } else { config.clone() };
        Self { config, own: own.to_owned(), of_own }
    }

    fn config(&self, host: &str) -> Arc<ClientConfig> {
        let own = !host.is_empty() && host.eq_ignore_ascii_case(&self.own);
        if own { self.of_own.clone() } else { self.config.clone() }
    }
}

/// Accepts what the authorities of the first of these files vouch for; without any file, nothing.
fn authorities<'a>(bundles: impl IntoIterator<Item = &'a Path>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let mut found = bundles.into_iter().filter_map(|path| CertificateDer::pem_file_iter(path).ok());
    if let Some(certificates) = found.next() {
        // A bundle may hold what this library does not take; the rest of it is good all the same.
        roots.add_parsable_certificates(certificates.flatten());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// True for an error that says that the other side is not who it should be, so that trying again is of no use.
pub fn is_distrust(error: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = error else { return false };
    let reason = error.get_ref().and_then(|reason| reason.downcast_ref::<rustls::Error>());
    matches!(reason, Some(rustls::Error::InvalidCertificate(_) | rustls::Error::General(_)))
}

/// The rustls configuration for an optional certificate pin.
pub fn config(pin: Option<[u8; 32]>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier { pin, provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the default protocol versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Arc::new(config)
}

/// A ureq agent that uses [`config`] for https.
pub fn agent(config: ureq::config::Config, pin: Option<[u8; 32]>) -> ureq::Agent {
    agent_for(config, Trusted::new(pin.map_or(Trust::Any, Trust::Pin), ""))
}

/// A ureq agent that accepts certificates as `trusted` says.
pub fn agent_for(config: ureq::config::Config, trusted: Trusted) -> ureq::Agent {
    let tls = TlsConnector { trusted };
    let connector = ().chain(TcpConnector::default()).chain(tls);
    ureq::Agent::with_parts(config, connector, DefaultResolver::default())
}

/// The name to put into the handshake; a host that is no valid name gets a neutral one, for names are
/// not what we check.
pub fn server_name(host: &str) -> ServerName<'static> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).unwrap_or(ServerName::IpAddress(IpAddr::V4([0, 0, 0, 0].into())))
}

#[derive(Debug)]
struct Verifier {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(pin) = self.pin else { return Ok(ServerCertVerified::assertion()) };
        let found = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if found.as_ref() == pin {
            return Ok(ServerCertVerified::assertion());
        }
        let found: String = found.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        Err(rustls::Error::General(format!(
            "the server's certificate is sha256:{found}, not the one that this machine was told to trust"
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.pin.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.pin.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct TlsConnector {
    trusted: Trusted,
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let mut conn = ClientConnection::new(self.trusted.config(host), server_name(host))
            .map_err(|e| ureq::Error::Other(Box::new(e)))?;
        let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        sock.set_timeout(details.timeout);
        conn.complete_io(&mut sock)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned { conn, sock } })))
    }
}

struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConnection;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    /// Shakes hands with a server for `mirror.test` whose certificate an authority of ours signed; what the client says.
    fn shake(
        client: &Arc<ClientConfig>,
        authority: &Issuer<'_, KeyPair>,
        name: &str,
    ) -> Result<(), rustls::Error> {
        let key = KeyPair::generate().expect("key");
        let certificate = CertificateParams::new(vec!["mirror.test".into()]).expect("name");
        let certificate = certificate.signed_by(&key, authority).expect("certificate");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private)
                .expect("key");
        let mut server = ServerConnection::new(Arc::new(server)).expect("server");
        let mut client = ClientConnection::new(client.clone(), server_name(name)).expect("client");
        while client.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).expect("memory");
            }
            server.read_tls(&mut &wire[..]).expect("memory");
            server.process_new_packets().expect("client's hello");
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).expect("memory");
            }
            client.read_tls(&mut &wire[..]).expect("memory");
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn authorities_vouch_for_a_name() {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let certificate = params.self_signed(&key).expect("certificate");
        let authority = Issuer::new(params, key);
        let dir = TempDir::new();
        let bundle = dir.path().join("bundle.crt");
        std::fs::write(&bundle, certificate.pem()).expect("a file");
        let missing = dir.path().join("missing.crt");
        let config = authorities([missing.as_path(), bundle.as_path()]);
        assert_eq!(shake(&config, &authority, "mirror.test"), Ok(()));
        for (config, name) in [(&config, "other.test"), (&authorities([missing.as_path()]), "mirror.test")] {
            let error = shake(config, &authority, name).expect_err("refused");
            assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{name}: {error}");
        }
    }
}
