//! A client signs in for itself (RFC 6749, section 4.4).

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use super::FlowError;
use super::issue::{Issued, new_jti, sign};
use crate::app::App;
use crate::domain::client::{Client, GrantType};

/// Issues an access token to the client itself; never a refresh token (RFC 6749, section 4.4.3).
///
/// # Errors
/// [`FlowError::Client`] where the grant or every scope is out of bounds.
pub async fn client_credentials(
    app: &App,
    client: &Client,
    requested: &ScopeSet,
    now: UnixTime,
) -> Result<Issued, FlowError> {
    client.require_grant(GrantType::ClientCredentials)?;
    let scope = client.grant_to_itself(requested)?;

    let claims = app.issuer.application_claims(client, &scope, new_jti(now), now);
    let access_token = sign(app, client.settings.signing_algorithm, &claims, now).await?;

    Ok(Issued { access_token, expires_in: client.settings.access_token_lifetime, refresh_token: None, scope })
}
