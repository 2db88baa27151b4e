//! An administrator says which application stands behind a client of a trusted identity provider.
//!
//! The original asks the developer for the client's secret as proof. A foreign provider's secrets cannot be checked here,
//! so developers cannot do it by themselves: they could claim a client that is somebody else's.

use shared_claims::clock::UnixTime;

use super::browse_applications::owned;
use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::application::KeyType;
use crate::domain::ids::{ApplicationId, IdentityProviderId, MappedClientId};
use crate::domain::mapped_client::{MOST, MappedClient};
use crate::domain::revocation::Revocation;
use crate::storage::{identity_providers, mapped_clients, revocations};

/// What is to stand for an application.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose client.
    pub identity_provider_id: IdentityProviderId,
    /// Which one.
    pub client_id: String,
    /// Which backends its JWTs reach.
    pub key_type: KeyType,
}

/// Maps a client.
///
/// # Errors
/// [`FlowError`]: application or provider are not there, the client is mapped already, or there are too many.
pub async fn map_client(
    app: &App,
    actor: &Actor,
    application_id: ApplicationId,
    draft: Draft,
    now: UnixTime,
) -> Result<MappedClient, FlowError> {
    let Draft { identity_provider_id, client_id, key_type } = draft;
    let id = MappedClientId::generate();
    let made =
        MappedClient { id, application_id, identity_provider_id, client_id, key_type, created_at: now };
    let (by, row) = (actor.clone(), made.clone());
    let write = app.database.write(move |connection| {
        owned(connection, &by, application_id)?;
        if identity_providers::find(connection, identity_provider_id)?.is_none() {
            return Err(FlowError::field("identity_provider_id", "is no identity provider"));
        }
        if mapped_clients::list_of(connection, application_id)?.len() >= MOST {
            return Err(FlowError::conflict(format!("the application has {MOST} mapped clients already")));
        }
        mapped_clients::insert(connection, &row).map_err(|error| {
            FlowError::or_conflict(error, || {
                "the provider's client stands for an application already; remove that mapping first"
                    .to_owned()
            })
        })
    });
    write.await?;
    audit::record(actor, "mapped a client", &id.to_string(), "", &summary(&made));
    Ok(made)
}

/// The clients that stand for one of the caller's applications.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn list_mapped_clients(
    app: &App,
    actor: &Actor,
    id: ApplicationId,
) -> Result<Vec<MappedClient>, FlowError> {
    let by = actor.clone();
    let read = app.database.read(move |connection| {
        owned(connection, &by, id)?;
        Ok::<_, FlowError>(mapped_clients::list_of(connection, id)?)
    });
    read.await
}

/// Removes a mapping: JWTs of that client are refused, here at once and elsewhere within a second.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn unmap_client(
    app: &App,
    actor: &Actor,
    (application, id): (ApplicationId, MappedClientId),
    now: UnixTime,
) -> Result<(), FlowError> {
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        owned(connection, &by, application)?;
        let present = mapped_clients::find_of(connection, application, id)?;
        let present = present.ok_or(FlowError::NotFound("mapped client"))?;
        FlowError::unless_written(mapped_clients::delete(connection, id)?)?;
        revocations::append(connection, &Revocation::MappedClient(id), now)?;
        Ok::<_, FlowError>(present)
    });
    let present = write.await?;
    app.changes.announce(Change::Revoked(Revocation::MappedClient(id))).await;
    audit::record(actor, "removed a mapped client", &id.to_string(), &summary(&present), "");
    Ok(())
}

fn summary(client: &MappedClient) -> String {
    let MappedClient { application_id, identity_provider_id, client_id, key_type, .. } = client;
    let key_type = key_type.as_str();
    format!("client {client_id} of {identity_provider_id} for application {application_id}, {key_type}")
}
