//! The `backends` of an API: as a publisher sends them, and as they are shown.

use serde::Serialize;
use shared_server::fields::Fields;
use utoipa::ToSchema;

use crate::domain::api::upstream::{Balance, CircuitBreaker, Ejection, HealthCheck, Retries};
use crate::domain::api::{Backend, Backends, backend};

/// Where traffic goes, by the type of the key that calls, and how it is spread. What is as by default is not shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Backends)]
pub(super) struct BackendsView {
    production: Vec<BackendView>,
    sandbox: Vec<BackendView>,
    /// round_robin (default; exact to the weights) or least_connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ejection: Option<EjectionView>,
    /// Left out, nobody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<HealthCheckView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<RetriesView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_breaker: Option<CircuitBreakerView>,
}

/// A base URL, with a weight where that is not 1.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Backend)]
pub(super) enum BackendView {
    /// A base URL of weight 1.
    #[schema(example = "https://backend.example:8443/base")]
    Url(String),
    /// A base URL with its share of the traffic, 0 to 100. One of weight 0 gets nothing new; what is in flight ends.
    Weighted { url: String, weight: u8 },
}

/// When a backend that fails gets nothing for a while. Where all are ejected, all are used.
#[derive(Serialize, ToSchema)]
#[schema(as = Ejection)]
pub(super) struct EjectionView {
    /// Failures in a row (no connection, no answer, 502, 503, 504) until it is ejected; default 5, 0 never ejects.
    failures: u32,
    /// For how long; default 30.
    seconds: u32,
}

/// How backends are asked whether they are well. Where none is, calls are 503.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthCheck)]
pub(super) struct HealthCheckView {
    /// Below the base URL; an answer of 200 to 399 is a good one.
    #[schema(example = "/health")]
    path: String,
    /// Default 10.
    interval_seconds: u32,
    /// Default 2.
    timeout_seconds: u32,
    /// Good answers in a row until an unhealthy backend is used again; default 2.
    healthy_after: u32,
    /// Bad ones in a row until it no longer is; default 3.
    unhealthy_after: u32,
}

/// Requests that cannot have had an effect are sent again: nothing was sent, or idempotent and without a body.
#[derive(Serialize, ToSchema)]
#[schema(as = Retries)]
pub(super) struct RetriesView {
    /// Beyond the first; default 1, at most 5.
    attempts: u32,
    /// How many requests of a hundred may be sent again; default 20.
    budget_percent: u32,
}

/// Past either bound of every backend, calls are 503 at once.
#[derive(Serialize, ToSchema)]
#[schema(as = CircuitBreaker)]
pub(super) struct CircuitBreakerView {
    /// Requests to one backend whose answers have not ended; null for no bound.
    max_requests: Option<u32>,
    /// Requests to one backend whose answers have not begun; null for no bound.
    max_pending: Option<u32>,
}

impl BackendsView {
    pub(super) fn of(backends: Backends) -> Self {
        let views = |backends: Vec<Backend>| backends.into_iter().map(BackendView::of).collect();
        Self {
            production: views(backends.production),
            sandbox: views(backends.sandbox),
            balance: unless_default(backends.balance).map(Balance::as_str),
            ejection: unless_default(backends.ejection)
                .map(|Ejection { failures, seconds }| EjectionView { failures, seconds }),
            health_check: backends.health_check.map(|check| HealthCheckView {
                path: check.path,
                interval_seconds: check.interval_seconds,
                timeout_seconds: check.timeout_seconds,
                healthy_after: check.healthy_after,
                unhealthy_after: check.unhealthy_after,
            }),
            retries: unless_default(backends.retries)
                .map(|Retries { attempts, budget_percent }| RetriesView { attempts, budget_percent }),
            circuit_breaker: unless_default(backends.circuit_breaker).map(
                |CircuitBreaker { max_requests, max_pending }| CircuitBreakerView {
                    max_requests,
                    max_pending,
                },
            ),
        }
    }

    /// For those who do not run the API.
    pub(super) fn hidden() -> Self {
        Self {
            production: Vec::new(),
            sandbox: Vec::new(),
            balance: None,
            ejection: None,
            health_check: None,
            retries: None,
            circuit_breaker: None,
        }
    }
}

