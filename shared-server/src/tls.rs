//! The certificate that a listener shows: the operator's files, re-read when they change, or one of our own
//! making.

mod own;
#[cfg(test)]
mod tests;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use log::{error, info};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, SniError, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod, SslVersion,
    select_next_proto,
};
use openssl::x509::X509;
use shared_claims::clock::UnixTime;

use own::own_pair;

use crate::sealing::{MasterKey, SealingError};

/// The operator's certificate chain and key, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// What a listener shows to those who connect; hand out as many acceptors of it as there are listeners.
pub struct Tls {
    files: Option<TlsFiles>,
    served: Arc<ArcSwap<Served>>,
    /// The state of the files that `served` was read from.
    seen: Mutex<Option<Stamp>>,
    /// Where a connection remembers what its listener negotiates.
    alpn: Index<Ssl, &'static [u8]>,
}

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the operator's cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the operator's holds something else.
    #[error("{path} does not hold {expected} as PEM", path = .path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The operator's two files do not belong together.
    #[error("the key in {key} is not that of the certificate in {certificate}",
        key = .0.key.display(), certificate = .0.certificate.display())]
    Mismatch(TlsFiles),
    /// A host for the own certificate is neither a name nor an address.
    #[error(
        "{0:?} is neither a host name nor an IP address; write names of other scripts in their xn-- form"
    )]
    Host(String),
    /// The own key cannot be kept.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// OpenSSL refused.
    #[error("OpenSSL refused: {0}")]
    OpenSsl(#[from] ErrorStack),
}

impl Tls {
    /// Reads the operator's files where given; else reads or makes a self-signed certificate in the data
    /// directory, valid for this machine's own names and `hosts`.
    ///
    /// # Errors
    /// The files are unusable, a host is no host, or the own certificate cannot be made or kept.
    pub fn open(
        data_dir: &Path,
        master: &MasterKey,
        files: Option<TlsFiles>,
        hosts: &[String],
        now: UnixTime,
    ) -> Result<Arc<Self>, TlsError> {
        let alpn = Ssl::new_ex_index()?;
        // The stamp before the content: a change in between is then seen as one.
        let seen = files.as_ref().map(Stamp::of).transpose()?;
        let pair = match &files {
            Some(files) => Pair::read(files)?,
            None => own_pair(data_dir, master, hosts, now)?,
        };
        let served = Arc::new(ArcSwap::from_pointee(Served::new(pair, alpn)?));
        Ok(Arc::new(Self { files, served, seen: Mutex::new(seen), alpn }))
    }

    /// An acceptor for one listener that negotiates `alpn` (wire form, such as `b"\x02h2\x08http/1.1"`) and
    /// shows to each new connection what is then the current certificate.
    ///
    /// # Errors
    /// OpenSSL refused.
    pub fn acceptor_builder(&self, alpn: &'static [u8]) -> Result<SslAcceptorBuilder, TlsError> {
        let mut builder = self.served.load().pair.builder()?;
        let (served, index) = (Arc::clone(&self.served), self.alpn);
        // OpenSSL asks this of every connection, whether or not it names a server.
        builder.set_servername_callback(move |ssl, _alert| {
            ssl.set_ex_data(index, alpn);
            ssl.set_ssl_context(&served.load().context).map_err(|_| SniError::ALERT_FATAL)
        });
        Ok(builder)
    }

