//! A backend's base URL, and what of a request is put behind it.

use bytes::Bytes;
use http::HeaderValue;
use http::uri::{Authority, Parts, PathAndQuery, Scheme, Uri};
use url::Url;

/// A backend's base URL, taken apart.
pub struct Address {
    /// As the API names it.
    pub url: Box<str>,
    /// Scheme, host and port.
    pub origin: Uri,
    /// The `Host` header.
    pub host: HeaderValue,
    /// Its path as written, for requests that name nothing below it.
    base: Box<str>,
}

impl Address {
    /// Takes an `http` or `https` URL apart; user names, passwords, queries and fragments have no place in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return None,
        };
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let host = url.host_str()?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let host = HeaderValue::try_from(&authority).ok()?;
        let mut parts = Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(Authority::try_from(authority).ok()?);
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let (origin, base) = (Uri::from_parts(parts).ok()?, url.path().into());
        Some(Self { url: text.into(), origin, host, base })
    }

    /// The request target of `rest` below this backend, in parts, with the query byte for byte as it came.
    #[must_use]
    pub fn target<'t>(&'t self, rest: &'t str, query: Option<&'t str>) -> [&'t str; 4] {
        let base =
            if rest.is_empty() { &*self.base } else { self.base.strip_suffix('/').unwrap_or(&self.base) };
        [base, rest, query.map_or("", |_| "?"), query.unwrap_or_default()]
    }

    /// The URL of [`Self::target`].
    #[must_use]
    pub fn uri(&self, rest: &str, query: Option<&str>) -> Option<Uri> {
        let target = self.target(rest, query).concat();
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(target)).ok()?);
        Uri::from_parts(parts).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_path_is_joined_with_the_rest_exactly() {
        for (base, rest, query, joined) in [
            ("http://h", "", None, "http://h/"),
            ("http://h", "/greet", Some("x=1"), "http://h/greet?x=1"),
            ("http://h/", "/greet", Some(""), "http://h/greet?"),
            ("http://h/v1", "", None, "http://h/v1"),
            ("http://h/v1", "/", None, "http://h/v1/"),
            ("http://h/v1/", "", None, "http://h/v1/"),
            ("http://h/v1/", "/a", None, "http://h/v1/a"),
            ("https://h:8443/v1", "/a%20b", Some("%zz"), "https://h:8443/v1/a%20b?%zz"),
            ("http://[::1]:80/", "/a", None, "http://[::1]/a"),
        ] {
            assert_eq!(Address::parse(base).unwrap().uri(rest, query).unwrap().to_string(), joined);
        }
        for bad in ["ftp://h", "h", "http://u:p@h", "http://"] {
            assert!(Address::parse(bad).is_none(), "{bad}");
        }
    }
}
