//! A small HTTP client for tests and the demo: takes any certificate, follows nothing, keeps the whole answer.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use shared_server::outbound::{Connector, OutboundPolicy};

/// The client; a clone shares its connections.
#[derive(Clone)]
pub struct Http(Client<Connector, Full<Bytes>>);

/// A request that is being written.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Every header.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What connects to loopback too, and trusts every certificate.
///
/// # Panics
/// OpenSSL makes no TLS settings.
#[must_use]
pub fn connector() -> Connector {
    let policy = OutboundPolicy {
        allow_private: true,
        verify_tls: false,
        ca: None,
        connect_timeout: Duration::from_secs(10),
    };
    Connector::new(policy, false).expect("no certificates are given that could be unusable")
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// A client that trusts every certificate and may reach loopback.
    #[must_use]
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build(connector()))
    }

    /// Sends the request and reads the answer.
    ///
    /// # Errors
    /// There is no whole answer; the text says why.
    pub async fn try_send(&self, call: Call) -> Result<Answer, String> {
        let Call { method, url, headers, body } = call;
        let described = format!("{method} {url}");
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .body(Full::new(body))
            .map_err(|why| why.to_string())?;
        *request.headers_mut() = headers;
        let answer = self.0.request(request).await.map_err(|why| format!("{described}: {}", chain(&why)))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|why| format!("{described}: {}", chain(&why)))?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// As [`Http::try_send`], for a test that expects an answer of whatever status.
    ///
    /// # Panics
    /// There is none.
    pub async fn send(&self, call: Call) -> Answer {
        match self.try_send(call).await {
            Ok(answer) => answer,
            Err(why) => panic!("{why}"),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Call {
    /// A request without headers and body. The URL goes out as it is written.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// `GET`
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// `POST`
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// `PUT`
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::PUT, url)
    }

    /// `DELETE`
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Sets or adds a header.
    ///
    /// # Panics
    /// The name or the value cannot be sent in HTTP.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        self
    }

    /// `Authorization: Basic`, the parts joined as they are (RFC 7617), which is what `curl -u` does.
    #[must_use]
    pub fn basic(self, name: &str, secret: &str) -> Self {
        self.header("authorization", &format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))))
    }

    /// `Authorization: Bearer`
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// A form-urlencoded body.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        self.header("content-type", "application/x-www-form-urlencoded").body(body.finish())
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// A body without a content type.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A text member of the JSON body; empty where it is missing.
    #[must_use]
    pub fn member(&self, name: &str) -> String {
        self.json().get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A header; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// `WWW-Authenticate`
    #[must_use]
    pub fn challenge(&self) -> &str {
        self.header("www-authenticate")
    }

    /// The status with the `error` of RFC 6749, section 5.2, or the `code` of the gateway.
    #[must_use]
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let word = body.get("error").or_else(|| body.get("code")).and_then(Value::as_str).unwrap_or_default();
        (self.status, word.to_owned())
    }

    /// The access token of a successful token request.
    ///
    /// # Panics
    /// The request was refused.
    #[must_use]
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "no token: {}", self.text());
        let token = self.member("access_token");
        assert!(!token.is_empty(), "no token: {}", self.text());
        token
    }

    /// The answer itself, if it has this status.
    ///
    /// # Panics
    /// It has another one.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
