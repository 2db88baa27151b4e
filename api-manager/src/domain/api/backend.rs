//! Where traffic goes: base URLs of backends.

use std::net::IpAddr;

use url::{Host, Url};

/// The most backends of one key type.
pub const MOST: usize = 10;
/// The longest URL, in characters.
pub const LONGEST: usize = 2_000;

/// Reads a backend's base URL.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse(text: &str) -> Result<Url, &'static str> {
    // The parser would drop or turn these silently, and call another place than the text seems to say.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not hold spaces, control characters or backslashes");
    }
    let url = Url::parse(text).map_err(|_| "must be a URL such as https://backend.example:8443/base")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    // The parser forgives a wrong number of slashes; the next reader may not.
    let names_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
    if !names_host || url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err("must name a host, and a port that can be reached");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not hold a user name or password: it would be shown to everybody who reads the API",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold a query or a fragment; those come with each call");
    }
    Ok(url)
}

/// The address that the URL spells out; `localhost` is one too. Names are judged when they are resolved.
#[must_use]
pub fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
            Some([127, 0, 0, 1].into())
        }
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_and_https_urls_are_backends() {
        for good in ["http://127.0.0.1:8080", "https://b.example/base/", "http://[::1]:80/x"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "b.example",
            "ftp://b.example",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://",
            "http:///x",
            "http:b.example",
            "http://u@b.example",
            "http://u:p@b.example",
            "http://b.example?x=1",
            "http://b.example#x",
            "http://b.example/ x",
            " http://b.example",
            "http://b.example\\@evil.example",
            "http://b.example:0",
            "http://b.example:99999",
            "http://b\u{0}.example",
            "//b.example",
            "unix:/run/x",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_are_recognised_in_every_spelling() {
        for local in [
            "http://127.1/",
            "http://0x7f000001/",
            "http://[::1]/",
            "http://localhost/",
            "http://a.localhost/",
        ] {
            let url = parse(local).unwrap();
            assert!(literal_address(&url).is_some_and(|a| a.is_loopback()), "{local}");
        }
        assert_eq!(literal_address(&parse("http://b.example").unwrap()), None);
    }
}
