//! Answers that are kept for those who may have them, and never for anybody else.

mod keeping;
mod sharing;

use api_manager::domain::api::Api;
use api_manager::domain::api::caching::Caching;
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::backend::{Backend, full};
use super::{Answer, World, api};

/// The moment that the worlds' clocks begin at, as backends write it.
pub const DATE: &str = "Fri, 15 Jan 2027 08:00:00 GMT";

/// A backend whose answers have these headers and count up.
async fn counting(headers: &'static [(&'static str, &'static str)]) -> Backend {
    answering(move |_| {
        headers.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value))
    })
    .await
}

/// A backend that counts up, with a head made for each request.
async fn answering(
    head: impl Fn(&Request<Incoming>) -> http::response::Builder + Clone + Send + Sync + 'static,
) -> Backend {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Backend::serving(move |request| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let mut response = head(&request).body(full(format!("answer {number}"))).unwrap();
        response.headers_mut().entry("date").or_insert(DATE.parse().unwrap());
        async move { response }
    })
    .await
}

/// An API whose answers are kept: for a minute where the backend says nothing.
fn keeping(backend: &Backend) -> Api {
    let mut pets = api("pets", &backend.url);
    let usual = Caching { ttl_seconds: Some(60), max_body: 1_000 };
    pets.definition.operations[0].cache = Some(usual);
    pets
}

async fn world(backend: &Backend) -> (World, Api, String) {
    let world = World::start().await;
    let pets = world.publishes(keeping(backend)).await;
    let token = world.subscribed(&pets).await;
    (world, pets, token)
}

/// Calls with these headers.
async fn calls(world: &World, method: Method, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = world.request(method, path, token);
    for (name, value) in headers {
        let name = http::HeaderName::try_from(*name).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    world.sends(request).await
}

const CATS: &str = "/pets/1.0/cats";