fn unless_default<T: Default + PartialEq>(value: T) -> Option<T> {
    Some(value).filter(|value| *value != T::default())
}

impl BackendView {
    fn of(Backend { url, weight }: Backend) -> Self {
        if weight == Backend::WEIGHT { Self::Url(url) } else { Self::Weighted { url, weight } }
    }
}

/// Reads the members of `backends`.
pub(super) fn read(fields: &mut Fields) -> Backends {
    Backends {
        production: list(fields, "production"),
        sandbox: list(fields, "sandbox"),
        balance: fields
            .word("balance", &Balance::ALL.map(|balance| (balance.as_str(), balance)))
            .unwrap_or_default(),
        ejection: fields.object("ejection", ejection).unwrap_or_default(),
        health_check: fields.object("health_check", health_check),
        retries: fields.object("retries", retries).unwrap_or_default(),
        circuit_breaker: fields.object("circuit_breaker", circuit_breaker).unwrap_or_default(),
    }
}

fn list(fields: &mut Fields, name: &'static str) -> Vec<Backend> {
    let plain = |url: String| backend::parse(&url).map(|_| url.into());
    let weighted = |item: &mut Fields| {
        let url = item.required_text("url", backend::LONGEST);
        if let Some(fault) = backend::parse(&url).err().filter(|_| !item.is_blamed("url")) {
            item.blame("url", fault);
        }
        let weight = item.integer("weight", Backend::WEIGHTS).and_then(|weight| u8::try_from(weight).ok());
        Backend { url, weight: weight.unwrap_or(Backend::WEIGHT) }
    };
    let backends = fields.texts_or_objects(name, (backend::MOST, backend::LONGEST), plain, weighted);
    let backends = backends.unwrap_or_default();
    for (place, one) in backends.iter().enumerate() {
        let is_twice = backends.iter().take(place).any(|earlier| earlier.url == one.url);
        if is_twice && !fields.is_blamed(name) {
            fields.blame(&format!("{name}[{place}]"), "is there twice; name it once, with a greater weight");
        }
    }
    backends
}

fn ejection(fields: &mut Fields) -> Ejection {
    let default = Ejection::default();
    Ejection {
        failures: whole(fields, "failures", Ejection::FAILURES).unwrap_or(default.failures),
        seconds: whole(fields, "seconds", Ejection::SECONDS).unwrap_or(default.seconds),
    }
}

fn health_check(fields: &mut Fields) -> HealthCheck {
    let path = fields.required_text("path", HealthCheck::LONGEST_PATH);
    let path = HealthCheck::parse_path(&path).unwrap_or_else(|fault| {
        if !path.is_empty() {
            fields.blame("path", fault);
        }
        path
    });
    let default = HealthCheck::at(path);
    let mut read = |name, bounds, default| whole(fields, name, bounds).unwrap_or(default);
    HealthCheck {
        interval_seconds: read("interval_seconds", HealthCheck::INTERVALS, default.interval_seconds),
        timeout_seconds: read("timeout_seconds", HealthCheck::TIMEOUTS, default.timeout_seconds),
        healthy_after: read("healthy_after", HealthCheck::IN_A_ROW, default.healthy_after),
        unhealthy_after: read("unhealthy_after", HealthCheck::IN_A_ROW, default.unhealthy_after),
        path: default.path,
    }
}

fn retries(fields: &mut Fields) -> Retries {
    let default = Retries::default();
    Retries {
        attempts: whole(fields, "attempts", Retries::ATTEMPTS).unwrap_or(default.attempts),
        budget_percent: whole(fields, "budget_percent", Retries::BUDGETS).unwrap_or(default.budget_percent),
    }
}

fn circuit_breaker(fields: &mut Fields) -> CircuitBreaker {
    CircuitBreaker {
        max_requests: whole(fields, "max_requests", CircuitBreaker::BOUNDS),
        max_pending: whole(fields, "max_pending", CircuitBreaker::BOUNDS),
    }
}

fn whole(fields: &mut Fields, name: &'static str, bounds: std::ops::RangeInclusive<i64>) -> Option<u32> {
    fields.integer(name, bounds).and_then(|number| u32::try_from(number).ok())
}
