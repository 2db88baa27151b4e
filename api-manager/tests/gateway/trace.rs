//! Traces go on through the gateway (W3C Trace Context).

use http::Method;

use super::World;
use super::backend::Backend;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

impl World {
    /// What the backend heard of the trace: `traceparent` and `tracestate`.
    async fn traced(&self, token: &str, headers: &[(&'static str, &str)]) -> (String, Option<String>) {
        let mut request = self.request(Method::GET, "/pets/1.0/", token);
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let heard = self.sends(request).await.text;
        let line = |name: &str| heard.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        assert_eq!(heard.matches("traceparent: ").count(), 1, "{heard}");
        (line("traceparent: ").unwrap(), line("tracestate: "))
    }
}

#[tokio::test]
async fn a_callers_trace_reaches_the_backend_with_a_parent_of_ours() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let (parent, state) = world.traced(&token, &[("traceparent", PARENT), ("tracestate", "a=1,b=2")]).await;

    assert_eq!(parent[..36], PARENT[..36]);
    assert_ne!(parent[36..52], PARENT[36..52]);
    assert_eq!((parent.len(), &parent[52..], state.as_deref()), (55, "-01", Some("a=1,b=2")));
}

#[tokio::test]
async fn a_trace_is_made_where_there_is_none_or_none_that_is_valid() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let (first, _) = world.traced(&token, &[]).await;
    let (second, _) = world.traced(&token, &[]).await;
    assert_eq!((first.len(), &first[..3], &first[52..]), (55, "00-", "-01"));
    assert_ne!(first[3..35], second[3..35]);
    let upper = PARENT.to_uppercase();
    for bad in [&[("traceparent", &*upper), ("tracestate", "a=1")][..], &[("traceparent", PARENT); 2][..]] {
        let (parent, state) = world.traced(&token, bad).await;
        assert_ne!(parent[3..35], PARENT[3..35]);
        assert_eq!(state, None);
    }
    let long = format!("a={},b={}", "x".repeat(256), "x".repeat(256));
    let (parent, state) = world.traced(&token, &[("traceparent", PARENT), ("tracestate", &long)]).await;
    assert_eq!((&parent[..36], state), (&PARENT[..36], None));
}

#[tokio::test]
async fn no_caller_can_cut_a_trace() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let cut = [("connection", "traceparent, tracestate"), ("traceparent", PARENT), ("tracestate", "a=1")];
    let (parent, state) = world.traced(&token, &cut).await;

    assert_eq!((&parent[..36], state.as_deref()), (&PARENT[..36], Some("a=1")));
}
