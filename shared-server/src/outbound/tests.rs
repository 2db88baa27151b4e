//! What may be reached, and how little is read of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::TokioExecutor;
use openssl::x509::X509;

use super::*;

fn policy(allow_private: bool) -> OutboundPolicy {
    OutboundPolicy { allow_private, verify_tls: true, ca: None, connect_timeout: Duration::from_secs(2) }
}

fn fetcher(policy: OutboundPolicy) -> Fetcher {
    Fetcher::new(policy, false, 16, Duration::from_millis(500)).unwrap()
}

/// Serves one fixed answer to every connection, and closes it; an empty answer never ends.
async fn serve(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _read = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.is_empty() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    });
    port
}

#[test]
fn only_addresses_of_the_public_internet_are_not_private() {
    let private = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for ip in private {
        assert!(is_private(ip.parse().unwrap()), "{ip}");
    }
    let public = [
        "1.1.1.1",
        "100.63.0.1",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "223.1.1.1",
        "::ffff:1.1.1.1",
        "64:ff9b::808:808",
        "2001:4860:4860::8888",
        "2002:101:101::",
        "2606:4700::1111",
    ];
    for ip in public {
        assert!(!is_private(ip.parse().unwrap()), "{ip}");
    }
}

#[tokio::test]
async fn a_private_address_is_refused_after_resolution_however_it_is_spelt() {
    let port = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"] {
        let got = fetcher(policy(false)).get(&format!("http://{host}:{port}/")).await;
        assert!(matches!(got, Err(FetchError::RefusedByPolicy(_))), "{host}: {got:?}");
    }
    assert_eq!(fetcher(policy(true)).get(&format!("http://localhost:{port}/")).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_document_that_breaks_a_rule_is_refused_by_that_rule() {
    let cases = [
        ("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", FetchError::Status(302)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n0123456789abcdefg", FetchError::TooLarge(16)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n",
            FetchError::TooLarge(16),
        ),
        ("", FetchError::Timeout),
    ];
    for (answer, expected) in cases {
        let url = format!("http://127.0.0.1:{}/", serve(answer).await);
        assert_eq!(fetcher(policy(true)).get(&url).await, Err(expected));
    }
    let strict = Fetcher::new(policy(true), true, 16, Duration::from_secs(1)).unwrap();
    assert_eq!(strict.get("http://localhost/").await, Err(FetchError::NotHttps));
    for url in ["", "/jwks", "ftp://a/", "https://user:secret@a/"] {
        assert_eq!(strict.get(url).await, Err(FetchError::BadUrl), "{url}");
    }
}

#[tokio::test]
async fn tls_is_verified_against_name_and_issuer_and_negotiates_h2() {
    let dir = tempfile::tempdir().unwrap();
    let master = crate::sealing::MasterKey::load_or_create(dir.path(), None).unwrap();
    let now = shared_claims::clock::Clock::System.now();
    let tls = crate::tls::Tls::open(dir.path(), &master, None, &[], now).unwrap();
    let ca = X509::from_pem(tls.certificate_pem().as_bytes()).unwrap();
    let acceptor = tls.acceptor_builder(b"\x02h2\x08http/1.1").unwrap().build();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream =
                SslStream::new(openssl::ssl::Ssl::new(acceptor.context()).unwrap(), tcp).unwrap();
            if Pin::new(&mut stream).accept().await.is_ok() {
                let _read = stream.read(&mut [0; 1024]).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok();
            }
        }
    });

    let trusting = OutboundPolicy { ca: Some(Trusted::Only(vec![ca.clone()])), ..policy(true) };
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/");
        assert_eq!(fetcher(trusting.clone()).get(&url).await.unwrap(), "ok");
    }
    // The whole of 127/8 is this machine, but the certificate names one address of it.
    for (policy, host, says) in
        [(&trusting, "127.0.0.2", "IP address mismatch"), (&policy(true), "localhost", "self-signed")]
    {
        match fetcher(policy.clone()).get(&format!("https://{host}:{port}/")).await {
            Err(FetchError::Connect(why)) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let besides = OutboundPolicy { ca: Some(Trusted::Besides(vec![ca.clone()])), ..policy(true) };
    assert_eq!(fetcher(besides).get(&format!("https://localhost:{port}/")).await.unwrap(), "ok");
    let lax = OutboundPolicy { verify_tls: false, ..policy(true) };
    assert!(fetcher(lax).get(&format!("https://localhost:{port}/")).await.is_ok());

    let mut connector = Connector::new(trusting.clone(), true).unwrap();
    let outbound = connector.call(format!("https://localhost:{port}/").parse().unwrap()).await.unwrap();
    assert!(outbound.connected().is_negotiated_h2());
    // The server has time for one at a time.
    drop(outbound);

    let uri: Uri = format!("https://127.0.0.2:{port}/").parse().unwrap();
    let pin = public_key_digest(&ca).unwrap();
    let untrusting = Connector::new(policy(true), true).unwrap();
    assert!(untrusting.clone().with_pinned_keys(vec![pin], true).call(uri.clone()).await.is_ok());
    let other = untrusting.with_pinned_keys(vec![Digest::of(b"other")], true).call(uri.clone()).await;
    assert!(other.err().is_some_and(|why| why.to_string().contains(&pin.hex())));
    let trusting = Connector::new(trusting, true).unwrap();
    // With a chain to follow the name counts too, unless another one is expected.
    let by_both = trusting.with_pinned_keys(vec![pin], false);
    assert!(by_both.clone().call(uri.clone()).await.is_err());
    assert!(by_both.with_server_name("localhost").call(uri).await.is_ok());
}

#[tokio::test]
async fn a_refused_connection_is_found_among_the_sources_of_the_clients_error() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let connector = Connector::new(policy(true), true).unwrap();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let why = client.get(format!("http://127.0.0.1:{port}/").parse().unwrap()).await.unwrap_err();
    assert!(matches!(connect_error(&why), Some(ConnectError::Connect(_))));
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let connector = Connector::new(policy(true), false).unwrap();
    let mut connector = connector.with_write_timeout(Duration::from_millis(200));
    let mut outbound = TokioIo::new(connector.call(uri).await.unwrap());
    let (_silent, _) = listener.accept().await.unwrap();

    let piece = vec![0; 64 * 1024];
    let writing = async {
        loop {
            if let Err(why) = outbound.write_all(&piece).await {
                return why.kind();
            }
        }
    };
    let kind = timeout(Duration::from_secs(10), writing).await.unwrap();
    assert_eq!(kind, io::ErrorKind::TimedOut);
}
