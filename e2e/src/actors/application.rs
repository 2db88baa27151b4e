//! The program that holds consumer keys: it exchanges assertions and calls APIs.

use std::sync::Arc;

use super::Stand;
use crate::client::{Answer, Call, Http};
use crate::world::Places;

/// The grant type of RFC 7523, section 2.1.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An application with its production keys.
#[derive(Clone)]
pub struct Application {
    stand: Stand,
    /// Its id.
    pub id: String,
    /// The consumer key.
    pub key: String,
    /// The consumer secret.
    pub secret: String,
}

impl Application {
    pub(crate) fn new(http: &Http, places: &Arc<Places>, id: String, key: String, secret: String) -> Self {
        Self { stand: Stand::new(http, places), id, key, secret }
    }

    /// Presents an assertion for an opaque token.
    pub async fn exchanges(&self, assertion: &str) -> Answer {
        self.asks_for_a_token(&[("grant_type", JWT_BEARER), ("assertion", assertion)]).await
    }

    /// The same, asking for scopes.
    pub async fn exchanges_for(&self, assertion: &str, scope: &str) -> Answer {
        self.asks_for_a_token(&[("grant_type", JWT_BEARER), ("assertion", assertion), ("scope", scope)]).await
    }

    /// Presents a refresh token.
    pub async fn refreshes(&self, token: &str) -> Answer {
        self.asks_for_a_token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Sends a form to the token endpoint with its own keys as Basic credentials.
    pub async fn asks_for_a_token(&self, form: &[(&str, &str)]) -> Answer {
        self.sends(self.token_request().form(form)).await
    }

    /// `POST /oauth2/token`, still without anything in it.
    #[must_use]
    pub fn token_request(&self) -> Call {
        Call::post(format!("{}/oauth2/token", self.stand.places.manager))
    }

    /// Sends a request with its own keys as Basic credentials.
    pub async fn sends(&self, call: Call) -> Answer {
        self.sends_as_is(call.basic(&self.key, &self.secret)).await
    }

    /// Sends a request that has, or lacks, credentials already.
    pub async fn sends_as_is(&self, call: Call) -> Answer {
        self.stand.http.send(call).await
    }

    /// `GET` through the gateway.
    pub async fn calls(&self, path: &str, token: &str) -> Answer {
        self.sends_as_is(Call::get(self.gateway(path)).bearer(token)).await
    }

    /// The URL of a path at the gateway.
    #[must_use]
    pub fn gateway(&self, path: &str) -> String {
        format!("{}{path}", self.stand.places.gateway)
    }

    /// Gives a token back.
    pub async fn revokes(&self, token: &str) {
        let call =
            Call::post(format!("{}/oauth2/revoke", self.stand.places.manager)).form(&[("token", token)]);
        let _ = self.sends(call).await.expect(200);
    }

    /// Asks whether a token is alive.
    pub async fn introspects(&self, token: &str) -> Answer {
        let call =
            Call::post(format!("{}/oauth2/introspect", self.stand.places.manager)).form(&[("token", token)]);
        self.sends(call).await
    }
}
