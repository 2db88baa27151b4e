//! What a request shows of who calls, and which of it counts at an API.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, ORIGIN, REFERER};
use shared_claims::secret::Digest;
use shared_claims::{jose, opaque};

use crate::domain::api_key;
use crate::domain::scheme::{Scheme, Schemes};

/// The header of API keys. They are taken from nowhere else: what stands in a URL ends up in logs and histories.
pub const API_KEY: HeaderName = HeaderName::from_static("apikey");

/// A credential as it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Of which kind.
    pub scheme: Scheme,
    /// SHA-256 of it as presented.
    pub digest: Digest,
}

/// Where a call comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledFrom {
    /// The address of the other end of the connection, whatever headers say.
    pub peer: IpAddr,
    /// The page that makes it, as the browser says.
    pub page: Option<Box<str>>,
}

/// What a request shows in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// Nothing that could be ours.
    Junk,
    One(Digest),
}

/// What a request shows as Bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bearer {
    Nothing,
    /// Neither a token of ours nor a JWT.
    Junk,
    Token(Digest),
    /// Three parts with dots between them: text that only its provider's keys can make something of.
    Jwt(Digest, Arc<str>),
}

/// Everything that a request shows of who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    bearer: Bearer,
    api_key: Shown,
    certificate: Shown,
    /// Where it comes from.
    pub from: CalledFrom,
}

/// What of it counts at one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None of the API's schemes was used.
    Nothing,
    /// One was, with something that cannot be ours.
    Junk,
    /// More than one was: whom the caller means to be cannot be told.
    Several,
    /// This one.
    One(Credential),
}

impl Presented {
    /// By a request with these headers, from `peer`, over a connection with this client certificate: what a header says of
    /// one proves nothing.
    #[must_use]
    pub fn of(headers: &HeaderMap, peer: IpAddr, certificate: Option<Digest>) -> Self {
        let api_key = api_key(headers);
        // Only keys ask for it.
        let page = if api_key == Shown::Nothing { None } else { page(headers) };
        let certificate = certificate.map_or(Shown::Nothing, Shown::One);
        Self { bearer: bearer(headers), api_key, certificate, from: CalledFrom { peer, page } }
    }

    /// What counts where `schemes` are taken. What an API does not take is as good as not shown.
    #[must_use]
    pub fn choose(&self, schemes: Schemes) -> Choice {
        let mut chosen = Choice::Nothing;
        for (scheme, shown) in [
            self.bearer_for(schemes),
            (Scheme::ApiKey, self.api_key),
            (Scheme::ClientCertificate, self.certificate),
        ] {
            let one = match shown {
                _ if !schemes.contain(scheme) => continue,
                Shown::Nothing => continue,
                Shown::Junk => Choice::Junk,
                Shown::One(digest) => Choice::One(Credential { scheme, digest }),
            };
            if chosen != Choice::Nothing {
                return Choice::Several;
            }
            chosen = one;
        }
        chosen
    }

    /// The opaque token, where one came.
    #[must_use]
    pub fn token(&self) -> Option<Credential> {
        match &self.bearer {
            Bearer::Token(digest) => Some(Credential { scheme: Scheme::Token, digest: *digest }),
            Bearer::Nothing | Bearer::Junk | Bearer::Jwt(..) => None,
        }
    }

    /// The JWT, where one came.
    #[must_use]
    pub fn jwt(&self) -> Option<&Arc<str>> {
        match &self.bearer {
            Bearer::Jwt(_, text) => Some(text),
            Bearer::Nothing | Bearer::Junk | Bearer::Token(_) => None,
        }
    }

    /// Tokens and JWTs come in the same place: an API that takes one of them only finds nothing but junk in the other.
    fn bearer_for(&self, schemes: Schemes) -> (Scheme, Shown) {
        let taken = if schemes.contain(Scheme::Token) { Scheme::Token } else { Scheme::Jwt };
        match &self.bearer {
            Bearer::Nothing => (taken, Shown::Nothing),
            Bearer::Token(digest) if schemes.contain(Scheme::Token) => (Scheme::Token, Shown::One(*digest)),
            Bearer::Jwt(digest, _) if schemes.contain(Scheme::Jwt) => (Scheme::Jwt, Shown::One(*digest)),
            Bearer::Junk | Bearer::Token(_) | Bearer::Jwt(..) => (taken, Shown::Junk),
        }
    }
}

/// Reads the Bearer token (RFC 6750, section 2.1). The scheme's case does not matter, every other byte does.
fn bearer(headers: &HeaderMap) -> Bearer {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Bearer::Nothing };
    if values.next().is_some() {
        return Bearer::Junk;
    }
    let value = value.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at_checked(space).unwrap_or((value, &[]));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Bearer::Nothing;
    }
    let token = token.trim_ascii_start();
    if let Some(digest) = opaque::presented(token) {
        return Bearer::Token(digest);
    }
    is_jwt(token).map_or(Bearer::Junk, |text| Bearer::Jwt(Digest::of(token), text.into()))
}

/// Whether it has a JWT's shape, which costs less to see than what it says.
fn is_jwt(token: &[u8]) -> Option<&str> {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let mut parts = token.split(|byte| *byte == b'.');
    let is_part = |part: Option<&[u8]>| {
        part.is_some_and(|part| !part.is_empty() && part.iter().all(|b| is_base64url(*b)))
    };
    let has_three = is_part(parts.next()) && is_part(parts.next()) && is_part(parts.next());
    let is_jwt = token.len() <= jose::LONGEST && has_three && parts.next().is_none();
    std::str::from_utf8(token).ok().filter(|_| is_jwt)
}

fn api_key(headers: &HeaderMap) -> Shown {
    let mut values = headers.get_all(API_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Shown::Nothing,
        (Some(_), Some(_)) => Shown::Junk,
        (Some(value), None) => api_key::presented(value.as_bytes()).map_or(Shown::Junk, Shown::One),
    }
}

/// The page that calls: its `Referer`, or its `Origin` where its policy lets no more be known.
fn page(headers: &HeaderMap) -> Option<Box<str>> {
    let only = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    };
    let page = if headers.contains_key(REFERER) { only(REFERER) } else { only(ORIGIN) };
    page.map(Into::into)
}

#[cfg(test)]
mod tests;
