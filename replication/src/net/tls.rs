//! TLS of the links between nodes.
//!
//! Every link is encrypted. The certificate is self-signed and made anew at every start, and neither side checks the
//! other's: who may join is decided by the cluster id alone, which is why the server only listens on loopback until
//! peers are authenticated. [`AcceptAnyPeer`] is the one place where that check goes.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::NetError;

/// Name in the certificate and in the client's hello; carries no meaning.
pub(super) const SERVER_NAME: &str = "trellis";

/// Application protocol of the links; its number changes when a link could no longer even exchange a `Hello`.
const ALPN: &[u8] = b"trellis/1";

/// The two halves of an endpoint's TLS set-up.
pub(super) struct TlsConfigs {
    /// For connections accepted.
    pub(super) server: QuicServerConfig,
    /// For connections made.
    pub(super) client: QuicClientConfig,
}

/// Makes a fresh certificate and the set-up that uses it.
pub(super) fn tls_configs() -> Result<TlsConfigs, NetError> {
    let made = rcgen::generate_simple_self_signed(vec![SERVER_NAME.to_owned()])
        .map_err(|error| NetError::Tls(error.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = |error: rustls::Error| NetError::Tls(error.to_string());

    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(tls)?;
    server.alpn_protocols = vec![ALPN.to_vec()];

    let mut client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAnyPeer(provider)))
        .with_no_client_auth();
    client.alpn_protocols = vec![ALPN.to_vec()];

    let suite =
        |error: quinn::crypto::rustls::NoInitialCipherSuite| NetError::Tls(error.to_string());
    Ok(TlsConfigs {
        server: QuicServerConfig::try_from(server).map_err(suite)?,
        client: QuicClientConfig::try_from(client).map_err(suite)?,
    })
}

/// Accepts whatever certificate a peer shows, once its signature proves possession of the key.
#[derive(Debug)]
struct AcceptAnyPeer(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyPeer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
