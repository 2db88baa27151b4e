//! Certificates of the tests' own, and backends that show them or speak HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;

use api_manager::domain::api::Api;
use api_manager::domain::api::transport::{BackendTls, Protocol};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{NameType, Ssl, SslAcceptor, SslMethod, select_next_proto};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use shared_claims::secret::Digest;
use shared_server::outbound::public_key_digest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use super::backend::{Backend, Body};

const DAY: i64 = 86_400;

/// A certificate with its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: X509,
    key: PKey<Private>,
}

impl Pair {
    /// An authority that signs others.
    pub fn authority() -> Self {
        Self::make("the authority", None, -1..30)
    }

    /// A certificate for `name` which nobody but itself has signed.
    pub fn self_signed(name: &str) -> Self {
        Self::make(name, None, -1..30)
    }

    /// A certificate for `name`, signed by this authority.
    pub fn signs(&self, name: &str) -> Self {
        Self::make(name, Some(self), -1..30)
    }

    /// The same, which expired yesterday.
    pub fn signed_long_ago(&self, name: &str) -> Self {
        Self::make(name, Some(self), -30..-1)
    }

    pub fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    pub fn pin(&self) -> Digest {
        public_key_digest(&self.certificate).unwrap()
    }

    fn make(name: &str, by: Option<&Self>, days: std::ops::Range<i64>) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        let mut serial = BigNum::new().unwrap();
        serial.rand(63, openssl::bn::MsbOption::ONE, true).unwrap();
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(by.map_or(&subject, |by| by.certificate.subject_name())).unwrap();
        builder.set_pubkey(&key).unwrap();
        let now = shared_claims::clock::Clock::System.now().0;
        let day = |day: i64| Asn1Time::from_unix(now + day * DAY).unwrap();
        builder.set_not_before(&day(days.start)).unwrap();
        builder.set_not_after(&day(days.end)).unwrap();
        if by.is_none() {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        }
        let mut names = SubjectAlternativeName::new();
        if name.parse::<std::net::IpAddr>().is_ok() {
            names.ip(name)
        } else {
            names.dns(name)
        };
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }
}

impl Backend {
    /// Answers in HTTP/1.1 or HTTP/2, whichever is spoken, without TLS.
    pub async fn either<F, R>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let (listener, backend) = Self::bind().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, HeaderValue::from_static(""), answer.clone()));
            }
        });
        backend
    }

    /// Answers over TLS with `pair`, in one of the versions that `alpn` lists. The request says by `x-sni` which name was
    /// asked for. The URL names `host`.
    pub async fn secure<F, R>(pair: &Pair, host: &str, alpn: &'static [u8], answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        builder.set_certificate(&pair.certificate).unwrap();
        builder.set_private_key(&pair.key).unwrap();
        builder.set_alpn_select_callback(move |_, offered| {
            select_next_proto(alpn, offered).ok_or(openssl::ssl::AlpnError::NOACK)
        });
        let acceptor = builder.build();
        let (listener, mut backend) = Self::bind().await;
        let port = listener.local_addr().unwrap().port();
        backend.url = format!("https://{host}:{port}");
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut stream = SslStream::new(Ssl::new(acceptor.context()).unwrap(), tcp).unwrap();
                    if Pin::new(&mut stream).accept().await.is_ok() {
                        let sni = stream.ssl().servername(NameType::HOST_NAME).unwrap_or("none");
                        let sni = HeaderValue::from_str(sni).unwrap();
                        serve(stream, sni, answer).await;
                    }
                });
            }
        });
        backend
    }
}

async fn serve<S, F, R>(stream: S, sni: HeaderValue, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.headers_mut().insert("x-sni", sni.clone());
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

/// What the request was, in one line: version, name asked for, host and path.
pub async fn describes(request: Request<Incoming>) -> Response<Body> {
    let sni = request.headers()["x-sni"].to_str().unwrap().to_owned();
    let host = request.headers().get("host").map_or("none", |host| host.to_str().unwrap()).to_owned();
    let authority = request.uri().authority().map_or_else(String::new, ToString::to_string);
    let path = request.uri().path();
    let text = format!("{:?} sni={sni} host={host} authority={authority} path={path}", request.version());
    Response::new(super::backend::full(text))
}

pub fn with_tls(mut api: Api, tls: BackendTls) -> Api {
    api.definition.transport.tls = Some(tls);
    api
}

pub fn with_http2(mut api: Api) -> Api {
    api.definition.transport.protocol = Protocol::Http2;
    api
}
