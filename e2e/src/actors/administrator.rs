//! Who decides whom the API manager trusts, and takes things back.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Stand;
use crate::client::{Answer, Call, Http};
use crate::idp::Idp;
use crate::world::Places;

/// The bootstrap administrator at the API manager's REST.
#[derive(Clone)]
pub struct Administrator(Stand);

impl Administrator {
    /// Somebody at the servers of these places.
    #[must_use]
    pub fn new(http: &Http, places: &Arc<Places>) -> Self {
        Self(Stand::new(http, places))
    }

    /// Registers an identity provider with its certificate, and returns the id.
    pub async fn trusts(&self, idp: &Idp) -> String {
        self.trusts_with(idp, &json!({})).await
    }

    /// The same with further members.
    pub async fn trusts_with(&self, idp: &Idp, members: &Value) -> String {
        let mut body = json!({ "name": idp.issuer, "alias": idp.alias, "certificates": [idp.certificate()] });
        if let (Some(body), Some(members)) = (body.as_object_mut(), members.as_object()) {
            body.extend(members.clone());
        }
        self.asks_to_trust(&body).await.expect(201).member("id")
    }

    /// Registers whatever `body` says.
    pub async fn asks_to_trust(&self, body: &Value) -> Answer {
        self.posts("identity-providers", body).await
    }

    /// Changes members of an identity provider.
    pub async fn changes_trust(&self, id: &str, change: &Value) {
        let _ = self.0.changes(&format!("identity-providers/{id}"), change).await.expect(200);
    }

    /// Removes an identity provider.
    pub async fn ends_trust(&self, id: &str) {
        let _ = self.deletes(&format!("identity-providers/{id}")).await.expect(204);
    }

    /// Asks which checks an assertion passes.
    pub async fn checks(&self, assertion: &str) -> Answer {
        self.posts("identity-providers/check", &json!({ "assertion": assertion })).await
    }

    /// Revokes everything that `what` names.
    pub async fn revokes(&self, what: &Value) -> Answer {
        self.posts("revocations", what).await
    }

    /// `GET` under `/api/v1/`.
    pub async fn gets(&self, path: &str) -> Answer {
        self.0.manages(Call::get(self.0.rest(path))).await
    }

    /// `POST` under `/api/v1/`.
    pub async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.0.manages(Call::post(self.0.rest(path)).json(body)).await
    }

    /// `DELETE` under `/api/v1/`.
    pub async fn deletes(&self, path: &str) -> Answer {
        self.0.manages(Call::delete(self.0.rest(path))).await
    }
}
