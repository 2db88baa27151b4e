//! What a request shows of who calls, and which of it counts at an API.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, ORIGIN, REFERER};
use shared_claims::opaque;
use shared_claims::secret::Digest;

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

/// Everything that a request shows of who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    bearer: Shown,
    api_key: Shown,
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
    /// By a request with these headers, from `peer`.
    #[must_use]
    pub fn of(headers: &HeaderMap, peer: IpAddr) -> Self {
        let api_key = api_key(headers);
        // Only keys ask for it.
        let page = if api_key == Shown::Nothing { None } else { page(headers) };
        Self { bearer: bearer(headers), api_key, from: CalledFrom { peer, page } }
    }

    /// What counts where `schemes` are taken. What an API does not take is as good as not shown.
    #[must_use]
    pub fn choose(&self, schemes: Schemes) -> Choice {
        let mut chosen = Choice::Nothing;
        for (scheme, shown) in [(Scheme::Token, self.bearer), (Scheme::ApiKey, self.api_key)] {
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
}

/// Reads the Bearer token (RFC 6750, section 2.1). The scheme's case does not matter, every other byte does.
fn bearer(headers: &HeaderMap) -> Shown {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Shown::Nothing };
    if values.next().is_some() {
        return Shown::Junk;
    }
    let value = value.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at_checked(space).unwrap_or((value, &[]));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Shown::Nothing;
    }
    opaque::presented(token.trim_ascii_start()).map_or(Shown::Junk, Shown::One)
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
