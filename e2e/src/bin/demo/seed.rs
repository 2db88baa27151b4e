//! Makes the scenario's objects at servers that run already, or finds them there: to be run any number of times.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::curl::Curl;
use crate::guide::{Failure, Guide};
use crate::scenario::{self, Keys, NAMES, Places};

const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for both servers.
pub async fn wait_until_ready(guide: &Guide, places: &Places) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    for server in [&places.identity, &places.manager] {
        let ready = Curl::get(format!("{server}/health/ready"));
        loop {
            let seen = match guide.send(&ready).await {
                Ok(answer) if answer.status == 200 => break,
                Ok(answer) => format!("{} {}", answer.status, answer.text()),
                Err(Failure(why)) => why,
            };
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{server} is not ready after {PATIENCE:?}: {seen}")));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    Ok(())
}

/// Makes or finds everything. Secrets are shown once, so what is found gets new ones.
pub async fn seed(guide: &Guide, places: &Places) -> Result<Keys, Failure> {
    let client = client(guide, places).await?;
    user(guide, places).await?;
    trust(guide, places, &client.0).await?;
    let api = api(guide, places).await?;
    let (application, keys) = application(guide, places).await?;
    let _ =
        made_or_there(guide, "the subscription", &scenario::subscribe(places, &application, &api)).await?;
    Ok(Keys { client, application: keys })
}

async fn client(guide: &Guide, places: &Places) -> Result<(String, String), Failure> {
    let known = find(guide, places, &places.clients(), |item| item["client_name"] == NAMES.client).await?;
    let answer = match known {
        None => guide.step("the client", &scenario::create_client(places), 201).await?,
        Some(client) => {
            let id = client["client_id"].as_str().unwrap_or_default();
            let url = format!("{}/{id}/secret", places.clients());
            guide
                .step(
                    "a new secret for the client",
                    &Curl::json(url, &Value::Object(Default::default())).user(&places.admin),
                    200,
                )
                .await?
        }
    };
    Ok((answer.member("client_id"), answer.member("client_secret")))
}

async fn user(guide: &Guide, places: &Places) -> Result<(), Failure> {
    made_or_there(guide, "the user", &scenario::create_user(places)).await.map(drop)
}

/// The certificate is brought up to date: the identity server may have got a new data directory since.
async fn trust(guide: &Guide, places: &Places, client_id: &str) -> Result<(), Failure> {
    let metadata = Curl::get(format!("{}/.well-known/openid-configuration", places.identity));
    let issuer = guide.step("the issuer's name", &metadata, 200).await?.member("issuer");
    let certificate = Curl::get(format!("{}/oauth2/certificate", places.identity));
    let certificate = guide.step("the certificate", &certificate, 200).await?.text();
    let body = scenario::trust_body(&issuer, client_id, &certificate);
    let url = places.managed("identity-providers");
    let (request, status) = match find(guide, places, &url, |item| item["name"] == *issuer).await? {
        None => (Curl::json(url, &body), 201),
        Some(known) => {
            let id = known["id"].as_str().unwrap_or_default();
            (Curl::json(format!("{url}/{id}"), &body).put(), 200)
        }
    };
    guide.step("the trust", &request.user(&places.admin), status).await.map(drop)
}

async fn api(guide: &Guide, places: &Places) -> Result<String, Failure> {
    let known = find(guide, places, &places.managed("apis"), |item| item["context"] == NAMES.context).await?;
    if let Some(api) = known {
        return Ok(api["id"].as_str().unwrap_or_default().to_owned());
    }
    let id = guide.step("the API", &scenario::create_api(places), 201).await?.member("id");
    let _ = guide.step("its publication", &scenario::publish(places, &id), 200).await?;
    Ok(id)
}

async fn application(guide: &Guide, places: &Places) -> Result<(String, (String, String)), Failure> {
    let url = places.managed("applications");
    let known = find(guide, places, &url, |item| item["name"] == NAMES.application).await?;
    let (id, answer) = match known {
        None => {
            let id =
                guide.step("the application", &scenario::create_application(places), 201).await?.member("id");
            let keys = guide.step("its keys", &scenario::create_keys(places, &id), 201).await?;
            (id, keys)
        }
        Some(application) => {
            let id = application["id"].as_str().unwrap_or_default().to_owned();
            let url = format!("{url}/{id}/keys/production/secret");
            let renew = Curl::json(url, &Value::Object(Default::default())).user(&places.admin);
            let keys = guide.step("a new secret for the application", &renew, 200).await?;
            (id, keys)
        }
    };
    Ok((id, (answer.member("consumer_key"), answer.member("consumer_secret"))))
}

/// Creates something whose name is unique: 409 says that it is there already.
async fn made_or_there(guide: &Guide, what: &str, request: &Curl) -> Result<Value, Failure> {
    let answer = guide.send(request).await?;
    match answer.status {
        201 | 409 => Ok(answer.json()),
        status => Err(Failure::new(format!("{what}: {status} {}", answer.text()))),
    }
}

/// Looks through a list, page by page.
async fn find(
    guide: &Guide,
    places: &Places,
    url: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Option<Value>, Failure> {
    let mut after = String::new();
    loop {
        let request = Curl::get(format!("{url}?limit=100{after}")).user(&places.admin);
        let page = guide.step("what is there", &request, 200).await?.json();
        let items = page["items"].as_array().cloned().unwrap_or_default();
        if let Some(found) = items.into_iter().find(&wanted) {
            return Ok(Some(found));
        }
        match page["next"].as_str() {
            Some(next) if !next.is_empty() => after = format!("&after={next}"),
            _ => return Ok(None),
        }
    }
}
