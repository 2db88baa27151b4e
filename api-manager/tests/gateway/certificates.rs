//! Calls with client certificates, over TLS.

use std::pin::Pin;
use std::time::Duration;

use api_manager::domain::application::KeyType;
use api_manager::domain::certificate::read;
use api_manager::domain::client_certificate::ClientCertificate;
use api_manager::domain::ids::ApplicationId;
use api_manager::domain::revocation::Revocation;
use api_manager::domain::scheme::{Scheme, Schemes};
use api_manager::storage::{application_certificates, revocations};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_openssl::SslStream;

use super::backend::Backend;
use super::{Answer, NOW, World, api, eventually, grant};
use crate::exchange::idp::{Idp, KeyKind};

/// A client's key and certificate.
struct Machine {
    key: Idp,
    pem: String,
}

impl Machine {
    fn new(world: &World) -> Self {
        let key = Idp::with_key("machine", "", KeyKind::P256, &world.app.clock);
        let pem = key.certificate();
        Self { key, pem }
    }
}

impl World {
    async fn handshakes(&self, machine: Option<&Machine>, alpn: &[u8]) -> SslStream<TcpStream> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_alpn_protos(alpn).unwrap();
        if let Some(machine) = machine {
            builder.set_certificate(&X509::from_pem(machine.pem.as_bytes()).unwrap()).unwrap();
            builder.set_private_key(machine.key.key()).unwrap();
        }
        let ssl = builder.build().configure().unwrap().verify_hostname(false).into_ssl("localhost").unwrap();
        let port = self.gateway.address.port();
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut stream = SslStream::new(ssl, socket).unwrap();
        Pin::new(&mut stream).connect().await.unwrap();
        stream
    }

    async fn calls_as(&self, machine: Option<&Machine>, headers: &[(&str, &str)]) -> Answer {
        let stream = TokioIo::new(self.handshakes(machine, b"\x08http/1.1").await);
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::get("/pets/1.0/").header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap()).await
    }

    async fn registers(&self, application: ApplicationId, machine: &Machine) -> ClientCertificate {
        let certificate = read(&machine.pem).unwrap().remove(0);
        let made = ClientCertificate::register(application, &certificate, KeyType::Production, NOW);
        let row = made.clone();
        self.writes(move |c| application_certificates::insert(c, &row)).await;
        made
    }
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&body).into_owned() }
}

async fn with_certificates(backend: &str) -> (World, ApplicationId) {
    let world = World::start().await;
    let mut pets = api("pets", backend);
    pets.definition.security = Schemes::of(&[Scheme::Token, Scheme::ClientCertificate]);
    let pets = world.publishes(pets).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    (world, application)
}

#[tokio::test]
async fn a_registered_certificate_opens_the_api_over_http1_and_http2() {
    let backend = Backend::echo().await;
    let (world, application) = with_certificates(&backend.url).await;
    let machine = Machine::new(&world);
    world.registers(application, &machine).await;

    let first = world.calls_as(Some(&machine), &[]).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(first.header("x-ratelimit-limit"), "5000");

    let stream = TokioIo::new(world.handshakes(Some(&machine), b"\x02h2").await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get("https://localhost/pets/1.0/").body(Full::<Bytes>::default()).unwrap();
        assert_eq!(answer(sender.send_request(request).await.unwrap()).await.status, 200);
    }
    assert_eq!(world.gateway.grants_asked(), 1);
}

#[tokio::test]
async fn a_connection_that_stays_does_not_keep_the_table_of_when_it_came() {
    let backend = Backend::echo().await;
    let (world, _) = with_certificates(&backend.url).await;
    let stream = TokioIo::new(world.handshakes(None, b"\x08http/1.1").await);
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request =
        || Request::get("/pets/1.0/").header("host", "localhost").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(answer(sender.send_request(request()).await.unwrap()).await.status, 401);

    let is_kept = world.gateway.keeps_table();
    assert!(is_kept());
    world.publishes(api("dogs", &backend.url)).await;
    eventually("the table before is gone", || !is_kept()).await;
    assert_eq!(answer(sender.send_request(request()).await.unwrap()).await.status, 401, "still connected");
}

#[tokio::test]
async fn no_certificate_an_unknown_one_and_a_header_that_claims_one_are_refused() {
    let backend = Backend::echo().await;
    let (world, application) = with_certificates(&backend.url).await;
    let (machine, stranger) = (Machine::new(&world), Machine::new(&world));
    world.registers(application, &machine).await;

    let refused = world.calls_as(None, &[]).await;
    assert_eq!(refused.refusal(), (401, "900902".to_owned()));
    assert!(refused.text.contains("a client certificate in TLS"), "{}", refused.text);
    assert_eq!(refused.headers.get_all("www-authenticate").iter().count(), 2);
    assert_eq!(world.calls_as(Some(&stranger), &[]).await.refusal(), (401, "900901".to_owned()));
    let pem = machine.pem.replace('\n', "");
    for name in ["x-client-cert", "x-wso2-client-certificate", "x-forwarded-client-cert", "client-cert"] {
        assert_eq!(world.calls_as(None, &[(name, &pem)]).await.status, 401, "{name}");
    }
    assert_eq!(backend.hits(), 0);
}

#[tokio::test]
async fn a_certificate_and_a_token_together_are_refused_and_each_alone_counts() {
    let backend = Backend::echo().await;
    let (world, application) = with_certificates(&backend.url).await;
    let machine = Machine::new(&world);
    world.registers(application, &machine).await;
    let bearer = format!("Bearer {}", world.issues(grant(application)).await);

    let both = world.calls_as(Some(&machine), &[("authorization", &bearer)]).await;
    assert_eq!(both.refusal(), (400, "400".to_owned()));
    assert_eq!(world.calls_as(None, &[("authorization", &bearer)]).await.status, 200);
}

#[tokio::test]
async fn a_certificate_ends_on_its_date_and_when_it_is_taken_back() {
    let backend = Backend::echo().await;
    let (world, application) = with_certificates(&backend.url).await;
    let (machine, other) = (Machine::new(&world), Machine::new(&world));
    let made = world.registers(application, &machine).await;
    world.registers(application, &other).await;
    assert_eq!(world.calls_as(Some(&machine), &[]).await.status, 200);
    assert_eq!(world.calls_as(Some(&other), &[]).await.status, 200);

    let id = made.id;
    world
        .writes(move |c| {
            application_certificates::delete(c, id)?;
            revocations::append(c, &Revocation::ClientCertificate(id), NOW)
        })
        .await;
    let began = Instant::now();
    while world.calls_as(Some(&machine), &[]).await.status == 200 {
        assert!(began.elapsed() < Duration::from_millis(1_500));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.calls_as(Some(&other), &[]).await.status, 200);
    world.app.clock.advance(31 * 86_400);
    assert_eq!(world.calls_as(Some(&other), &[]).await.refusal(), (401, "900901".to_owned()));
}

#[tokio::test]
async fn certificates_are_asked_for_only_where_an_api_takes_them() {
    let backend = Backend::echo().await;
    let world = World::start().await;
    let pets = world.publishes(api("pets", &backend.url)).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let machine = Machine::new(&world);
    world.registers(application, &machine).await;

    assert_eq!(world.calls_as(Some(&machine), &[]).await.refusal(), (401, "900902".to_owned()));
    let bearer = format!("Bearer {}", world.issues(grant(application)).await);
    assert_eq!(world.calls_as(Some(&machine), &[("authorization", &bearer)]).await.status, 200);
}
