//! One request, as the curl line that a person can paste and as the call that is made: the same bytes.

use e2e::client::Call;
use http::Method;
use serde_json::Value;

/// A request in curl's words.
#[derive(Clone, Debug)]
pub struct Curl {
    method: Method,
    url: String,
    user: Option<(String, String)>,
    bearer: Option<String>,
    body: Option<Body>,
}

#[derive(Clone, Debug)]
enum Body {
    Form(String),
    Json { media_type: &'static str, text: String },
}

impl Curl {
    /// `curl -k URL`
    pub fn get(url: String) -> Self {
        Self { method: Method::GET, url, user: None, bearer: None, body: None }
    }

    /// `-d "name=value&…"`: the values of the demo need no escape.
    pub fn form(url: String, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self { method: Method::POST, body: Some(Body::Form(pairs.join("&"))), ..Self::get(url) }
    }

    /// `-H 'content-type: application/json' -d '…'`
    pub fn json(url: String, body: &Value) -> Self {
        let body = Body::Json { media_type: "application/json", text: body.to_string() };
        Self { method: Method::POST, body: Some(body), ..Self::get(url) }
    }

    /// The same under SCIM's media type (RFC 7644, section 3.1).
    pub fn scim(url: String, body: &Value) -> Self {
        let body = Body::Json { media_type: "application/scim+json", text: body.to_string() };
        Self { method: Method::POST, body: Some(body), ..Self::get(url) }
    }

    /// `-X PUT`
    pub fn put(self) -> Self {
        Self { method: Method::PUT, ..self }
    }

    /// `-u name:secret`
    pub fn user(self, user: &(String, String)) -> Self {
        Self { user: Some(user.clone()), ..self }
    }

    /// `-H "Authorization: Bearer …"`
    pub fn bearer(self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self }
    }

    /// What is sent.
    pub fn call(&self) -> Call {
        let mut call = Call::new(self.method.clone(), &self.url);
        if let Some((name, secret)) = &self.user {
            call = call.basic(name, secret);
        }
        if let Some(token) = &self.bearer {
            call = call.bearer(token);
        }
        match &self.body {
            None => call,
            Some(Body::Form(text)) => {
                call.header("content-type", "application/x-www-form-urlencoded").body(text.clone())
            }
            Some(Body::Json { media_type, text }) => {
                call.header("content-type", media_type).body(text.clone())
            }
        }
    }

    /// The arguments of `curl`, one line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.method == Method::PUT {
            lines.push("-X PUT".to_owned());
        }
        if let Some((name, secret)) = &self.user {
            lines.push(format!("-u {name}:{secret}"));
        }
        if let Some(token) = &self.bearer {
            lines.push(format!("-H \"Authorization: Bearer {token}\""));
        }
        match &self.body {
            None => {}
            Some(Body::Form(text)) => lines.push(format!("-d \"{text}\"")),
            Some(Body::Json { media_type, text }) => {
                lines.push(format!("-H 'content-type: {media_type}'"));
                // A quote inside single quotes has to leave them for a moment.
                lines.push(format!("-d '{}'", text.replace('\'', r"'\''")));
            }
        }
        lines.push(self.url.clone());
        lines
    }
}