    /// The certificate now shown, with its intermediates, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.served.load().pem.clone()
    }

    /// Re-reads the operator's files where they changed; says whether another certificate is shown from now
    /// on.
    ///
    /// # Errors
    /// The files changed and are unusable. The old certificate stays, and the next call tries again.
    pub fn reload_when_changed(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.files else { return Ok(false) };
        let stamp = Some(Stamp::of(files)?);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == stamp {
            return Ok(false);
        }
        self.served.store(Arc::new(Served::new(Pair::read(files)?, self.alpn)?));
        *seen = stamp;
        Ok(true)
    }

    /// Looks at the operator's files each second, for as long as this is in use. Needs a tokio runtime.
    pub fn spawn_reload(self: &Arc<Self>) {
        if self.files.is_none() {
            return;
        }
        let tls = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut told = String::new();
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let Some(tls) = tls.upgrade() else { return };
                let looked = tokio::task::spawn_blocking(move || tls.reload_when_changed()).await;
                match looked {
                    Ok(Ok(true)) => {
                        info!("the TLS certificate changed; new connections are shown the new one")
                    }
                    // Told once, not each second until somebody corrects the file.
                    Ok(Err(why)) if why.to_string() != told => {
                        error!("the TLS certificate stays as it was: {why}");
                        told = why.to_string();
                        continue;
                    }
                    Ok(Err(_)) => continue,
                    Ok(Ok(false)) | Err(_) => {}
                }
                told.clear();
            }
        });
    }
}

/// What one connection is shown; replaced as a whole.
struct Served {
    pair: Pair,
    context: SslContext,
    pem: String,
}

impl Served {
    fn new(pair: Pair, alpn: Index<Ssl, &'static [u8]>) -> Result<Self, TlsError> {
        let mut builder = pair.builder()?;
        // OpenSSL asks the context that was swapped in, which all listeners share; hence the note on the
        // connection.
        builder.set_alpn_select_callback(move |ssl, offered| {
            ssl.ex_data(alpn).and_then(|ours| select_next_proto(ours, offered)).ok_or(AlpnError::NOACK)
        });
        let pem = pair
            .chain
            .iter()
            .map(|certificate| certificate.to_pem())
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let pem = String::from_utf8_lossy(&pem).into_owned();
        Ok(Self { context: builder.build().into_context(), pem, pair })
    }
}

/// A certificate with its intermediates, and its key.
struct Pair {
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Pair {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        let not_pem = |path: &Path, expected| TlsError::NotPem { path: path.to_owned(), expected };

        let chain = X509::stack_from_pem(&read(&files.certificate)?).unwrap_or_default();
        let key = zeroize::Zeroizing::new(read(&files.key)?);
        // The callback keeps OpenSSL from asking the terminal for the password of an encrypted key.
        let key = PKey::private_key_from_pem_callback(&key, |_| Ok(0))
            .map_err(|_| not_pem(&files.key, "a private key without a password"))?;
        let leaf = chain.first().ok_or_else(|| not_pem(&files.certificate, "a certificate"))?;
        if !leaf.public_key()?.public_eq(&key) {
            return Err(TlsError::Mismatch(files.clone()));
        }
        Ok(Self { chain, key })
    }

    fn builder(&self) -> Result<SslAcceptorBuilder, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        // The same in every context, so that a session outlives a change of the certificate.
        builder.set_session_id_context(b"countersign")?;
        // A record's head and body, and whatever else is there, by one call of the system instead of two.
        builder.set_read_ahead(true);
        let (leaf, intermediates) =
            self.chain.split_first().map_or((None, &[][..]), |(leaf, rest)| (Some(leaf), rest));
        if let Some(leaf) = leaf {
            builder.set_certificate(leaf)?;
        }
        builder.set_private_key(&self.key)?;
        for certificate in intermediates {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
        Ok(builder)
    }
}

/// What tells a changed file from an unchanged one: modification time, length, and which file it is.
#[derive(PartialEq, Eq)]
struct Stamp([(i64, i64, u64, u64); 2]);

impl Stamp {
    fn of(files: &TlsFiles) -> Result<Self, TlsError> {
        let one = |path: &Path| match std::fs::metadata(path) {
            Ok(meta) => Ok((meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino())),
            Err(source) => Err(TlsError::Read { path: path.to_owned(), source }),
        };
        Ok(Self([one(&files.certificate)?, one(&files.key)?]))
    }
}
