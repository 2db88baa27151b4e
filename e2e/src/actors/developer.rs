//! Who writes applications and subscribes them to APIs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Api, Application, JWT_BEARER, Stand};
use crate::client::{Answer, Call, Http};
use crate::world::Places;

/// Has applications.
#[derive(Clone)]
pub struct Developer(Stand);

impl Developer {
    /// Somebody at the servers of these places.
    #[must_use]
    pub fn new(http: &Http, places: &Arc<Places>) -> Self {
        Self(Stand::new(http, places))
    }

    /// Makes an application with production keys for the jwt-bearer and refresh grants and client credentials.
    pub async fn registers(&self, name: &str) -> Application {
        let grants = [JWT_BEARER, "refresh_token", "client_credentials"];
        self.registers_with(&json!({ "name": name, "tier": "Unlimited" }), &grants).await
    }

    /// Makes an application of other members, with production keys for the given grants.
    pub async fn registers_with(&self, body: &Value, grants: &[&str]) -> Application {
        let id = self.posts("applications", body).await.expect(201).member("id");
        let keys = json!({ "key_type": "production", "grant_types": grants });
        let keys = self.posts(&format!("applications/{id}/keys"), &keys).await.expect(201);
        let (key, secret) = (keys.member("consumer_key"), keys.member("consumer_secret"));
        Application::new(&self.0.http, &self.0.places, id, key, secret)
    }

    /// Subscribes on the tier Unlimited, and returns the subscription's id.
    pub async fn subscribes(&self, application: &Application, api: &Api) -> String {
        let body = json!({ "application_id": application.id, "api_id": api.id, "tier": "Unlimited" });
        self.posts("subscriptions", &body).await.expect(201).member("id")
    }

    /// Deletes an application.
    pub async fn deletes(&self, application: &Application) -> Answer {
        self.0.manages(Call::delete(self.0.rest(&format!("applications/{}", application.id)))).await
    }

    /// `POST` under `/api/v1/`.
    pub async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.0.manages(Call::post(self.0.rest(path)).json(body)).await
    }
}
