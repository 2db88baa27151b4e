//! `/health/live`, `/health/ready` and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpResponse, web};

use crate::database::Database;
use crate::telemetry::Metrics;

/// Whether this server should be sent traffic: it has migrated, holds its keys or routes, is not stopping, and its
/// database answers.
#[derive(Clone)]
pub struct Health {
    loaded: Arc<AtomicBool>,
    database: Database,
    metrics: Metrics,
}

impl Health {
    /// Not ready until [`Health::set_ready`] says so.
    #[must_use]
    pub fn new(database: Database, metrics: Metrics) -> Self {
        Self { loaded: Arc::new(AtomicBool::new(false)), database, metrics }
    }

    /// Says that everything is loaded, or that the server is stopping.
    pub fn set_ready(&self, ready: bool) {
        self.loaded.store(ready, Ordering::SeqCst);
    }

    /// Whether traffic is welcome.
    pub async fn is_ready(&self) -> bool {
        self.loaded.load(Ordering::SeqCst) && self.database.is_reachable().await
    }
}

/// Mounts the three routes; `Health` must be among the app's data. They need no authentication and reveal nothing.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/health/live", web::get().to(live))
        .route("/health/ready", web::get().to(ready))
        .route("/metrics", web::get().to(metrics));
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "live"}))
}

async fn ready(health: web::Data<Health>) -> HttpResponse {
    if health.is_ready().await {
        HttpResponse::Ok().json(serde_json::json!({"status": "ready"}))
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header(("Retry-After", "1"))
            .json(serde_json::json!({"status": "not ready"}))
    }
}

async fn metrics(health: web::Data<Health>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(health.metrics.render())
}
