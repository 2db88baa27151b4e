//! Handshakes on loopback: which certificate is shown, and when another one is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use openssl::ssl::{SslConnector, SslVerifyMode};
use tempfile::TempDir;

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;

use super::own::{Host, LIFETIME, RENEWAL, names, self_signed};
use super::*;
use crate::sealing::write_private;

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
