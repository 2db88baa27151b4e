//! What is read from headers, and what is made of more than one thing.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "0190e0a4-0000-7000-8000-000000000000";
const KEY: &str = "csk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn presented(lines: &[(HeaderName, &[u8])]) -> Presented {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    Presented::of(&headers, "192.0.2.1".parse().unwrap(), None)
}

fn one(scheme: Scheme, text: &str) -> Choice {
    Choice::One(Credential { scheme, digest: Digest::of(text.as_bytes()) })
}

fn all() -> Schemes {
    Schemes::of(&Scheme::ALL)
}

#[test]
fn the_bearer_scheme_is_read_in_any_case_and_the_token_as_bytes() {
    let read = |values: &[&[u8]]| {
        let lines: Vec<_> = values.iter().map(|value| (AUTHORIZATION, *value)).collect();
        presented(&lines).choose(Schemes::default())
    };
    for value in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}"), format!("BEARER   {TOKEN}")] {
        assert_eq!(read(&[value.as_bytes()]), one(Scheme::Token, TOKEN), "{value}");
    }
    for value in ["Bearer", "Bearer ", "bearer x", "Bearer \u{e9}"] {
        assert_eq!(read(&[value.as_bytes()]), Choice::Junk, "{value}");
    }
    let value = format!("Bearer {TOKEN}");
    assert_eq!(read(&[value.as_bytes(), value.as_bytes()]), Choice::Junk);
    assert_eq!(read(&[b"Basic eDp5"]), Choice::Nothing);
    assert_eq!(read(&[]), Choice::Nothing);
}

#[test]
fn a_jwt_is_told_from_a_token_by_its_shape_and_counts_where_it_is_taken() {
    let jwt = Schemes::of(&[Scheme::Jwt]);
    let read = |text: &str, schemes| {
        presented(&[(AUTHORIZATION, format!("Bearer {text}").as_bytes())]).choose(schemes)
    };
    assert_eq!(read("a.b-_.c", jwt), one(Scheme::Jwt, "a.b-_.c"));
    assert_eq!(read("a.b-_.c", all()), one(Scheme::Jwt, "a.b-_.c"));
    assert_eq!(read("a.b-_.c", Schemes::default()), Choice::Junk);
    assert_eq!(read(TOKEN, jwt), Choice::Junk);
    assert_eq!(read(TOKEN, all()), one(Scheme::Token, TOKEN));
    let long = format!("a.{}.c", "b".repeat(32 * 1_024));
    for junk in ["a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "a.b.c=", "a.b.c d", "a.b.c,", &long] {
        assert_eq!(read(junk, jwt), Choice::Junk, "{junk}");
    }
    assert_eq!(read("a.b.c", Schemes::of(&[Scheme::ApiKey])), Choice::Nothing);
}

#[test]
fn an_api_key_is_one_line_in_its_own_form() {
    assert_eq!(presented(&[(API_KEY, KEY.as_bytes())]).choose(all()), one(Scheme::ApiKey, KEY));
    assert_eq!(presented(&[(API_KEY, b"x")]).choose(all()), Choice::Junk);
    let twice = [(API_KEY, KEY.as_bytes()), (API_KEY, KEY.as_bytes())];
    assert_eq!(presented(&twice).choose(all()), Choice::Junk);
}

#[test]
fn only_what_the_api_takes_counts_and_of_that_only_one_thing() {
    let bearer = format!("Bearer {TOKEN}");
    let both = presented(&[(AUTHORIZATION, bearer.as_bytes()), (API_KEY, KEY.as_bytes())]);
    assert_eq!(both.choose(all()), Choice::Several);
    assert_eq!(both.choose(Schemes::default()), one(Scheme::Token, TOKEN));
    assert_eq!(both.choose(Schemes::of(&[Scheme::ApiKey])), one(Scheme::ApiKey, KEY));
    let junk = presented(&[(AUTHORIZATION, b"Bearer x"), (API_KEY, KEY.as_bytes())]);
    assert_eq!(junk.choose(all()), Choice::Several);
    let basic = presented(&[(AUTHORIZATION, b"Basic eDp5"), (API_KEY, KEY.as_bytes())]);
    assert_eq!(basic.choose(all()), one(Scheme::ApiKey, KEY));
}

#[test]
fn the_page_is_the_referer_or_else_the_origin() {
    let page = |lines: &[(HeaderName, &[u8])]| {
        let mut all = vec![(API_KEY, KEY.as_bytes())];
        all.extend_from_slice(lines);
        presented(&all).from.page.map(String::from)
    };
    assert_eq!(page(&[(REFERER, b"https://a/x"), (ORIGIN, b"https://b")]).as_deref(), Some("https://a/x"));
    assert_eq!(page(&[(ORIGIN, b"https://b")]).as_deref(), Some("https://b"));
    assert_eq!(page(&[(REFERER, b"https://a"), (REFERER, b"https://b")]), None);
    assert_eq!(page(&[(REFERER, b"\xff"), (ORIGIN, b"https://b")]), None);
}

proptest! {
    #[test]
    fn no_header_panics(value in proptest::collection::vec(0x20_u8..0x7f, 0..80)) {
        presented(&[(AUTHORIZATION, &value), (API_KEY, &value), (REFERER, &value)]);
    }
}
