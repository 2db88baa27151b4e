//! The certificate that a listener shows: the operator's files, re-read when they change, or one of our own
//! making.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use log::{error, info, warn};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, SniError, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod, SslVersion,
    select_next_proto,
};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use shared_claims::clock::UnixTime;

use crate::sealing::{MasterKey, SealingError, private_dir, write_private};

const DAY: i64 = 24 * 60 * 60;
/// What browsers accept of a certificate that a user trusts by hand.
const LIFETIME: i64 = 825 * DAY;
/// Own certificates are re-made when they have no more than this left.
const RENEWAL: i64 = 7 * DAY;
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The purpose for which the own key is sealed.
const CONTEXT: &str = "the key of the self-signed TLS certificate";

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

/// The self-signed certificate of the data directory, made where there is none that will do.
fn own_pair(data_dir: &Path, master: &MasterKey, hosts: &[String], now: UnixTime) -> Result<Pair, TlsError> {
    let hosts: Vec<Host> = OWN_HOSTS
        .into_iter()
        .chain(hosts.iter().map(String::as_str))
        .map(Host::parse)
        .collect::<Result<_, _>>()?;
    let (certificate_path, key_path) = (data_dir.join("tls.crt"), data_dir.join("tls.key.sealed"));

    if certificate_path.exists() {
        match kept_pair(&certificate_path, &key_path, master) {
            Some(pair) if still_good(&pair, &hosts, now)? => return Ok(pair),
            Some(_) => info!("the self-signed TLS certificate is old or lacks a host; making another"),
            None => {
                warn!("the self-signed TLS certificate is damaged or its key does not open; making another")
            }
        }
    }

    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let certificate = self_signed(&key, &hosts, now)?;
    let sealed = master.seal(CONTEXT, &zeroize::Zeroizing::new(key.private_key_to_pkcs8()?))?;
    private_dir(data_dir)?;
    write_private(&key_path, &sealed)?;
    write_private(&certificate_path, &certificate.to_pem()?)?;
    Ok(Pair { chain: vec![certificate], key })
}

fn kept_pair(certificate: &Path, key: &Path, master: &MasterKey) -> Option<Pair> {
    let certificate = X509::from_pem(&std::fs::read(certificate).ok()?).ok()?;
    let key = master.open(CONTEXT, &std::fs::read(key).ok()?).ok()?;
    let key = PKey::private_key_from_der(&key).ok()?;
    // Two processes that made one at the same time may each have written one half.
    let whole = certificate.public_key().ok()?.public_eq(&key);
    whole.then(|| Pair { chain: vec![certificate], key })
}

fn still_good(pair: &Pair, hosts: &[Host], now: UnixTime) -> Result<bool, ErrorStack> {
    let Some(certificate) = pair.chain.first() else { return Ok(false) };
    let needed = Asn1Time::from_unix(now.plus(RENEWAL).0)?;
    let covered = names(certificate);
    Ok(certificate.not_after() > needed && hosts.iter().all(|host| covered.contains(host)))
}

fn self_signed(key: &PKey<Private>, hosts: &[Host], now: UnixTime) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "Countersign")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let (from, until) = (Asn1Time::from_unix(now.0)?, Asn1Time::from_unix(now.plus(LIFETIME).0)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut names = SubjectAlternativeName::new();
    for host in hosts {
        match host {
            Host::Name(name) => names.dns(name),
            Host::Address(address) => names.ip(&address.to_string()),
        };
    }
    let names = names.build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// What a certificate can be valid for.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    fn parse(text: &str) -> Result<Self, TlsError> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._*".contains(c));
        if fits { Ok(Self::Name(text.to_ascii_lowercase())) } else { Err(TlsError::Host(text.to_owned())) }
    }
}

