//! What limits a call: the tiers of application, subscription, operation and API, and what the API's backend can bear.
//!
//! The buckets outlive the tables: a change of an API refills nothing. A table holds them by reference, so that a request
//! finds its own without a look-up.

pub mod shared;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use shared_claims::clock::{Clock, UnixTime};

use super::spare::Buffer;
use super::throttle::{Bucket, Rate, Remaining, RetryAfter};
use crate::ahead::fetch;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::tier::Limit;
use crate::ticker::{Moment, SECOND, Ticker};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const BUSY: &str = "This API takes no more requests at the moment. Please try again.";

/// What a bucket limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// All calls of an application.
    Application(ApplicationId),
    /// Its calls of one API. Not the subscription's id: whoever subscribes anew gets no new bucket.
    Subscription(ApplicationId, ApiId),
    /// All calls of one operation, by its number.
    Operation(ApiId, u64),
    /// All calls of an API, by its tier.
    ApiTier(ApiId),
    /// All calls that reach an API's backend.
    Api(ApiId),
}

/// The kinds of [`Key`]s: of a limit that is spent nothing else is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Application,
    Subscription,
    Operation,
    ApiTier,
    Api,
}

impl Kind {
    fn of(key: Key) -> Self {
        match key {
            Key::Application(_) => Self::Application,
            Key::Subscription(..) => Self::Subscription,
            Key::Operation(..) => Self::Operation,
            Key::ApiTier(_) => Self::ApiTier,
            Key::Api(_) => Self::Api,
        }
    }

    /// Whether other people's calls count as well.
    fn is_shared(self) -> bool {
        match self {
            Self::Application | Self::Subscription => false,
            Self::Operation | Self::ApiTier | Self::Api => true,
        }
    }
}

/// Every bucket there is.
pub struct Buckets {
    ticker: Ticker,
    made: Mutex<HashMap<Key, Arc<Bucket>, RandomState>>,
}

impl Buckets {
    /// None yet. Their time is monotonic, unless `clock` is moved by hand.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { ticker: Ticker::new(clock), made: Mutex::default() }
    }

    /// A moment, in nanoseconds.
    #[must_use]
    pub fn at(&self, moment: Moment) -> u64 {
        self.ticker.at(moment)
    }

    /// The application's or the subscription's bucket with its tier's rate; `None` for a tier without a limit.
    #[must_use]
    pub fn by_tier(&self, key: Key, limit: Option<&Limit>) -> Option<Limited> {
        let limit = limit?;
        let is_burst = limit.burst.is_some_and(|burst| burst < limit.requests);
        let (kind, rate, bucket) = (Kind::of(key), Rate::of(limit), self.bucket(key));
        Some(Limited { kind, rate, most: limit.requests, is_burst, bucket })
    }

    /// The API's bucket.
    #[must_use]
    pub fn by_max_tps(&self, api: ApiId, max_tps: Option<u32>) -> Option<Limited> {
        let most = max_tps?;
        let bucket = self.bucket(Key::Api(api));
        Some(Limited { kind: Kind::Api, rate: Rate::per_second(most), most, is_burst: false, bucket })
    }

    fn bucket(&self, key: Key) -> Arc<Bucket> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(key).or_default())
    }

    /// Forgets the buckets that no table refers to, once they are full: what they limited may come back before.
    pub fn forget_unused(&self) {
        let now = self.ticker.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_full(now));
    }
}

/// A bucket with the rate that it has now. Small, for there are as many as subscriptions, and each call of another API reads
/// one that is not at hand.
#[derive(Clone)]
pub struct Limited {
    kind: Kind,
    rate: Rate,
    /// What the headers name as the limit.
    most: u32,
    /// Whether no more than a part of it may come at once.
    is_burst: bool,
    bucket: Arc<Bucket>,
}

/// Takes one call from each of `limits`, or from none.
///
/// All are looked at before any is taken from. Where another call was faster between the two, what was taken is put back;
/// the narrowest limit comes first, so that what is held meanwhile is held against calls that the next would refuse too.
///
/// # Errors
/// The first limit that is spent.
pub fn take_all<'l>(
    limits: impl Iterator<Item = &'l Limited> + Clone,
    now: u64,
    wall: UnixTime,
) -> Result<Option<Standing>, Throttled> {
    for limited in limits.clone() {
        limited.bucket.look(limited.rate, now).map_err(|wait| limited.refuse(wait, wall))?;
    }
    let mut tightest: Option<Standing> = None;
    for (held, limited) in limits.clone().enumerate() {
        match limited.bucket.take(limited.rate, now) {
            Ok(remaining) => {
                let tighter = tightest.is_none_or(|standing| remaining.tokens < standing.remaining);
                // How busy an API is with other people's calls is not the caller's business.
                if tighter && !limited.kind.is_shared() {
                    tightest = Some(Standing::of(limited, remaining));
                }
            }
            Err(wait) => {
                limits.take(held).for_each(|other| other.bucket.put_back(other.rate));
                return Err(limited.refuse(wait, wall));
            }
        }
    }
    Ok(tightest)
}

