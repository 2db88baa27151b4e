//! What other origins' pages may do with an API.

use url::Url;

use super::Cors;

/// Reads an origin (RFC 6454): scheme, host and port and nothing else; or `*`.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_origin(text: &str) -> Result<String, &'static str> {
    const REMEDY: &str = "must be * or an origin such as https://app.example:8443, without a path";
    if text == "*" {
        return Ok(text.to_owned());
    }
    let url = Url::parse(text).ok().filter(|_| !text.contains('*')).ok_or(REMEDY)?;
    // Browsers send exactly this spelling, and it is compared byte for byte.
    let origin = url.origin().ascii_serialization();
    if matches!(url.scheme(), "http" | "https") && origin == text { Ok(origin) } else { Err(REMEDY) }
}

/// Reads a header's name (RFC 9110, section 5.1); `*` is allowed, as in `Access-Control-Allow-Headers`.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_header(text: &str) -> Result<String, &'static str> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(is_token) {
        return Ok(text.to_owned());
    }
    Err("must be the name of a header, such as X-Requested-With")
}

impl Cors {
    /// What is wrong with the parts taken together: the member and the reason.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if self.allow_origins.is_empty() {
            faults.push((
                "allow_origins",
                "must name an origin, or *; leave cors out to leave it to the backend",
            ));
        }
        // The Fetch standard refuses this answer in every browser.
        if self.allow_credentials && self.allow_origins.iter().any(|origin| origin == "*") {
            faults.push(("allow_credentials", "cannot be combined with the origin *; name the origins"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path_and_its_canonical_spelling() {
        for good in ["*", "https://app.example", "http://localhost:3000"] {
            assert_eq!(parse_origin(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "null",
            "app.example",
            "https://app.example/",
            "https://APP.example",
            "https://a.example:443",
            "ftp://a",
            "https://*.example",
        ] {
            assert!(parse_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_origin_with_credentials_is_refused() {
        let cors =
            Cors { allow_origins: vec!["*".to_owned()], allow_headers: Vec::new(), allow_credentials: true };
        assert_eq!(cors.faults()[0].0, "allow_credentials");
        let empty = Cors { allow_origins: Vec::new(), allow_headers: Vec::new(), allow_credentials: false };
        assert_eq!(empty.faults()[0].0, "allow_origins");
    }

    #[test]
    fn a_header_name_is_a_token() {
        assert!(parse_header("X-Requested-With").is_ok());
        for bad in ["", "a b", "a:b", "a\r\nb", "é"] {
            assert!(parse_header(bad).is_err(), "{bad:?}");
        }
    }
}
