//! Whom TLS takes for the other side: by a chain of certificates and the name, or by a pinned key.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::ssl::{ConnectConfiguration, Ssl, SslConnector, SslConnectorBuilder, SslRef, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use shared_claims::clock::Clock;
use shared_claims::secret::Digest;

/// Where chains of certificates may end. Any certificate given here ends one, also one that is not its own issuer.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// At the system's certificates and these.
    Besides(Vec<X509>),
    /// At these alone.
    Only(Vec<X509>),
}

/// What the other side has to show besides a chain, or instead of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// Each the SHA-256 of a SubjectPublicKeyInfo (RFC 7469, section 2.4); any one of them will do.
    pub(super) keys: Arc<[Digest]>,
    /// The keys are all there is to go by: neither chain nor name counts.
    pub(super) keys_alone: bool,
    /// Asked for, and looked for in the certificate, instead of the host that is connected to.
    pub(super) server_name: Option<Arc<str>>,
    /// Only HTTP/2 will do.
    pub(super) http2: bool,
}

impl Expected {
    pub(super) fn ssl(&self, tls: &SslConnector, verify: bool, host: &str) -> Result<Ssl, ErrorStack> {
        let by_chain = verify && !self.keys_alone;
        let mut tls: ConnectConfiguration = tls.configure()?.verify_hostname(by_chain);
        if !by_chain {
            tls.set_verify(SslVerifyMode::NONE);
        }
        if self.http2 {
            tls.set_alpn_protos(b"\x02h2")?;
        }
        tls.into_ssl(self.server_name.as_deref().unwrap_or(host))
    }

    /// Judges what the handshake does not; nothing has been sent yet.
    pub(super) fn check(&self, ssl: &SslRef) -> Result<(), String> {
        if self.http2 && ssl.selected_alpn_protocol() != Some(b"h2") {
            return Err("HTTP/2 is not offered".to_owned());
        }
        if self.keys.is_empty() {
            return Ok(());
        }
        let leaf = ssl.peer_certificate().ok_or("no certificate is shown")?;
        let key = public_key_digest(&leaf).map_err(|why| why.to_string())?;
        if !self.keys.contains(&key) {
            return Err(format!("the key is none of those that are pinned; its SHA-256 is {}", key.hex()));
        }
        let holds = holds_now(&leaf).map_err(|why| why.to_string())?;
        if holds {
            Ok(())
        } else {
            Err("the certificate is refused: it has expired, or is not valid yet".to_owned())
        }
    }
}

/// The SHA-256 of a certificate's SubjectPublicKeyInfo in DER.
///
/// # Errors
/// OpenSSL cannot read the key.
pub fn public_key_digest(certificate: &X509) -> Result<Digest, ErrorStack> {
    Ok(Digest::of(&certificate.public_key()?.public_key_to_der()?))
}

fn holds_now(certificate: &X509) -> Result<bool, ErrorStack> {
    let now = Asn1Time::from_unix(Clock::System.now().0)?;
    Ok(certificate.not_before() <= now && certificate.not_after() >= now)
}

pub(super) fn trust(builder: &mut SslConnectorBuilder, trusted: Option<Trusted>) -> Result<(), ErrorStack> {
    let besides = match trusted {
        Some(Trusted::Only(only)) => {
            let mut store = X509StoreBuilder::new()?;
            for certificate in only {
                store.add_cert(certificate)?;
            }
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
            builder.set_cert_store(store.build());
            return Ok(());
        }
        Some(Trusted::Besides(besides)) => besides,
        None => Vec::new(),
    };
    if let Some(bundle) = *SYSTEM_BUNDLE {
        builder.set_ca_file(bundle)?;
    }
    if besides.is_empty() {
        return Ok(());
    }
    let store = builder.cert_store_mut();
    for certificate in besides {
        store.add_cert(certificate)?;
    }
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)
}

/// Reads a file of PEM certificates.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn read_certificates(path: &Path) -> Result<Vec<X509>, String> {
    let text = std::fs::read(path).map_err(|why| {
        format!("cannot read its file {} ({why}); correct the path or its permissions", path.display())
    })?;
    match X509::stack_from_pem(&text) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!(
            "its file {} holds no PEM certificates; write them from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
            path.display()
        )),
    }
}

/// Where the distributions keep the certificates they trust. The bundled OpenSSL was built elsewhere and
/// knows none of these; a system's OpenSSL knows its own already, and reading it twice does no harm.
static SYSTEM_BUNDLE: LazyLock<Option<&'static str>> = LazyLock::new(|| {
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
        .into_iter()
        .find(|bundle| Path::new(bundle).is_file())
});
