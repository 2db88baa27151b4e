//! The scenario, step by step, by nothing but the public REST.

use e2e::actors::JWT_BEARER;
use e2e::client::Answer;
use serde_json::{Value, json};

use crate::curl::Curl;
use crate::guide::{Failure, Guide};

/// The user of the demo, with a password that stands in the documentation: it opens nothing but the demo.
pub const PERSON: (&str, &str) = ("testuser", "Walk-the-demo-1");
/// What is called at the gateway.
pub const PATH: &str = "/hello/1.0.0/greet";
/// The names of the things that the demo makes.
pub const NAMES: Names =
    Names { client: "demo client", api: "Hello", context: "hello", application: "demo application" };

/// See [`NAMES`].
pub struct Names {
    pub client: &'static str,
    pub api: &'static str,
    pub context: &'static str,
    pub application: &'static str,
}

/// Where everything is, and who administrates it.
#[derive(Clone, Debug)]
pub struct Places {
    pub identity: String,
    pub manager: String,
    pub gateway: String,
    pub backend: String,
    pub admin: (String, String),
}

/// The pairs of identifier and secret that the steps earned.
pub struct Keys {
    /// Of the client at the identity server.
    pub client: (String, String),
    /// Of the application at the API manager.
    pub application: (String, String),
}

impl Places {
    pub fn clients(&self) -> String {
        format!("{}/api/v1/clients", self.identity)
    }

    pub fn users(&self) -> String {
        format!("{}/scim/v2/Users", self.identity)
    }

    pub fn managed(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.manager)
    }
}

/// Walks everything, and checks every answer.
pub async fn walk(guide: &Guide, places: &Places) -> Result<Keys, Failure> {
    guide.chapter("At the identity server");
    let client = client_made(guide, places).await?;
    let _ = guide.step("A user", &create_user(places), 201).await?;
    let url = format!("{}/oauth2/certificate", places.identity);
    let certificate =
        guide.step("Its signing certificate, for everybody to see", &Curl::get(url), 200).await?;
    let pem = certificate.text();
    guide.check(pem.starts_with("-----BEGIN CERTIFICATE-----"), "a certificate in PEM", &certificate)?;

    guide.chapter("At the API manager");
    let _ = guide
        .step(
            "Trust: the issuer, its certificate, and the client as alias",
            &trust(places, &client.0, &pem),
            201,
        )
        .await?;
    let api = guide.step("An API in front of the backend", &create_api(places), 201).await?.member("id");
    let _ = guide.step("Published, and callable at once", &publish(places, &api), 200).await?;
    let application = guide.step("An application", &create_application(places), 201).await?.member("id");
    let keys = guide.step("Its keys, shown once", &create_keys(places, &application), 201).await?;
    let keys = (keys.member("consumer_key"), keys.member("consumer_secret"));
    let _ = guide.step("Its subscription to the API", &subscribe(places, &application, &api), 201).await?;

    guide.chapter("The scenario");
    let keys = Keys { client, application: keys };
    let jwt = signed_in(guide, places, &keys).await?;
    let token = exchanged(guide, places, &keys, &jwt).await?;
    called(guide, places, &token).await?;

    guide.chapter("What is refused");
    refusals(guide, places, &keys, &jwt, &token).await?;
    guide.your_turn(places, &keys);
    Ok(keys)
}

async fn client_made(guide: &Guide, places: &Places) -> Result<(String, String), Failure> {
    let made = guide.step("A client, through which people sign in", &create_client(places), 201).await?;
    Ok((made.member("client_id"), made.member("client_secret")))
}

async fn signed_in(guide: &Guide, places: &Places, keys: &Keys) -> Result<String, Failure> {
    let answer = guide.step("The user signs in: a JWT", &sign_in(places, keys), 200).await?;
    let jwt = answer.member("access_token");
    guide.check(
        jwt.split('.').count() == 3,
        "a JWT in three parts, signed by the identity server",
        &answer,
    )?;
    Ok(jwt)
}

async fn exchanged(guide: &Guide, places: &Places, keys: &Keys, jwt: &str) -> Result<String, Failure> {
    let answer = guide
        .step("The application exchanges it: an opaque token", &exchange(places, keys, jwt), 200)
        .await?;
    let token = answer.member("access_token");
    let opaque = uuid::Uuid::try_parse(&token).is_ok() && token.len() == 36;
    guide.check(opaque, "an opaque token in the form of a UUID: nothing in it to read", &answer)?;
    Ok(token)
}

