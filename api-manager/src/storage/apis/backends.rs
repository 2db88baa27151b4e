//! The backends in the `definition` column. What an older version wrote holds nothing but URLs.

use serde::{Deserialize, Serialize};

use crate::domain::api::upstream::{Balance, CircuitBreaker, Ejection, HealthCheck, Retries};
use crate::domain::api::{Backend, Backends};

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct BackendsRow {
    production: Vec<BackendRow>,
    sandbox: Vec<BackendRow>,
    balance: Option<String>,
    ejection: Option<EjectionRow>,
    health_check: Option<HealthCheckRow>,
    retries: Option<RetriesRow>,
    circuit_breaker: CircuitBreakerRow,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BackendRow {
    Url(String),
    Weighted { url: String, weight: u8 },
}

#[derive(Serialize, Deserialize)]
struct EjectionRow {
    failures: u32,
    seconds: u32,
}

#[derive(Serialize, Deserialize)]
struct HealthCheckRow {
    path: String,
    interval_seconds: u32,
    timeout_seconds: u32,
    healthy_after: u32,
    unhealthy_after: u32,
}

#[derive(Serialize, Deserialize)]
struct RetriesRow {
    attempts: u32,
    budget_percent: u32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct CircuitBreakerRow {
    max_requests: Option<u32>,
    max_pending: Option<u32>,
}

impl BackendsRow {
    pub(super) fn of(backends: &Backends) -> Self {
        let rows = |backends: &[Backend]| backends.iter().map(BackendRow::of).collect();
        let Ejection { failures, seconds } = backends.ejection;
        let Retries { attempts, budget_percent } = backends.retries;
        let CircuitBreaker { max_requests, max_pending } = backends.circuit_breaker;
        Self {
            production: rows(&backends.production),
            sandbox: rows(&backends.sandbox),
            balance: Some(backends.balance.as_str().to_owned()),
            ejection: Some(EjectionRow { failures, seconds }),
            health_check: backends.health_check.as_ref().map(|check| HealthCheckRow {
                path: check.path.clone(),
                interval_seconds: check.interval_seconds,
                timeout_seconds: check.timeout_seconds,
                healthy_after: check.healthy_after,
                unhealthy_after: check.unhealthy_after,
            }),
            retries: Some(RetriesRow { attempts, budget_percent }),
            circuit_breaker: CircuitBreakerRow { max_requests, max_pending },
        }
    }

    /// `None` where a word is unknown.
    pub(super) fn read(self) -> Option<Backends> {
        let balance = match self.balance {
            None => Balance::default(),
            Some(word) => Balance::parse(&word)?,
        };
        let ejection = self.ejection.map(|row| Ejection { failures: row.failures, seconds: row.seconds });
        let retries =
            self.retries.map(|row| Retries { attempts: row.attempts, budget_percent: row.budget_percent });
        let CircuitBreakerRow { max_requests, max_pending } = self.circuit_breaker;
        Some(Backends {
            production: self.production.into_iter().map(BackendRow::read).collect(),
            sandbox: self.sandbox.into_iter().map(BackendRow::read).collect(),
            balance,
            ejection: ejection.unwrap_or_default(),
            health_check: self.health_check.map(|row| HealthCheck {
                path: row.path,
                interval_seconds: row.interval_seconds,
                timeout_seconds: row.timeout_seconds,
                healthy_after: row.healthy_after,
                unhealthy_after: row.unhealthy_after,
            }),
            retries: retries.unwrap_or_default(),
            circuit_breaker: CircuitBreaker { max_requests, max_pending },
        })
    }
}

impl BackendRow {
    /// A plain URL stays readable for the version before.
    fn of(backend: &Backend) -> Self {
        let (url, weight) = (backend.url.clone(), backend.weight);
        if weight == Backend::WEIGHT { Self::Url(url) } else { Self::Weighted { url, weight } }
    }

    fn read(self) -> Backend {
        match self {
            Self::Url(url) => url.into(),
            Self::Weighted { url, weight } => Backend { url, weight },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Backends> {
        serde_json::from_str::<BackendsRow>(text).ok()?.read()
    }

    #[test]
    fn rows_of_an_older_version_get_the_defaults() {
        let backends = read(r#"{"production": ["http://a.example"], "sandbox": []}"#).unwrap();

        assert_eq!(backends, Backends { production: vec!["http://a.example".into()], ..Backends::default() });
        assert_eq!(read("{}"), Some(Backends::default()));
        assert_eq!(read(r#"{"balance": "random"}"#), None);
    }

    #[test]
    fn everything_that_is_written_reads_back() {
        let backends = Backends {
            production: vec![
                "http://a.example".into(),
                Backend { url: "http://b.example".to_owned(), weight: 0 },
            ],
            sandbox: vec!["http://c.example".into()],
            balance: Balance::LeastConnections,
            ejection: Ejection { failures: 0, seconds: 7 },
            health_check: Some(HealthCheck::at("/health".to_owned())),
            retries: Retries { attempts: 3, budget_percent: 5 },
            circuit_breaker: CircuitBreaker { max_requests: Some(9), max_pending: None },
        };

        let text = serde_json::to_string(&BackendsRow::of(&backends)).unwrap();

        assert!(text.contains(r#""production":["http://a.example",{"#), "{text}");
        assert_eq!(read(&text), Some(backends));
    }
}
