//! Backends: one that answers properly, and one that sends whatever bytes a test wants.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub type Body = BoxBody<Bytes, Infallible>;

#[derive(Clone)]
pub struct Backend {
    pub url: String,
    pub(super) hits: Arc<AtomicUsize>,
}

impl Backend {
    /// Answers each request with `answer`.
    pub async fn serving<F, R>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let (listener, backend) = Self::bind().await;
        let hits = Arc::clone(&backend.hits);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (hits, answer) = (Arc::clone(&hits), answer.clone());
                let service = service_fn(move |request| {
                    hits.fetch_add(1, Ordering::SeqCst);
                    let answered = answer(request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        backend
    }

    /// Answers with what it heard: the request line, the headers and the body, one line each.
    pub async fn echo() -> Self {
        Self::serving(|request| async {
            let (parts, body) = request.into_parts();
            let mut heard = format!("{} {}\n", parts.method, parts.uri);
            for (name, value) in &parts.headers {
                heard.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
            let body = body.collect().await.unwrap().to_bytes();
            heard.push_str(&format!("\n{}", String::from_utf8_lossy(&body)));
            Response::new(full(heard))
        })
        .await
    }

    /// Reads the head of each request, sends `bytes` and closes.
    pub async fn raw(bytes: &'static [u8]) -> Self {
        Self::talking(move |mut stream| async move {
            let _ = stream.write_all(bytes).await;
        })
        .await
    }

    /// Reads the head of each request and leaves the rest to `talk`.
    pub async fn talking<F, R>(talk: F) -> Self
    where
        F: Fn(TcpStream) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (listener, backend) = Self::bind().await;
        let hits = Arc::clone(&backend.hits);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (hits, talk) = (Arc::clone(&hits), talk.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    hits.fetch_add(1, Ordering::SeqCst);
                    talk(stream).await;
                });
            }
        });
        backend
    }

    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    pub(super) async fn bind() -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (listener, Self { url, hits: Arc::default() })
    }
}

pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}
