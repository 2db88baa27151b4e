//! Compressed bodies are the backend's: they pass byte for byte.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};

use super::backend::{Backend, full};
use super::{World, api, client};

/// No gzip that we could unpack, and no text: whoever touches it breaks it.
const BODY: &[u8] = b"\x1f\x8b\x08\x00\xff\xfe\x00garbled\r\n\r\n\x80";

/// Answers in the first coding that is accepted, and with what it heard.
async fn backend() -> Backend {
    Backend::serving(|request: Request<hyper::body::Incoming>| async move {
        let header = |name: &str| {
            request.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>().join("|")
        };
        let (accepted, encoding) = (header("accept-encoding"), header("content-encoding"));
        let sent = request.into_body().collect().await.unwrap().to_bytes();
        let response = Response::builder().header("vary", "Accept-Encoding").header("x-accepted", &accepted);
        let response = response.header("x-encoding", encoding).header("x-sent", (sent == BODY).to_string());
        let response =
            response.header("cache-control", "max-age=60").header("date", super::response_cache::DATE);
        if accepted.contains("gzip") {
            return response.header("content-encoding", "gzip").body(full(BODY)).unwrap();
        }
        response.body(full("plain")).unwrap()
    })
    .await
}

#[tokio::test]
async fn codings_and_compressed_bodies_pass_untouched() {
    let backend = backend().await;
    let mut pets = api("pets", &backend.url);
    let world = World::start().await;
    pets.definition.operations[0].cache = Some(Default::default());
    let pets = world.publishes(pets).await;
    let token = world.subscribed(&pets).await;

    for kept in [false, true] {
        for (accepted, encoded) in [("gzip;q=1.0, br;q=0.5, *;q=0", true), ("identity", false), ("", false)] {
            let mut request = world.request(Method::GET, "/pets/1.0/cats", &token);
            if !accepted.is_empty() {
                request.headers_mut().insert("accept-encoding", accepted.parse().unwrap());
            }
            let response = client(false).request(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let status = parts.headers["cache-status"].to_str().unwrap();

            assert_eq!(status.contains("hit"), kept, "{accepted}");
            assert_eq!(parts.headers["x-accepted"], accepted);
            assert_eq!(parts.headers.get("content-encoding").is_some(), encoded);
            assert_eq!(&body[..], if encoded { BODY } else { b"plain" });
            assert_eq!(parts.headers["content-length"], body.len().to_string());
        }
    }
    assert_eq!(backend.hits(), 3);

    let mut upload = world.request(Method::POST, "/pets/1.0/cats", &token);
    upload.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    *upload.body_mut() = Full::new(Bytes::from_static(BODY));
    let answer = world.sends(upload).await;
    assert_eq!((answer.header("x-encoding"), answer.header("x-sent")), ("gzip", "true"));
}
