//! What the gateway changes of the messages that pass: headers and query parameters by literal text, and paths by the
//! names of an operation's own.
//!
//! Values are literal: a template filled from a request would let a caller write headers and parameters.

use std::collections::BTreeSet;

use super::operation::parse_path;

/// The most entries of one list.
pub const MOST: usize = 20;
/// The longest name, in characters.
pub const LONGEST_NAME: usize = 100;
/// The longest value, in characters.
pub const LONGEST_VALUE: usize = 1_000;
/// Where the backend hears who calls, unless an API names another header.
pub const ASSERTION: &str = "x-jwt-assertion";

/// What is changed of an API's or an operation's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transforms {
    /// Of requests' headers.
    pub request_headers: Edits,
    /// Of requests' query parameters.
    pub query: Edits,
    /// Of answers' headers.
    pub response_headers: Edits,
}

/// Made in this order: first `remove`, then `set`, then `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Takes the place of whatever has the name.
    pub set: Vec<(String, String)>,
    /// Comes after whatever has the name.
    pub add: Vec<(String, String)>,
    /// Is taken away.
    pub remove: Vec<String>,
}

impl Transforms {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request_headers.is_empty() && self.query.is_empty() && self.response_headers.is_empty()
    }
}

impl Edits {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }

    /// Every name, with the list that it stands in.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let set = self.set.iter().map(|(name, _)| ("set", name.as_str()));
        let add = self.add.iter().map(|(name, _)| ("add", name.as_str()));
        set.chain(add).chain(self.remove.iter().map(|name| ("remove", name.as_str())))
    }
}

/// Meant for one hop, about a message's frame or place, or the gateway's own word to the backend.
const KEPT: [&str; 17] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "expect",
    "via",
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "x-original-url",
    "x-rewrite-url",
    "traceparent",
    "tracestate",
];
const KEPT_FAMILIES: [&str; 5] = ["proxy-", "x-forwarded", "sec-websocket-", "x-ratelimit-", ":"];
/// The gateway's own word to the client.
const KEPT_IN_ANSWERS: [&str; 5] = ["age", "alt-svc", "cache-status", "date", "server-timing"];

/// A header that the gateway keeps to itself.
fn is_kept(lower: &str) -> bool {
    // Names with `_` never pass: CGI-style backends cannot tell them from those with `-`.
    lower.contains('_')
        || KEPT.contains(&lower)
        || KEPT_FAMILIES.iter().any(|family| lower.starts_with(family))
}

fn token(text: &str) -> Result<String, &'static str> {
    const REMEDY: &str = "must be the name of a header, such as X-Tenant";
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(REMEDY);
    }
    if text.len() > LONGEST_NAME {
        return Err("is too long; at most 100 characters are accepted");
    }
    Ok(text.to_ascii_lowercase())
}

/// Reads the name of a header of requests.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_request_header(text: &str) -> Result<(), &'static str> {
    let lower = token(text)?;
    match lower.as_str() {
        "authorization" => Err("is not for transforms; forward_authorization says whether it passes"),
        ASSERTION => Err("is the gateway's own; backend_jwt says whether it is sent"),
        lower if is_kept(lower) => Err("is a header that the gateway itself takes care of"),
        _ => Ok(()),
    }
}

/// Reads the name of a header of answers.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_response_header(text: &str) -> Result<(), &'static str> {
    let lower = token(text)?;
    if is_kept(&lower) || KEPT_IN_ANSWERS.contains(&lower.as_str()) {
        return Err("is a header that the gateway itself takes care of");
    }
    Ok(())
}

/// Reads the header in which a backend hears who calls; it is kept in lower case.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_assertion_header(text: &str) -> Result<String, &'static str> {
    const TAKEN: &str = "means something else in HTTP; choose a name such as X-Caller-JWT";
    let lower = token(text)?;
    if lower == ASSERTION {
        return Ok(lower);
    }
    parse_request_header(&lower)?;
    let families = ["accept", "access-control-", "cache-", "content-", "cookie", "grpc-", "if-", "sec-"];
    let words =
        ["apikey", "date", "dnt", "from", "origin", "pragma", "range", "referer", "user-agent", "vary"];
    if families.iter().any(|family| lower.starts_with(family)) || words.contains(&lower.as_str()) {
        return Err(TAKEN);
    }
    Ok(lower)
}

