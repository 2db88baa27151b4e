//! What comes through, what is taken out, what is added.

use super::*;

fn request(version: Version, uri: &str, hosts: &[&str]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(uri);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    request.body(()).unwrap()
}

#[test]
fn one_host_with_an_optional_port_is_named() {
    for good in ["a", "a.example:8244", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443", "a_b~c-d", "a:"] {
        let named = host(&request(Version::HTTP_11, "/", &[good])).unwrap();
        assert_eq!(named.unwrap(), good);
    }
    for bad in [
        "", "a b", "a/b", "u@a", "a,b", "a:x", "a:123456", "[::1", "[]", "[::g]", "[::1]x", "é", "a?b", "a#b",
    ] {
        assert!(host(&request(Version::HTTP_11, "/", &[bad])).is_err(), "{bad}");
    }
    assert!(host(&request(Version::HTTP_11, "/", &[])).is_err());
    assert!(host(&request(Version::HTTP_11, "/", &["a", "a"])).is_err());
    assert_eq!(host(&request(Version::HTTP_10, "/", &[])), Ok(None));
}

#[test]
fn the_authority_counts_and_must_agree_with_the_host_in_http_2() {
    let named = |version, hosts: &[&str]| host(&request(version, "https://a:1/", hosts)).map(Option::unwrap);
    assert_eq!(named(Version::HTTP_11, &["b"]).unwrap(), "a:1");
    assert_eq!(named(Version::HTTP_2, &[]).unwrap(), "a:1");
    assert_eq!(named(Version::HTTP_2, &["A:1"]).unwrap(), "a:1");
    assert!(named(Version::HTTP_2, &["b"]).is_err());
    assert!(named(Version::HTTP_11, &[]).is_err());
    assert!(host(&request(Version::HTTP_2, "https://u@a/", &[])).is_err());
}

#[test]
fn an_id_is_kept_where_it_is_harmless() {
    let id = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REQUEST_ID, value.parse().unwrap());
        }
        request_id(&headers)
    };
    assert_eq!(id(&["abc-1"]), "abc-1");
    for replaced in [&["a b"][..], &[""], &["a", "b"], &[]] {
        assert_eq!(id(replaced).len(), 36);
    }
}

#[test]
fn trailers_cannot_frame_or_speak_for_the_hop() {
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "content-length", "transfer-encoding", "set-cookie", "grpc-status"] {
        trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
    }
    crate::gateway::trailers::clean(&mut trailers);
    let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["grpc-status", "x-sum"]);
}