async fn called(guide: &Guide, places: &Places, token: &str) -> Result<(), Failure> {
    let answer =
        guide.step("The guarded API answers to that token", &call(places).bearer(token), 200).await?;
    let body = answer.json();
    guide.check(body["path"] == "/greet", "the backend was asked for /greet", &answer)?;
    guide.check(body["headers"].get("authorization").is_none(), "the token stayed at the gateway", &answer)
}

async fn refusals(
    guide: &Guide,
    places: &Places,
    keys: &Keys,
    jwt: &str,
    token: &str,
) -> Result<(), Failure> {
    let code = |answer: &Answer| answer.refusal().1;

    let answer = guide.step("The same assertion a second time", &exchange(places, keys, jwt), 400).await?;
    guide.check(code(&answer) == "invalid_grant", "an assertion is good for one token", &answer)?;

    let answer = guide.step("A call without a token", &call(places), 401).await?;
    guide.check(code(&answer) == "900902", "refused with 900902: no credentials", &answer)?;

    let revoke =
        Curl::form(format!("{}/oauth2/revoke", places.manager), &[("token", token)]).user(&keys.application);
    let _ = guide.step("The token is given back", &revoke, 200).await?;
    let answer = guide.step("It opens nothing any more, at once", &call(places).bearer(token), 401).await?;
    guide.check(code(&answer) == "900901", "refused with 900901: invalid credentials", &answer)
}

/// The client: password grant, ten minutes.
pub fn create_client(places: &Places) -> Curl {
    let body = json!({
        "client_name": NAMES.client,
        "grant_types": ["password", "refresh_token"],
        "access_token_lifetime": 600,
    });
    Curl::json(places.clients(), &body).user(&places.admin)
}

/// The user.
pub fn create_user(places: &Places) -> Curl {
    let (name, password) = PERSON;
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
    let body = json!({ "schemas": schemas, "userName": name, "password": password });
    Curl::scim(places.users(), &body).user(&places.admin)
}

/// The identity server as a trusted identity provider. Its name is its issuer: its public URL, as a reader sees it.
pub fn trust(places: &Places, client_id: &str, certificate: &str) -> Curl {
    Curl::json(places.managed("identity-providers"), &trust_body(&issuer(places), client_id, certificate))
        .user(&places.admin)
}

/// What [`trust`] sends.
pub fn trust_body(issuer: &str, client_id: &str, certificate: &str) -> Value {
    json!({ "name": issuer, "alias": client_id, "certificates": [certificate] })
}

fn issuer(places: &Places) -> String {
    places.identity.clone()
}

/// The API.
pub fn create_api(places: &Places) -> Curl {
    let body = json!({
        "name": NAMES.api,
        "context": NAMES.context,
        "version": "1.0.0",
        "backends": { "production": [places.backend] },
        "operations": [{ "method": "GET", "path": "/*" }],
        "tiers": ["Unlimited"],
    });
    Curl::json(places.managed("apis"), &body).user(&places.admin)
}

/// The one step that makes an API callable.
pub fn publish(places: &Places, api: &str) -> Curl {
    Curl::json(places.managed(&format!("apis/{api}/lifecycle")), &json!({ "action": "publish" }))
        .user(&places.admin)
}

/// The application.
pub fn create_application(places: &Places) -> Curl {
    let body = json!({ "name": NAMES.application, "tier": "Unlimited" });
    Curl::json(places.managed("applications"), &body).user(&places.admin)
}

/// The application's production keys.
pub fn create_keys(places: &Places, application: &str) -> Curl {
    let body = json!({ "key_type": "production", "grant_types": [JWT_BEARER] });
    Curl::json(places.managed(&format!("applications/{application}/keys")), &body).user(&places.admin)
}

/// The subscription.
pub fn subscribe(places: &Places, application: &str, api: &str) -> Curl {
    let body = json!({ "application_id": application, "api_id": api, "tier": "Unlimited" });
    Curl::json(places.managed("subscriptions"), &body).user(&places.admin)
}

fn sign_in(places: &Places, keys: &Keys) -> Curl {
    let (name, password) = PERSON;
    let fields = [("grant_type", "password"), ("username", name), ("password", password)];
    Curl::form(format!("{}/oauth2/token", places.identity), &fields).user(&keys.client)
}

fn exchange(places: &Places, keys: &Keys, jwt: &str) -> Curl {
    let fields = [("grant_type", JWT_BEARER), ("assertion", jwt)];
    Curl::form(format!("{}/oauth2/token", places.manager), &fields).user(&keys.application)
}

fn call(places: &Places) -> Curl {
    Curl::get(format!("{}{PATH}", places.gateway))
}
