//! What goes on to a backend, however its head is made.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use http::Request;
use proptest::prelude::*;

use super::*;
use crate::domain::api::Operation;
use crate::domain::application::KeyType;
use crate::gateway::routes::tests as fixtures;
use crate::gateway::trace::Trace;
use crate::gateway::transforms::Shapes;

fn arrival(peer: IpAddr) -> Arrival {
    Arrival::new(peer, "https", 8_244)
}

fn hop<'a>(arrival: &'a Arrival, host: Option<&'a HeaderValue>) -> Hop<'a> {
    Hop { arrival, host, prefix: "/pets/1.0", version: Version::HTTP_2 }
}

#[test]
fn an_address_of_version_6_is_quoted_and_a_mapped_one_is_of_version_4() {
    let host = HeaderValue::from_static("[::1]:8244");
    for (peer, node) in
        [(Ipv6Addr::LOCALHOST, "for=\"[::1]\""), ("::ffff:192.0.2.1".parse().unwrap(), "for=192.0.2.1")]
    {
        let mut headers = HeaderMap::new();
        change_headers(&mut headers, &hop(&arrival(peer.into()), Some(&host)), &host, &host, false);
        assert_eq!(headers[FORWARDED], format!("{node};proto=https;host=\"[::1]:8244\"").as_str());
        assert_eq!(headers[VIA], "2.0 countersign");
    }
}

#[test]
fn what_connection_names_cannot_take_ours_away() {
    let host = HeaderValue::from_static("h");
    let mut headers = HeaderMap::new();
    headers.insert(
        CONNECTION,
        "host, x-forwarded-for, VIA, x-request-id, , \u{7f}"
            .parse()
            .unwrap_or(HeaderValue::from_static("host, x-forwarded-for, via, x-request-id")),
    );
    headers.append(CONNECTION, "x-other".parse().unwrap());
    headers.insert("x-other", "1".parse().unwrap());
    change_headers(&mut headers, &hop(&arrival([192, 0, 2, 1].into()), None), &host, &host, false);
    assert_eq!(headers[HOST], "h");
    assert_eq!(headers[FORWARDED_FOR], "192.0.2.1");
    assert_eq!(headers[REQUEST_ID], "h");
    assert_eq!(headers[VIA], "2.0 countersign");
    assert!(!headers.contains_key("x-other") && !headers.contains_key(CONNECTION));
    assert!(!headers.contains_key(FORWARDED_HOST));
}

#[test]
fn header_values_of_any_bytes_survive() {
    let host = HeaderValue::from_static("h");
    let mut headers = HeaderMap::new();
    let odd = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    headers.insert("x-odd", odd.clone());
    headers.insert("x-empty", HeaderValue::from_static(""));
    change_headers(&mut headers, &hop(&arrival([192, 0, 2, 1].into()), None), &host, &host, false);
    assert_eq!(headers["x-odd"], odd);
    assert_eq!(headers["x-empty"], "");
}

/// The lines of a head but for those that are made up anew each time, in the order of their names.
fn lines(head: &[u8]) -> (String, BTreeMap<String, Vec<String>>) {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.strip_suffix("\r\n\r\n").expect("an end").split("\r\n");
    let first = lines.next().expect("a request line").to_owned();
    let mut named = BTreeMap::<String, Vec<String>>::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a colon");
        let value = if name == "traceparent" { value.split('-').nth(1).expect("an id") } else { value };
        named.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    (first, named)
}

fn with_way<T>(request: &Request<()>, work: impl FnOnce(&Way<'_>, &Address) -> T) -> T {
    let table = fixtures::World::default().table();
    let found = table.find("/pets/1.0/x").expect("the API");
    let arrival = arrival([192, 0, 2, 1].into());
    let (host, id) = (HeaderValue::from_static("gateway:8244"), HeaderValue::from_static("id"));
    let (trace, shapes) = (Trace::of(request.headers()), Shapes::default());
    let way = Way {
        route: found.route,
        key_type: KeyType::Production,
        rest: found.rest,
        query: Some("a=b"),
        hop: hop(&arrival, Some(&host)),
        websocket: false,
        read: None,
        upload_pause: Duration::from_secs(1),
        request_id: &id,
        trace: &trace,
        changes: shapes.of(&Operation::new("*", "/*")),
        assertion: Some(HeaderValue::from_static("who")),
    };
    work(&way, &Address::parse("http://pets.example/v1").expect("a URL"))
}

const NAMES: [&str; 24] = [
    "host",
    "x-request-id",
    "authorization",
    "expect",
    "te",
    "keep-alive",
    "proxy-authorization",
    "upgrade",
    "x-original-url",
    "apikey",
    "forwarded",
    "x-real-ip",
    "x-forwarded-for",
    "x_real_ip",
    "sec-websocket-key",
    "traceparent",
    "tracestate",
    "content-length",
    "x-own",
    "accept",
    "via",
    "cookie",
    "connection",
    ASSERTION_NAME,
];
const ASSERTION_NAME: &str = crate::domain::api::transform::ASSERTION;

proptest! {
    #[test]
    fn what_is_written_at_once_is_what_a_changed_map_says(
        given in proptest::collection::vec((0..NAMES.len(), "[ -~]{0,12}"), 0..12),
        length in proptest::option::of(0_u64..100),
        post: bool,
    ) {
        let mut request = Request::builder().method(if post { "POST" } else { "GET" }).uri("/pets/1.0/x?a=b");
        for (name, value) in &given {
            let value = if NAMES[*name] == "connection" { "keep-alive" } else { value.trim() };
            request = request.header(NAMES[*name], value);
        }
        let request = request.body(()).expect("a request");
        with_way(&request, |way, address| {
            let (mut parts, ()) = request.clone().into_parts();
            prop_assume!(is_straight(way, &parts.headers));
            let at_once = write(way, &parts, address, length).expect("a target");
            change(way, &mut parts, address);
            parts.uri = address.uri(way.rest, way.query).expect("a URL");
            let changed = write_changed(&parts, length).expect("a target");
            prop_assert_eq!(lines(&at_once), lines(&changed));
            Ok(())
        })?;
    }
}

#[test]
fn a_head_that_somebody_changes_is_not_written_at_once() {
    for (name, values, straight) in [
        ("connection", &["Keep-Alive, close"][..], true),
        ("connection", &["close, x-own"], false),
        ("cookie", &["a=b"], true),
        ("cookie", &["a=b", "c=d"], false),
    ] {
        let mut request = Request::builder();
        for value in values {
            request = request.header(name, *value);
        }
        let request = request.body(()).expect("a request");
        with_way(&request, |way, _| {
            assert_eq!(is_straight(way, request.headers()), straight, "{name} {values:?}")
        });
    }
}