impl Limited {
    /// Has its bucket fetched.
    pub fn fetch(&self) {
        fetch(&*self.bucket);
    }

    fn refuse(&self, RetryAfter(wait): RetryAfter, wall: UnixTime) -> Throttled {
        let seconds = seconds(wait);
        let next = wall.plus(i64::try_from(seconds).unwrap_or(i64::MAX));
        Throttled { kind: self.kind, is_burst: self.is_burst, most: self.most, seconds, next }
    }
}

/// Whole seconds, rounded up: whoever waits so long gets through.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(SECOND)
}

/// How a limited caller stands with the limit that it is closest to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    most: u32,
    remaining: u64,
    full_after: u64,
}

impl Standing {
    fn of(limited: &Limited, remaining: Remaining) -> Self {
        Self { most: limited.most, remaining: remaining.tokens, full_after: seconds(remaining.full_after) }
    }

    /// Tells the caller, whatever a backend said about limits of its own.
    pub fn tell(self, headers: &mut HeaderMap) {
        tell(headers, self.most, self.remaining, self.full_after);
    }
}

fn tell(headers: &mut HeaderMap, most: u32, remaining: u64, reset: u64) {
    // One place for all three: it is made for every answer.
    let mut text = Buffer::with_room(48);
    let ends = [u64::from(most), remaining, reset].map(|number| {
        // To write to memory does not fail.
        let _ = write!(*text, "{number}");
        text.len()
    });
    let mut text = text.shared();
    let mut taken = 0;
    for (name, end) in [LIMIT, REMAINING, RESET].into_iter().zip(ends) {
        // Digits are fit for any header.
        if let Ok(value) = HeaderValue::from_maybe_shared(text.split_to(end - taken)) {
            headers.insert(name, value);
        }
        taken = end;
    }
}

/// A limit is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    kind: Kind,
    is_burst: bool,
    most: u32,
    seconds: u64,
    next: UnixTime,
}

impl Throttled {
    /// 429, or 503 where it is the API and not the caller who is too busy.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Api => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Application | Kind::Subscription | Kind::Operation | Kind::ApiTier => {
                StatusCode::TOO_MANY_REQUESTS
            }
        }
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.kind {
            Kind::Application => "application_limit",
            Kind::Subscription => "subscription_limit",
            Kind::Operation => "operation_limit",
            Kind::ApiTier => "api_limit",
            Kind::Api => "api_max_tps",
        }
    }

    /// Code, message and description of the body.
    #[must_use]
    pub fn words(&self) -> (&'static str, &'static str, String) {
        let (code, message) = match (self.kind, self.is_burst) {
            (Kind::Application, false) => ("900803", "Message throttled out"),
            (Kind::Application, true) => ("900809", "Message throttled out"),
            (Kind::Subscription, false) => ("900804", "Message throttled out"),
            (Kind::Subscription, true) => ("900807", "Message throttled out"),
            (Kind::Operation, _) => ("900802", "Message throttled out"),
            (Kind::ApiTier, _) => ("900800", "Message throttled out"),
            (Kind::Api, _) => return ("900801", "API Limit Reached", BUSY.to_owned()),
        };
        let next = self.next_access_time();
        (code, message, format!("You have exceeded your quota .You can access API after {next}"))
    }

    /// When a call gets through again, as the original writes it: `2026-Jan-31 12:00:00+0000 UTC`.
    #[must_use]
    pub fn next_access_time(&self) -> String {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let moment = self.next.rfc3339();
        let mut parts = moment.trim_end_matches('Z').split(['-', 'T']);
        let mut part = || parts.next().unwrap_or_default();
        let (year, month, day, time) = (part(), part(), part(), part());
        let month = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
        format!("{year}-{}-{day} {time}+0000 UTC", month.unwrap_or(&"Jan"))
    }

    /// `Retry-After` and where the caller stands.
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(RETRY_AFTER, HeaderValue::from(self.seconds));
        if !matches!(self.kind, Kind::Api) {
            tell(headers, self.most, 0, self.seconds);
        }
    }
}

#[cfg(test)]
mod tests;
