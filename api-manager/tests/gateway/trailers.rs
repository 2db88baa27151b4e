//! Trailers of requests and answers, from version to version.

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::backend::{Backend, Body, full};
use super::grpc::streamed;
use super::secure::with_http2;
use super::{World, api};

/// What nobody may say in a trailer, and what anybody may.
const FIELDS: [(&str, &str); 10] = [
    ("x-sum", "7"),
    ("content-length", "1"),
    ("transfer-encoding", "chunked"),
    ("host", "evil"),
    ("authorization", "Bearer x"),
    ("set-cookie", "a=1"),
    ("content-type", "text/html"),
    ("x-request-id", "theirs"),
    ("connection", "x-named"),
    ("x-named", "1"),
];

fn fields() -> HeaderMap {
    let fields = FIELDS.into_iter().filter(|(name, _)| !["connection", "transfer-encoding"].contains(name));
    fields.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

/// A body in one piece with trailers after it.
fn with_trailers(text: &'static str, trailers: HeaderMap) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(text.into()).unwrap();
    streamed(receiver, Some(trailers))
}

/// Answers with the trailers that came, one a line.
async fn tells(request: Request<Incoming>) -> Response<Body> {
    let te = request.headers().get("te").map_or("none", |te| te.to_str().unwrap()).to_owned();
    let body = request.into_body().collect().await.unwrap();
    let mut heard: Vec<String> = body
        .trailers()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    heard.sort();
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Response::new(full(format!("te={te} body={text} trailers={heard:?}")))
}

#[tokio::test]
async fn the_trailers_of_a_request_reach_an_http2_backend_but_for_those_that_mislead() {
    let backend = Backend::either(tells).await;
    let world = World::start().await;
    let pets = world.publishes(with_http2(api("pets", &backend.url))).await;
    let token = world.subscribed(&pets).await;

    let mut trailers = fields();
    for (name, value) in [
        ("x-jwt-assertion", "forged"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x_sum", "8"),
        ("cookie", "a=1"),
        ("x-original-url", "/admin"),
    ] {
        trailers.insert(name, HeaderValue::from_static(value));
    }
    let request = Request::post(format!("{}/pets/1.0/", world.base()))
        .header("authorization", format!("Bearer {token}"))
        .header("te", "trailers")
        .body(with_trailers("hi", trailers))
        .unwrap();
    let response = world.http2_client().await.send_request(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, r#"te=trailers body=hi trailers=["x-named: 1", "x-sum: 7"]"#);
}

#[tokio::test]
async fn the_trailers_of_a_chunked_request_pass_where_they_are_announced() {
    let backend = Backend::either(tells).await;
    let world = World::start().await;
    let one = world.publishes(api("one", &backend.url)).await;
    let two = world.publishes(with_http2(api("two", &backend.url))).await;

    for api in [one, two] {
        let token = world.subscribed(&api).await;
        let trailers: String = FIELDS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let heard = world
            .talks(&format!(
                "POST /{}/1.0/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: x-sum, authorization, host, content-length\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n{trailers}\r\n",
                api.context
            ))
            .await;
        assert!(heard.contains(r#"te=none body=hi trailers=["x-sum: 7"]"#), "{heard}");
    }
}

#[tokio::test]
async fn the_trailers_of_an_answer_reach_clients_of_both_versions_but_for_those_that_mislead() {
    let backend = Backend::either(|_| async {
        let response =
            Response::builder().header("trailer", "x-sum, authorization, content-length, set-cookie");
        response.body(with_trailers("hi", fields())).unwrap()
    })
    .await;
    let in_chunks = Backend::raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, authorization, set-cookie\r\n\r\n\
          2\r\nhi\r\n0\r\nx-sum: 7\r\nauthorization: Bearer x\r\nset-cookie: a=1\r\nhost: evil\r\n\r\n",
    )
    .await;
    let world = World::start().await;
    let one = world.publishes(api("one", &in_chunks.url)).await;
    let two = world.publishes(with_http2(api("two", &backend.url))).await;

    for api in [one, two] {
        let token = world.subscribed(&api).await;
        let path = format!("/{}/1.0/", api.context);
        let request = Request::get(format!("{}{path}", world.base()))
            .header("authorization", format!("Bearer {token}"))
            .body(full(""))
            .unwrap();
        let response = world.http2_client().await.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        assert_eq!(trailers.get("x-sum").map(HeaderValue::as_bytes), Some(&b"7"[..]), "{path}");
        let others = ["x-named", "x-sum"];
        assert!(trailers.keys().all(|name| others.contains(&name.as_str())), "{trailers:?}");
        assert_eq!(body.to_bytes(), "hi");

        let get = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
        let heard = world.talks(&format!("{get}TE: trailers\r\nConnection: TE, close\r\n\r\n")).await;
        assert!(heard.ends_with("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{heard}");
        // Who does not take them gets a body that is whole without.
        let heard = world.talks(&format!("{get}Connection: close\r\n\r\n")).await;
        assert!(heard.ends_with("2\r\nhi\r\n0\r\n\r\n"), "{heard}");
    }
}
