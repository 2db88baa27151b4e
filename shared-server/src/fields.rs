//! A JSON body read field by field, so that one answer names every bad field with its remedy.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde_json::{Map, Value};
use shared_claims::field_error::FieldError;
use shared_claims::jose::{Malformed, strict_object};

use crate::problem::Problem;

/// The longest JSON body that is read, in bytes.
pub const LONGEST_BODY: usize = 512 * 1024;
/// How long a body may take.
pub const SLOWEST_BODY: Duration = Duration::from_secs(30);

/// A JSON object under reading. Getters note what is wrong and go on; [`Fields::finish`] reports it all.
///
/// A getter for a required field answers an empty value where the field is bad: it is never used, because `finish`
/// must be asked first and then refuses.
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    known: Vec<&'static str>,
    prefix: String,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads an object in which no name occurs twice.
    ///
    /// # Errors
    /// A 400 [`Problem`] that says what is wrong with the JSON.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        match strict_object(body) {
            Ok(members) => Ok(Self::of(members, String::new())),
            Err(Malformed::DuplicateName) => Err(Problem::bad_request("the JSON body names a member twice")),
            Err(_) => Err(Problem::bad_request("the body must be one JSON object")),
        }
    }

    fn of(members: Map<String, Value>, prefix: String) -> Self {
        Self { members, known: Vec::new(), prefix, errors: Vec::new() }
    }

    /// Notes that `name` is wrong. The rules of a flow report through here as well.
    pub fn blame(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(format!("{}{name}", self.prefix), detail));
    }

    /// Whether `name`, or an item of it, was blamed already: rules that look at the value then have nothing to add.
    #[must_use]
    pub fn is_blamed(&self, name: &str) -> bool {
        let whole = format!("{}{name}", self.prefix);
        self.errors.iter().any(|error| {
            error
                .field
                .strip_prefix(&whole)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        })
    }

    /// Whether the field was sent with a value other than null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text of 1 to `longest` characters that must be there.
    pub fn required_text(&mut self, name: &'static str, longest: usize) -> String {
        let before = self.errors.len();
        let text = self.text(name, longest);
        if text.is_none() && self.errors.len() == before {
            self.blame(name, "is required");
        }
        text.unwrap_or_default()
    }

    /// A text of 1 to `longest` characters, without control characters.
    pub fn text(&mut self, name: &'static str, longest: usize) -> Option<String> {
        let value = self.take(name)?;
        let Value::String(text) = value else {
            self.blame(name, "must be a string");
            return None;
        };
        match text_fault(&text, longest) {
            None => Some(text),
            Some(fault) => {
                self.blame(name, fault);
                None
            }
        }
    }

    /// A text that may hold line breaks, such as PEM; 1 to `longest` bytes.
    pub fn long_text(&mut self, name: &'static str, longest: usize) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if text.trim().is_empty() => self.blame(name, "must not be empty"),
            Value::String(text) if text.len() > longest => {
                self.blame(name, format!("is too long; at most {longest} bytes are accepted"));
            }
            Value::String(text) => return Some(text),
            _ => self.blame(name, "must be a string"),
        }
        None
    }

    /// A list of at most `most` texts of 1 to `longest` characters; `lines` allows line breaks in them.
    pub fn texts(
        &mut self,
        name: &'static str,
        most: usize,
        longest: usize,
        lines: bool,
    ) -> Option<Vec<String>> {
        let items = self.array(name, most)?;
        let mut texts = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let place = format!("{name}[{place}]");
            let Value::String(text) = item else {
                self.blame(&place, "must be a string");
                continue;
            };
            let fault = if lines {
                (text.trim().is_empty())
                    .then(|| "must not be empty".to_owned())
                    .or_else(|| too_long(&text, longest))
            } else {
                text_fault(&text, longest)
            };
            match fault {
                None => texts.push(text),
                Some(fault) => self.blame(&place, fault),
            }
        }
        Some(texts)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            _ => {
                self.blame(name, "must be true or false");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, name: &'static str, bounds: RangeInclusive<i64>) -> Option<i64> {
        let number = self.take(name)?.as_i64().filter(|n| bounds.contains(n));
        if number.is_none() {
            self.blame(name, format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }

    /// One of a few words; the refusal names them all.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.blame(name, format!("must be one of: {}", words.join(", ")));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A nested object, read by `inner`; its bad fields are reported under `name.`.
    pub fn object<T>(&mut self, name: &'static str, inner: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match self.take(name)? {
            Value::Object(members) => Some(self.nested(members, format!("{name}."), inner)),
            _ => {
                self.blame(name, "must be an object");
                None
            }
        }
    }

    /// A list of at most `most` objects, each read by `inner`; bad fields are reported under `name[n].`.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        most: usize,
        mut inner: impl FnMut(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        let items = self.array(name, most)?;
        let mut read = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(members) => {
                    read.push(self.nested(members, format!("{name}[{place}]."), &mut inner))
                }
                _ => self.blame(&format!("{name}[{place}]"), "must be an object"),
            }
        }
        Some(read)
    }

    /// A list of at most `most` items, each a text of 1 to `longest` characters, which `text` reads, or an object, which
    /// `inner` reads; bad ones are reported under `name[n]` and left out.
    pub fn texts_or_objects<T>(
        &mut self,
        name: &'static str,
        (most, longest): (usize, usize),
        text: impl Fn(String) -> Result<T, &'static str>,
        mut inner: impl FnMut(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        let items = self.array(name, most)?;
        let mut read = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let place = format!("{name}[{place}]");
            match item {
                Value::Object(members) => read.push(self.nested(members, format!("{place}."), &mut inner)),
                Value::String(given) => {
                    let fault = text_fault(&given, longest);
                    match fault.map_or_else(|| text(given).map_err(str::to_owned), Err) {
                        Ok(value) => read.push(value),
                        Err(fault) => self.blame(&place, fault),
                    }
                }
                _ => self.blame(&place, "must be a string or an object"),
            }
        }
        Some(read)
    }

    /// Any JSON value, for members whose shape is somebody else's (SCIM).
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.take(name)
    }

    /// Accepts members that are sent but not changed by us, such as the `id` of a resource read before.
    pub fn ignore(&mut self, names: &[&'static str]) {
        for name in names {
            self.known.push(name);
            self.members.remove(*name);
        }
    }

    /// Accepts whatever is left (RFC 7591 section 2 and SCIM ask to ignore what is not known).
    pub fn ignore_rest(&mut self) {
        self.members.clear();
    }

    /// Ends the reading: a member that nobody asked for is wrong too, because a misspelt field would be lost silently.
    ///
    /// # Errors
    /// A 422 [`Problem`] with every bad field.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.blame_unknown();
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::fields(self.errors)) }
    }

    fn nested<T>(
        &mut self,
        members: Map<String, Value>,
        prefix: String,
        inner: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut fields = Self::of(members, format!("{}{prefix}", self.prefix));
        let read = inner(&mut fields);
        fields.blame_unknown();
        self.errors.append(&mut fields.errors);
        read
    }

    fn blame_unknown(&mut self) {
        let unknown: Vec<String> =
            self.members.keys().take(20).map(|name| shared_claims::oauth::printable(name)).collect();
        for name in unknown {
            let known = self.known.join(", ");
            self.blame(&name, format!("is not a field of this resource; the fields are: {known}"));
        }
    }

    fn array(&mut self, name: &'static str, most: usize) -> Option<Vec<Value>> {
        match self.take(name)? {
            Value::Array(items) if items.len() > most => {
                self.blame(name, format!("has too many items; at most {most} are accepted"))
            }
            Value::Array(items) => return Some(items),
            _ => self.blame(name, "must be a list"),
        }
        None
    }
}

