//! Who acts in a world. Each verb is one request, or the few that a person would take for one.

mod administrator;
mod application;
mod developer;
mod person;
mod publisher;

use std::sync::Arc;

use serde_json::Value;

pub use administrator::Administrator;
pub use application::{Application, JWT_BEARER};
pub use developer::Developer;
pub use person::{Client, Person, certificate};
pub use publisher::{Api, Publisher, draft};

use crate::client::{Answer, Call, Http};
use crate::world::{ADMIN_PASSWORD, Places};

/// What every actor has: a client, and the addresses.
#[derive(Clone)]
struct Stand {
    http: Http,
    places: Arc<Places>,
}

impl Stand {
    fn new(http: &Http, places: &Arc<Places>) -> Self {
        Self { http: http.clone(), places: Arc::clone(places) }
    }

    /// Sends a request to the management REST as the bootstrap administrator.
    async fn manages(&self, call: Call) -> Answer {
        self.http.send(call.basic("admin", ADMIN_PASSWORD)).await
    }

    fn rest(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.places.manager)
    }

    /// Replaces a resource with itself, changed, under its ETag.
    async fn changes(&self, path: &str, change: &Value) -> Answer {
        let found = self.manages(Call::get(self.rest(path))).await.expect(200);
        let mut resource = found.json();
        if let (Some(resource), Some(change)) = (resource.as_object_mut(), change.as_object()) {
            resource.extend(change.clone());
        }
        let put = Call::put(self.rest(path)).header("if-match", found.header("etag")).json(&resource);
        self.manages(put).await
    }
}
