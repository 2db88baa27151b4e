//! Who puts APIs behind the gateway.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Stand;
use crate::client::{Answer, Call, Http};
use crate::world::Places;

/// Publishes APIs.
#[derive(Clone)]
pub struct Publisher(Stand);

/// A published API, version `1.0`.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its id.
    pub id: String,
    /// The first segment of its paths.
    pub context: String,
}

impl Publisher {
    /// Somebody at the servers of these places.
    #[must_use]
    pub fn new(http: &Http, places: &Arc<Places>) -> Self {
        Self(Stand::new(http, places))
    }

    /// Publishes an API that has `GET /*` and `POST /*`.
    pub async fn publishes(&self, context: &str, backend: &str) -> Api {
        let operations = json!([{ "method": "GET", "path": "/*" }, { "method": "POST", "path": "/*" }]);
        self.publishes_with(context, backend, &json!({ "operations": operations })).await
    }

    /// Publishes an API with further members, `operations` among them.
    pub async fn publishes_with(&self, context: &str, backend: &str, members: &Value) -> Api {
        let mut body = draft(context, backend);
        if let (Some(body), Some(members)) = (body.as_object_mut(), members.as_object()) {
            body.extend(members.clone());
        }
        let id = self.drafts(&body).await.expect(201).member("id");
        let api = Api { id, context: context.to_owned() };
        self.moves(&api, "publish").await;
        api
    }

    /// Makes an API without publishing it.
    pub async fn drafts(&self, body: &Value) -> Answer {
        self.0.manages(Call::post(self.0.rest("apis")).json(body)).await
    }

    /// Takes a lifecycle action that has to succeed.
    ///
    /// # Panics
    /// It was refused.
    pub async fn moves(&self, api: &Api, action: &str) {
        let answer = self.tries_to_move(api, action).await;
        assert!(matches!(answer.status, 200 | 204), "{action}: {} {}", answer.status, answer.text());
    }

    /// Takes a lifecycle action that may be refused.
    pub async fn tries_to_move(&self, api: &Api, action: &str) -> Answer {
        let path = self.0.rest(&format!("apis/{}/lifecycle", api.id));
        self.0.manages(Call::post(path).json(&json!({ "action": action }))).await
    }

    /// Changes members of an API.
    pub async fn changes(&self, api: &Api, change: &Value) {
        let _ = self.0.changes(&format!("apis/{}", api.id), change).await.expect(200);
    }

    /// Deletes an API.
    pub async fn deletes(&self, api: &Api) -> Answer {
        self.0.manages(Call::delete(self.0.rest(&format!("apis/{}", api.id)))).await
    }
}

/// The smallest body that makes an API.
#[must_use]
pub fn draft(context: &str, backend: &str) -> Value {
    json!({
        "name": format!("The {context} API"),
        "context": context,
        "version": "1.0",
        "backends": { "production": [backend] },
        "operations": [{ "method": "GET", "path": "/*" }],
        "tiers": ["Unlimited"],
    })
}
