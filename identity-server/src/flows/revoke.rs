//! A client calls a token back (RFC 7009).

use shared_claims::clock::UnixTime;
use shared_claims::opaque;

use super::FlowError;
use super::client_login::TokenCaller;
use super::live_token::verified;
use crate::app::App;
use crate::domain::client::ClientId;
use crate::storage::{refresh_tokens, revoked_tokens};

impl TokenCaller {
    fn require_own(&self, owner: ClientId) -> Result<(), FlowError> {
        match self {
            Self::Privileged => Ok(()),
            Self::Client(client) if client.id == owner => Ok(()),
            Self::Client(_) => Err(FlowError::NotYours),
        }
    }
}

/// Revokes the token. A refresh token takes its whole family with it, and the access tokens of the family; an access
/// token goes alone (RFC 7009, section 2.1). What is unknown or has ended already is revoked already.
///
/// # Errors
/// [`FlowError::NotYours`].
pub async fn revoke(app: &App, caller: &TokenCaller, token: &str, now: UnixTime) -> Result<(), FlowError> {
    if let Some(digest) = opaque::presented(token.as_bytes()) {
        let found = app.database.read(move |db| refresh_tokens::find(db, &digest)).await?;
        let Some((_, family)) = found else { return Ok(()) };
        caller.require_own(family.client)?;
        app.database.write(move |db| refresh_tokens::revoke_family(db, family.id, now)).await?;
        return Ok(());
    }

    let Some(access) = verified(app, token, now) else { return Ok(()) };
    caller.require_own(access.client)?;
    app.database.write(move |db| revoked_tokens::insert(db, &access.jti, access.expires_at)).await?;
    Ok(())
}