fn names(certificate: &X509) -> Vec<Host> {
    let address = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(Host::Address)
    };
    let names = certificate.subject_alt_names().into_iter().flatten();
    names
        .filter_map(|name| match name.dnsname() {
            Some(name) => Some(Host::Name(name.to_ascii_lowercase())),
            None => name.ipaddress().and_then(address),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use openssl::ssl::{SslConnector, SslVerifyMode};
    use tempfile::TempDir;

    use super::*;

    const NOW: UnixTime = UnixTime(1_900_000_000);

    fn own(dir: &TempDir, hosts: &[&str], now: UnixTime) -> Result<Arc<Tls>, TlsError> {
        let master = MasterKey::load_or_create(dir.path(), None)?;
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Tls::open(dir.path(), &master, None, &hosts, now)
    }

    fn write_pair(dir: &TempDir) -> (TlsFiles, X509) {
        let key = PKey::from_ec_key(
            EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap(),
        );
        let key = key.unwrap();
        let certificate = self_signed(&key, &[Host::parse("example.org").unwrap()], NOW).unwrap();
        let files = TlsFiles { certificate: dir.path().join("c.pem"), key: dir.path().join("k.pem") };
        write_private(&files.certificate, &certificate.to_pem().unwrap()).unwrap();
        write_private(&files.key, &key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        (files, certificate)
    }

    /// Listens with one acceptor, for as long as the test runs.
    fn listen(tls: &Tls, alpn: &'static [u8]) -> std::net::SocketAddr {
        let acceptor = tls.acceptor_builder(alpn).unwrap().build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if let Ok(mut stream) = acceptor.accept(stream.unwrap()) {
                    stream.write_all(b"ok").unwrap();
                    stream.shutdown().ok();
                }
            }
        });
        address
    }

    /// What a client that offers `alpn` is shown, with or without naming the server.
    fn connect(address: std::net::SocketAddr, alpn: &[u8], sni: bool) -> (X509, Option<Vec<u8>>) {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_alpn_protos(alpn).unwrap();
        let configured =
            builder.build().configure().unwrap().use_server_name_indication(sni).verify_hostname(false);
        let mut stream = configured.connect("localhost", TcpStream::connect(address).unwrap()).unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        let protocol = stream.ssl().selected_alpn_protocol().map(<[u8]>::to_vec);
        (stream.ssl().peer_certificate().unwrap(), protocol)
    }

    #[test]
    fn each_listener_negotiates_its_own_protocols_and_shows_the_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let tls = own(&dir, &["Gateway.example", "10.1.2.3"], NOW).unwrap();
        let (both, old) = (listen(&tls, b"\x02h2\x08http/1.1"), listen(&tls, b"\x08http/1.1"));

        let (certificate, protocol) = connect(both, b"\x02h2\x08http/1.1", true);
        assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
        let hosts = ["localhost", "127.0.0.1", "::1", "gateway.example", "10.1.2.3"];
        assert_eq!(names(&certificate), hosts.map(|host| Host::parse(host).unwrap()));
        assert_eq!(certificate.to_pem().unwrap(), tls.certificate_pem().into_bytes());

        assert_eq!(connect(old, b"\x02h2\x08http/1.1", false).1.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(connect(old, b"\x02h2", true).1, None);
    }

    #[test]
    fn the_own_certificate_is_kept_until_it_is_old_or_lacks_a_host() {
        let dir = tempfile::tempdir().unwrap();
        let first = own(&dir, &[], NOW).unwrap().certificate_pem();
        let last_good = NOW.plus(LIFETIME - RENEWAL - 1);
        assert_eq!(own(&dir, &[], last_good).unwrap().certificate_pem(), first);
        let renewed = own(&dir, &[], last_good.plus(1)).unwrap().certificate_pem();
        assert_ne!(renewed, first);
        let more = own(&dir, &["a.example"], NOW).unwrap().certificate_pem();
        assert_ne!(more, renewed);
        assert_eq!(own(&dir, &["a.example"], NOW).unwrap().certificate_pem(), more);
        std::fs::remove_file(dir.path().join("tls.key.sealed")).unwrap();
        assert_ne!(own(&dir, &["a.example"], NOW).unwrap().certificate_pem(), more);
        assert!(matches!(own(&dir, &["a,DNS:b"], NOW), Err(TlsError::Host(_))));
    }

    #[test]
    fn changed_files_are_shown_to_the_next_connection_and_broken_ones_never() {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::load_or_create(dir.path(), None).unwrap();
        let (files, first) = write_pair(&dir);
        let tls = Tls::open(dir.path(), &master, Some(files.clone()), &[], NOW).unwrap();
        let address = listen(&tls, b"\x02h2");
        let shown = || connect(address, b"\x02h2", true);
        assert_eq!(shown(), (first, Some(b"h2".to_vec())));
        assert!(!tls.reload_when_changed().unwrap());

        let (_, second) = write_pair(&dir);
        assert!(tls.reload_when_changed().unwrap());
        assert_eq!(shown(), (second.clone(), Some(b"h2".to_vec())));

        let other = tempfile::tempdir().unwrap();
        std::fs::copy(write_pair(&other).0.key, &files.key).unwrap();
        assert!(matches!(tls.reload_when_changed(), Err(TlsError::Mismatch(_))));
        std::fs::write(&files.certificate, "nothing").unwrap();
        assert!(matches!(tls.reload_when_changed(), Err(TlsError::NotPem { .. })));
        std::fs::remove_file(&files.certificate).unwrap();
        assert!(matches!(tls.reload_when_changed(), Err(TlsError::Read { .. })));
        assert_eq!(shown().0, second);
    }

    #[tokio::test]
    async fn the_watch_survives_a_broken_file_and_sees_the_next_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::load_or_create(dir.path(), None).unwrap();
        let (files, first) = write_pair(&dir);
        let tls = Tls::open(dir.path(), &master, Some(files.clone()), &[], NOW).unwrap();
        tls.spawn_reload();
        std::fs::write(&files.certificate, "nothing").unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(tls.certificate_pem().into_bytes(), first.to_pem().unwrap());
        let (_, second) = write_pair(&dir);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(tls.certificate_pem().into_bytes(), second.to_pem().unwrap());
    }

    #[test]
    fn an_encrypted_key_is_refused_without_asking_for_its_password() {
        let dir = tempfile::tempdir().unwrap();
        let (files, _) = write_pair(&dir);
        let key = PKey::private_key_from_pem(&std::fs::read(&files.key).unwrap()).unwrap();
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        std::fs::write(&files.key, key.private_key_to_pem_pkcs8_passphrase(cipher, b"x").unwrap()).unwrap();
        assert!(matches!(Pair::read(&files), Err(TlsError::NotPem { .. })));
    }
}
