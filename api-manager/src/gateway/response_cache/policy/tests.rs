use http::header::VARY;
use proptest::prelude::*;

use super::*;

const NOW: i64 = 784_111_777;

fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, value.parse().unwrap());
    }
    headers
}

fn fresh(lines: &[(HeaderName, &str)]) -> Option<i64> {
    lifetime(StatusCode::OK, &headers(lines), None, false, NOW)
}

#[test]
fn an_answer_is_fresh_for_as_long_as_it_says() {
    let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
    for (lines, seconds) in [
        (vec![(CACHE_CONTROL, "max-age=60")], Some(60)),
        (vec![(CACHE_CONTROL, "max-age=60, s-maxage=5")], Some(5)),
        (vec![(CACHE_CONTROL, "MAX-AGE=\"60\"")], Some(60)),
        (vec![(CACHE_CONTROL, "max-age=60"), (CACHE_CONTROL, "max-age=30")], Some(30)),
        (vec![(CACHE_CONTROL, "max-age=x")], Some(0)),
        (vec![(CACHE_CONTROL, "max-age")], Some(0)),
        (vec![(CACHE_CONTROL, "max-age=-1")], Some(0)),
        (vec![(CACHE_CONTROL, "max-age=99999999999999999999")], Some(MOST_SECONDS)),
        (vec![(CACHE_CONTROL, "max-age=7"), (EXPIRES, "0")], Some(7)),
        (vec![date.clone(), (EXPIRES, "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60)),
        (vec![(EXPIRES, "Sun, 06 Nov 1994 08:49:47 GMT")], Some(10)),
        (vec![date, (EXPIRES, "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
        (vec![(EXPIRES, "0")], Some(0)),
        (vec![(CACHE_CONTROL, "public")], None),
        (vec![], None),
    ] {
        assert_eq!(fresh(&lines), seconds, "{lines:?}");
    }
    let usual = lifetime(StatusCode::OK, &headers(&[]), Some(9), false, NOW);
    let said = lifetime(StatusCode::OK, &headers(&[(CACHE_CONTROL, "max-age=1")]), Some(9), false, NOW);
    assert_eq!((usual, said), (Some(9), Some(1)));
}

#[test]
fn what_must_not_be_stored_is_not() {
    for directive in ["no-store", "private", "no-cache", "private=\"a, b\"", "no-cache=\"x\"", "No-Store"] {
        let text = format!("max-age=60, {directive}");
        assert_eq!(fresh(&[(CACHE_CONTROL, &text)]), None, "{directive}");
    }
    assert_eq!(fresh(&[(CACHE_CONTROL, "max-age=60"), (SET_COOKIE, "a=1")]), None);
    let long = headers(&[(CACHE_CONTROL, "max-age=60")]);
    for status in [100, 201, 206, 302, 304, 401, 403, 500, 503] {
        assert_eq!(lifetime(StatusCode::from_u16(status).unwrap(), &long, Some(9), false, NOW), None);
    }
    // A quoted directive is an argument and no directive.
    assert_eq!(fresh(&[(CACHE_CONTROL, "max-age=60, x=\"a, no-store\"")]), Some(60));
}

#[test]
fn an_answer_to_credentials_needs_to_say_that_it_is_for_all() {
    for (text, kept) in [
        ("max-age=60", None),
        ("max-age=60, public", Some(60)),
        ("max-age=60, must-revalidate", Some(60)),
        ("s-maxage=60", Some(60)),
    ] {
        let said = headers(&[(CACHE_CONTROL, text)]);
        assert_eq!(lifetime(StatusCode::OK, &said, None, true, NOW), kept, "{text}");
    }
}

#[test]
fn an_answer_is_as_old_as_the_oldest_thing_said_of_it() {
    let date = (DATE, "Sun, 06 Nov 1994 08:49:27 GMT");
    assert_eq!(initial_age(&headers(&[]), NOW - 3, NOW), 3);
    assert_eq!(initial_age(&headers(std::slice::from_ref(&date)), NOW, NOW), 10);
    assert_eq!(initial_age(&headers(&[date, (AGE, "20")]), NOW - 3, NOW), 23);
    assert_eq!(initial_age(&headers(&[(AGE, "x")]), NOW, NOW), MOST_SECONDS);
}

#[test]
fn requests_may_ask_for_a_fresher_answer() {
    for (text, age, good) in [
        ("no-cache", 0, false),
        ("max-age=5", 5, true),
        ("max-age=5", 6, false),
        ("max-age=0", 1, false),
        ("min-fresh=10", 50, true),
        ("min-fresh=10", 51, false),
        ("max-stale=99", 59, true),
    ] {
        assert_eq!(satisfies(&headers(&[(CACHE_CONTROL, text)]), age, 60), good, "{text}");
    }
    assert!(!satisfies(&headers(&[(PRAGMA, "no-cache")]), 0, 60));
    assert!(satisfies(&headers(&[(PRAGMA, "no-cache"), (CACHE_CONTROL, "max-age=9")]), 0, 60));
}

#[test]
fn requests_that_the_store_cannot_tell_apart_pass_by() {
    for (name, value) in [
        ("cookie", "a=1"),
        ("range", "bytes=0-1"),
        ("if-match", "*"),
        ("connection", "keep-alive, accept-language"),
        ("x-http-method-override", "DELETE"),
        ("cache-control", "no-store"),
    ] {
        let name = HeaderName::from_static(name);
        assert!(passes_by(&headers(&[(name.clone(), value)])), "{name}");
    }
    assert!(!passes_by(&headers(&[(CONNECTION, "Keep-Alive, TE"), (CACHE_CONTROL, "no-cache")])));
}

#[test]
fn vary_names_what_the_client_sends() {
    let own = HeaderName::from_static("x-caller");
    let of = |text: &str| varies(&headers(&[(VARY, text)]), false, &own);
    assert_eq!(
        of("Accept-Encoding, Authorization, Origin, X-Caller"),
        Varies::By(vec![http::header::ACCEPT_ENCODING])
    );
    for unknown in ["*", "Accept, *", "X-Request-Id", "X-Forwarded-For", "a_b", "a b", "Forwarded"] {
        assert_eq!(of(unknown), Varies::Unknown, "{unknown}");
    }
    let authorized = varies(&headers(&[(VARY, "Authorization")]), true, &own);
    assert_eq!(authorized, Varies::By(vec![AUTHORIZATION]));
}

proptest! {
    #[test]
    fn no_header_panics(text in "[ -~]{0,60}") {
        let all = headers(&[(CACHE_CONTROL, &text), (AGE, &text), (EXPIRES, &text), (DATE, &text), (VARY, &text)]);
        let _ = lifetime(StatusCode::OK, &all, None, true, NOW);
        let _ = (initial_age(&all, NOW, NOW), passes_by(&all), satisfies(&all, 0, 0));
        let _ = varies(&all, true, &AUTHORIZATION);
    }

    #[test]
    fn no_spelling_of_no_store_is_overheard(before in "[a-z=0-9, ]{0,10}", case in 0_u8..4) {
        let word = ["no-store", "NO-STORE", "No-Store", "no-store "][usize::from(case)];
        let text = format!("{before},{word}, max-age=60");
        prop_assert_eq!(fresh(&[(CACHE_CONTROL, &text)]), None);
    }
}
