//! The backend behind the guarded API: says hello, reports what reached it, and misbehaves when its path asks for it.
//!
//! | path | what it does |
//! | --- | --- |
//! | `/slow/{milliseconds}/…` | waits before it answers |
//! | `/broken/…` | promises a long body and breaks off after its beginning |
//! | `/stream/…` | sends ten lines, one every 20 ms |
//! | `/status/{code}/…` | answers with that status, and a challenge of its own with 401 |
//! | `/endless/…` | sends a line every 20 ms and never ends |
//! | `/bytes/{mebibytes}/…` | answers with so many MiB |
//! | `/length/…` | counts the bytes of the request's body |
//! | anything else | 200, and a report of the request |

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Body = BoxBody<Bytes, std::io::Error>;

/// A running backend; ends when it is dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

/// What the connections share.
#[derive(Debug, Default)]
struct State {
    reached: AtomicUsize,
    documents: Mutex<HashMap<String, String>>,
}

impl Backend {
    /// Starts on loopback, on any free port.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts on a given address.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start_on(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, serving })
    }

    /// `http://…`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have arrived so far.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.state.reached.load(Ordering::SeqCst)
    }

    /// From now on `path` answers with this JSON document.
    pub fn serves(&self, path: &str, document: &Value) {
        let mut documents = self.state.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(path.to_owned(), document.to_string());
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Dropped together with this task, and the connections end with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            // A caller that goes away is the caller's business.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    state.reached.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let document = state.documents.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    if let Some(document) = document {
        return Ok(whole(StatusCode::OK, document));
    }
    let mut segments = path.trim_start_matches('/').split('/');
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u16>().ok());
    Ok(match segments.next() {
        Some("broken") => broken(),
        Some("stream") => lines(10),
        Some("endless") => lines(u64::MAX),
        Some("status") => status(number(segments.next())),
        Some("bytes") => mebibytes(number(segments.next()).unwrap_or(1)),
        Some("length") => length(request).await,
        Some("slow") => {
            tokio::time::sleep(Duration::from_millis(number(segments.next()).unwrap_or(1_000).into())).await;
            report(&request)
        }
        _ => report(&request),
    })
}

fn report(request: &Request<Incoming>) -> Response<Body> {
    let mut headers = Map::new();
    for (name, value) in request.headers() {
        let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
        match headers.get_mut(name.as_str()) {
            None => drop(headers.insert(name.to_string(), value)),
            Some(Value::Array(many)) => many.push(value),
            Some(one) => *one = json!([one.clone(), value]),
        }
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let method = request.method().as_str();
    let body = json!({ "message": "Hello, world!", "method": method, "path": path, "headers": headers });
    whole(StatusCode::OK, body.to_string())
}

fn status(code: Option<u16>) -> Response<Body> {
    let code = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::IM_A_TEAPOT);
    let mut answer = whole(code, json!({ "status": code.as_u16() }).to_string());
    if code == StatusCode::UNAUTHORIZED {
        let challenge = http::HeaderValue::from_static("Basic realm=\"backend\"");
        answer.headers_mut().insert(http::header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

async fn length(request: Request<Incoming>) -> Response<Body> {
    let mut body = request.into_body();
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    whole(StatusCode::OK, json!({ "length": length }).to_string())
}

fn whole(status: StatusCode, body: String) -> Response<Body> {
    let mut answer = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
    answer
}

fn broken() -> Response<Body> {
    let beginning = Ok(Frame::data(Bytes::from_static(b"the beginning of a long story")));
    let pieces = stream::iter([beginning, Err(std::io::Error::other("broken on purpose"))]);
    // The beginning has to be on its way before the break, or there is no answer at all.
    let pieces = pieces.then(|piece| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        piece
    });
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(pieces)));
    answer.headers_mut().insert(http::header::CONTENT_LENGTH, http::HeaderValue::from_static("1000000"));
    answer
}

fn mebibytes(count: u16) -> Response<Body> {
    let piece = Bytes::from(vec![b'x'; 64 * 1_024]);
    let pieces = (0..u32::from(count) * 16).map(move |_| Ok::<_, std::io::Error>(Frame::data(piece.clone())));
    Response::new(BodyExt::boxed(StreamBody::new(stream::iter(pieces))))
}

fn lines(count: u64) -> Response<Body> {
    let lines = stream::iter(0..count).then(|number| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(format!("line {number}\n"))))
    });
    Response::new(BodyExt::boxed(StreamBody::new(lines)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Call, Http};

    #[tokio::test]
    async fn it_behaves_as_its_path_asks() {
        let (backend, http) = (Backend::start().await.unwrap(), Http::new());
        let at = |path: &str| format!("{}{path}", backend.url());

        let report = http.send(Call::get(at("/cats?x=1")).header("x-a", "1").header("x-a", "2")).await.json();
        let lines = http.send(Call::get(at("/stream"))).await.text();
        let counted = http.send(Call::post(at("/length")).body(vec![0; 100_000])).await.json();
        let broken = http.try_send(Call::get(at("/broken"))).await;
        let status = http.send(Call::get(at("/status/401"))).await;

        assert_eq!(report["path"], "/cats?x=1");
        assert_eq!(report["headers"]["x-a"], json!(["1", "2"]));
        assert_eq!(lines.lines().count(), 10);
        assert_eq!(counted["length"], 100_000);
        assert!(broken.is_err());
        assert_eq!((status.status, status.challenge()), (401, "Basic realm=\"backend\""));
        assert_eq!(backend.reached(), 5);
    }
}
