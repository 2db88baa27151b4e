//! People, and the client of the identity server through which they sign in.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::Stand;
use crate::client::{Answer, Call, Http};
use crate::world::{ADMIN_PASSWORD, Places};

/// A client of the identity server that may use the password grant.
#[derive(Clone)]
pub struct Client {
    stand: Stand,
    /// The client identifier: what the API manager calls the alias.
    pub id: String,
    /// The client secret.
    pub secret: String,
}

/// Somebody with an account at the identity server.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl Client {
    pub(crate) async fn register(http: &Http, places: &Arc<Places>) -> Self {
        let stand = Stand::new(http, places);
        let body = json!({
            "client_name": format!("client {}", Uuid::now_v7().simple()),
            "grant_types": ["password", "refresh_token", "client_credentials"],
        });
        let call = Call::post(format!("{}/api/v1/clients", places.identity)).json(&body);
        let made = stand.manages(call).await.expect(201);
        Self { stand, id: made.member("client_id"), secret: made.member("client_secret") }
    }

    /// An account is made for somebody.
    pub async fn welcomes(&self, name: &str) -> Person {
        let password = format!("Correct-horse-{}", Uuid::now_v7().simple());
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "password": password,
        });
        let url = format!("{}/scim/v2/Users", self.stand.places.identity);
        let call = Call::post(url).header("content-type", "application/scim+json").body(body.to_string());
        let _ = self.stand.http.send(call.basic("admin", ADMIN_PASSWORD)).await.expect(201);
        Person { name: name.to_owned(), password }
    }

    /// The password grant for somebody (RFC 6749, section 4.3).
    pub async fn signs_in(&self, person: &Person) -> Answer {
        let form = [("grant_type", "password"), ("username", &person.name), ("password", &person.password)];
        let call = Call::post(format!("{}/oauth2/token", self.stand.places.identity)).form(&form);
        self.stand.http.send(call.basic(&self.id, &self.secret)).await
    }
}

/// The identity server's signing certificate, as PEM.
pub async fn certificate(http: &Http, places: &Places) -> String {
    http.send(Call::get(format!("{}/oauth2/certificate", places.identity))).await.expect(200).text()
}