/// Reads a header's value: printable ASCII (RFC 9110, section 5.5, without its leftovers).
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_header_value(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST_VALUE {
        return Err("is too long; at most 1000 characters are accepted");
    }
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || text.trim() != text {
        return Err("must be printable ASCII without spaces at its ends");
    }
    Ok(())
}

/// Reads the name of a query parameter, as the text it stands for.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_parameter(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.chars().count() > LONGEST_NAME {
        return Err("is too long; at most 100 characters are accepted");
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters");
    }
    Ok(())
}

/// Reads the value of a query parameter, as the text it stands for; it may be empty.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_parameter_value(text: &str) -> Result<(), &'static str> {
    if text.chars().count() > LONGEST_VALUE {
        return Err("is too long; at most 1000 characters are accepted");
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters");
    }
    Ok(())
}

/// Reads what takes the place of `path`, an operation's: its names may be used, each as often as one likes, and `/*` at
/// the end where the path ends so too.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_rewrite(text: &str, path: &str) -> Result<String, &'static str> {
    // A name may be used twice here, which no path may declare.
    let mut seen = BTreeSet::new();
    let once: Vec<String> = text
        .split('/')
        .enumerate()
        .map(|(place, segment)| match segment {
            _ if segment.starts_with('{') && !seen.insert(segment) => format!("again{place}"),
            _ => segment.to_owned(),
        })
        .collect();
    parse_path(&once.join("/"))?;
    let declared: Vec<&str> = path.split('/').collect();
    if seen.iter().any(|name| !declared.contains(name)) {
        return Err("holds a name that the path does not declare");
    }
    if text.ends_with("/*") && !path.ends_with("/*") {
        return Err("ends in /* though the path does not");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_takes_care_of_cannot_be_changed() {
        for name in [
            "Connection",
            "TE",
            "Transfer-Encoding",
            "Content-Length",
            "Host",
            "Authorization",
            "Proxy-Authorization",
            "X-JWT-Assertion",
            "x-request-id",
            "Via",
            "Forwarded",
            "X-Forwarded-For",
            "X_Tenant",
            "Sec-WebSocket-Key",
            "traceparent",
            "",
            "a b",
            "a:b",
            "a\r\nb",
        ] {
            assert!(parse_request_header(name).is_err(), "{name:?}");
        }
        for name in ["Age", "Date", "Via", "X-RateLimit-Limit", "Content-Length", "Trailer", "Cache-Status"] {
            assert!(parse_response_header(name).is_err(), "{name:?}");
        }
        for name in ["X-Tenant", "Accept-Encoding", "Cookie", "Cache-Control"] {
            assert!(parse_request_header(name).is_ok() && parse_response_header(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_header_value_is_one_line_of_printable_ascii() {
        for good in ["", "a", "a b; c=\"d\""] {
            assert!(parse_header_value(good).is_ok(), "{good}");
        }
        for bad in [" a", "a ", "a\r\nb: c", "a\tb", "é", "\u{7f}", &"a".repeat(1_001)] {
            assert!(parse_header_value(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_callers_header_is_none_that_http_means_something_by() {
        assert_eq!(parse_assertion_header("X-Caller-JWT").as_deref(), Ok("x-caller-jwt"));
        assert_eq!(parse_assertion_header("X-JWT-Assertion").as_deref(), Ok(ASSERTION));
        for bad in
            ["Authorization", "Host", "Cookie", "Content-Type", "Accept", "If-Match", "x_jwt", "", "a b"]
        {
            assert!(parse_assertion_header(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rewrite_uses_names_of_its_path_only() {
        for (text, path) in [
            ("/v2/cats/{id}", "/cats/{id}"),
            ("/{b}/{a}/{b}", "/x/{a}/{b}"),
            ("/archive/*", "/files/*"),
            ("/archive", "/files/*"),
            ("/", "/x"),
        ] {
            assert_eq!(parse_rewrite(text, path).as_deref(), Ok(text));
        }
        for (text, path) in [
            ("/v2/{name}", "/cats/{id}"),
            ("/v2/*", "/cats/{id}"),
            ("/../x", "/x"),
            ("x", "/x"),
            ("//x", "/x"),
            ("/a%2fb", "/x"),
            ("/a?b=c", "/x"),
            ("/x{id}", "/{id}"),
            ("", "/x"),
        ] {
            assert!(parse_rewrite(text, path).is_err(), "{text:?}");
        }
    }
}