fn text_fault(text: &str, longest: usize) -> Option<String> {
    if text.trim().is_empty() {
        return Some("must not be empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Some("must not hold control characters".to_owned());
    }
    too_long(text, longest)
}

fn too_long(text: &str, longest: usize) -> Option<String> {
    (text.chars().count() > longest)
        .then(|| format!("is too long; at most {longest} characters are accepted"))
}

/// Reads a request body of at most `longest` bytes.
///
/// # Errors
/// 413 where it is longer, 400 where it breaks off, 408 where it takes more than 30 seconds.
pub async fn bounded_body(payload: &mut Payload, longest: usize) -> Result<Vec<u8>, Problem> {
    let read = tokio::time::timeout(SLOWEST_BODY, read_body(payload, longest)).await;
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the request body took too long");
    read.map_err(slow)?
}

async fn read_body(payload: &mut Payload, longest: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("the request body broke off"))?;
        if body.len() + chunk.len() > longest {
            let detail = format!("the request body is too long; at most {longest} bytes are read");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl FromRequest for Fields {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json =
            request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|value| {
                let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
            });
        let mut payload = payload.take();
        Box::pin(async move {
            // A form or text/plain is what a foreign page can send without asking (CSRF), so it is never read as JSON.
            if !is_json {
                return Err(Problem::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "send Content-Type: application/json",
                ));
            }
            Self::read(&bounded_body(&mut payload, LONGEST_BODY).await?)
        })
    }
}

#[cfg(test)]
mod tests;
