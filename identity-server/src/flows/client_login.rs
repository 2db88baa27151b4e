//! A client proves who it is (RFC 6749, section 2.3).

use std::sync::Arc;

use shared_claims::clock::UnixTime;
use shared_claims::credentials::Pair;
use shared_claims::secret::Digest;
use shared_server::administrator::NAME as ADMINISTRATOR;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::oauth::PresentedClient;

use super::FlowError;
use super::live_token::{LiveToken, find_live};
use crate::app::App;
use crate::domain::client::{Client, ClientId};
use crate::facts::Facts;
use crate::storage::clients;

/// The scope that lets a bearer, or a client registered for it, introspect every token.
pub const INTROSPECT: &str = "identity:introspect";

/// Who may ask about tokens, or call them back.
pub enum TokenCaller {
    /// A client, for tokens that are its own or meant for it.
    Client(Arc<Client>),
    /// Somebody who may ask about all of them.
    Privileged,
}

/// The client that these credentials belong to. Unknown, wrong and disabled look alike.
///
/// # Errors
/// [`FlowError::UnknownClient`].
pub async fn client_login(
    app: &App,
    presented: &PresentedClient,
    now: UnixTime,
) -> Result<Arc<Client>, FlowError> {
    let pairs: Vec<(Option<ClientId>, Digest)> = match presented {
        PresentedClient::Basic(basic) => basic.readings().into_iter().map(identify).collect(),
        PresentedClient::Body(pair) => vec![identify(pair)],
        PresentedClient::Named(_) | PresentedClient::Bearer(_) | PresentedClient::Absent => Vec::new(),
    };
    if pairs.is_empty() {
        return Err(FlowError::UnknownClient);
    }
    let mut found = None;
    for (id, secret) in pairs {
        let client = match id {
            Some(id) => find(app, id, now).await?,
            None => None,
        };
        // An unknown client's secret is compared too, with something that nothing equals.
        let nobody = Digest::of(&[]);
        let fits = client.as_ref().map_or(nobody == secret, |client| client.secrets.accept(&secret, now));
        found = found.or(client.filter(|client| fits & client.settings.enabled));
    }
    found.ok_or(FlowError::UnknownClient)
}

async fn find(app: &App, id: ClientId, now: UnixTime) -> Result<Option<Arc<Client>>, FlowError> {
    let kept = app.facts.client(id, now);
    if kept.is_some() {
        return Ok(kept);
    }
    let facts = app.facts.clone();
    Ok(app.database.look_up(move |db| read(&facts, db, id, now)).await?)
}

/// The client with this identifier: what was read of it a moment ago, or else what the database says.
pub(super) fn read(
    facts: &Facts,
    connection: &mut AnyConnection,
    id: ClientId,
    now: UnixTime,
) -> Result<Option<Arc<Client>>, StorageError> {
    let kept = facts.client(id, now);
    if kept.is_some() {
        return Ok(kept);
    }
    let seen = facts.before_reading(now);
    let found = clients::find(connection, id)?.map(Arc::new);
    if let Some(client) = &found {
        facts.keep(client, seen);
    }
    Ok(found)
}

/// The caller of introspection and revocation: a client, the administrator, or a bearer with [`INTROSPECT`].
///
/// # Errors
/// [`FlowError::UnknownClient`].
pub async fn token_caller(
    app: &App,
    presented: &PresentedClient,
    now: UnixTime,
) -> Result<TokenCaller, FlowError> {
    match presented {
        PresentedClient::Bearer(token) => {
            let live = find_live(app, token.expose(), now).await?;
            match live {
                Some(LiveToken::Access(access)) if access.may_manage(app, INTROSPECT) => {
                    Ok(TokenCaller::Privileged)
                }
                _ => Err(FlowError::UnknownClient),
            }
        }
        PresentedClient::Basic(basic) if basic.raw.name == ADMINISTRATOR => {
            if app.administrator.verify(basic).await? {
                Ok(TokenCaller::Privileged)
            } else {
                Err(FlowError::UnknownClient)
            }
        }
        _ => {
            let client = client_login(app, presented, now).await?;
            if client.settings.scope.contains(INTROSPECT) {
                return Ok(TokenCaller::Privileged);
            }
            Ok(TokenCaller::Client(client))
        }
    }
}

fn identify(pair: &Pair) -> (Option<ClientId>, Digest) {
    (ClientId::parse(&pair.name), pair.secret.digest())
}
