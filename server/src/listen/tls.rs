//! TLS for PostgreSQL clients: the server's certificate, and what became of a handshake.
//!
//! TLS 1.2 and 1.3, by rustls. A client that asks with `SSLRequest` may offer ALPN or not; one that begins with TLS right
//! away must offer `postgresql`, lest another protocol's client be made to talk to the server.
//!
//! Source: PostgreSQL manual, `protocol-flow` §55.2.10, `ssl-tcp`, and of version 17 `libpq-connect-sslnegotiation`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite,
};
use x509_certificate::rfc3280::{AttributeTypeAndValue, Name};
use x509_certificate::{CapturedX509Certificate, X509Certificate};

use crate::registry::{ClientCertificate, TlsFacts};

/// The protocol's name in ALPN.
const ALPN: &[u8] = b"postgresql";

/// The files that TLS is set up from, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// The authorities whose client certificates count, if any.
    pub client_authority: Option<PathBuf>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM with what is looked for in it.
    #[error("could not read \"{}\"", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in a file of certificates.
    #[error("\"{}\" holds no certificate", .0.display())]
    Empty(PathBuf),
    /// Others than its owner may read the private key.
    #[error("private key file \"{}\" has group or world access: make it readable by its owner alone", .0.display())]
    OpenKey(PathBuf),
    /// Key and certificate do not fit, or are of a kind that is not known.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
    /// The authorities of clients cannot be used.
    #[error("the authorities of client certificates cannot be used")]
    Authority(#[from] VerifierBuilderError),
}

/// TLS as it is offered to clients.
pub struct Tls {
    config: Arc<ServerConfig>,
    certificate_pem: String,
}

impl Tls {
    /// Sets TLS up.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        refuse_open_key(&files.key)?;
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|source| TlsError::File { path: files.key.clone(), source })?;
        let certificate_pem = chain.first().map(|leaf| to_pem(leaf)).unwrap_or_default();
        let builder =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?;
        let builder = match &files.client_authority {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                // Whether a certificate is needed is for authentication to say, in PostgreSQL's words.
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config), certificate_pem })
    }

    /// The server's own certificate, in PEM, which SCRAM binds a channel to.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The server's end of a new connection.
    ///
    /// # Errors
    /// What rustls says of the configuration.
    pub(super) fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |source| TlsError::File { path: path.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fail)?.collect();
    let found = found.map_err(fail)?;
    if found.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(found) }
}

fn to_pem(certificate: &CertificateDer<'_>) -> String {
    let parsed = CapturedX509Certificate::from_der(certificate.to_vec());
    parsed.map(|certificate| certificate.encode_pem()).unwrap_or_default()
}

/// As PostgreSQL: the key is its owner's alone; one of the superuser's may be shared with a group.
fn refuse_open_key(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)
        .map_err(|error| TlsError::File { path: path.to_owned(), source: pem::Error::Io(error) })?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden == 0 { Ok(()) } else { Err(TlsError::OpenKey(path.to_owned())) }
}

/// What a connection's handshake agreed on.
pub(super) fn facts(connection: &ServerConnection) -> TlsFacts {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "unknown",
    };
    let (cipher, bits) =
        connection.negotiated_cipher_suite().map_or((String::new(), 0), cipher_name);
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    TlsFacts { version, cipher, bits, client: leaf.and_then(client_certificate) }
}

/// Whether the client named the protocol in ALPN.
pub(super) fn named_protocol(connection: &ServerConnection) -> bool {
    connection.alpn_protocol() == Some(ALPN)
}

/// OpenSSL's name of a suite, and the bits of its key.
fn cipher_name(suite: SupportedCipherSuite) -> (String, u16) {
    let name = format!("{:?}", suite.suite());
    let bits = if name.contains("AES_128") { 128 } else { 256 };
    let name = match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 is ECDHE-RSA-AES256-GCM-SHA384.
        None => name
            .trim_start_matches("TLS_")
            .replace("_WITH_", "_")
            .replace("AES_", "AES")
            .replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
            .replace('_', "-"),
    };
    (name, bits)
}

fn client_certificate(certificate: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let certificate = X509Certificate::from_der(certificate).ok()?;
    Some(ClientCertificate {
        common_name: certificate.subject_common_name(),
        subject: one_line(certificate.subject_name()),
        issuer: one_line(certificate.issuer_name()),
        serial: decimal(certificate.serial_number_asn1().clone().into_bytes().as_ref()),
    })
}

/// A name in OpenSSL's one-line form, as far as its parts are usual ones.
fn one_line(name: &Name) -> String {
    let parts = [
        ("C", name.iter_country().next()),
        ("ST", name.iter_state_province().next()),
        ("L", name.iter_locality().next()),
        ("O", name.iter_organization().next()),
        ("OU", name.iter_organizational_unit().next()),
        ("CN", name.iter_common_name().next()),
    ];
    let part = |(key, value): (&str, Option<&AttributeTypeAndValue>)| {
        value.and_then(|value| value.to_string().ok()).map(|value| format!("/{key}={value}"))
    };
    parts.into_iter().filter_map(part).collect()
}

/// A big-endian number in decimal.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap_or(0);
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_decimal() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 255]), "255");
        assert_eq!(decimal(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), "18446744073709551616");
    }
}
