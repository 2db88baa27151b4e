//! A client trades a refresh token for a new pair (RFC 6749, section 6; RFC 9700, section 4.14).

use shared_claims::clock::UnixTime;
use shared_claims::opaque::{self, OpaqueToken};
use shared_claims::scope::ScopeSet;

use super::FlowError;
use super::issue::{Issued, new_jti, sign};
use crate::app::App;
use crate::domain::client::{Client, GrantType};
use crate::domain::refresh::{Family, RefreshRefused, RefreshToken, TokenState};
use crate::domain::user::User;
use crate::storage::{refresh_tokens, users};

/// Spends the token and issues the next pair. What may be granted is asked anew: a scope that was taken from the
/// client, or a role from the person, is not refreshed.
///
/// # Errors
/// [`FlowError::Refresh`]; a reuse has then ended the family.
pub async fn refresh(
    app: &App,
    client: &Client,
    presented: &str,
    requested: &ScopeSet,
    now: UnixTime,
) -> Result<Issued, FlowError> {
    client.require_grant(GrantType::RefreshToken)?;
    let digest = opaque::presented(presented.as_bytes()).ok_or(RefreshRefused::Unknown)?;

    let found = app.database.read(move |db| {
        let Some((token, family)) = refresh_tokens::find(db, &digest)? else { return Ok(None) };
        let user = users::find(db, family.user)?;
        Ok::<_, FlowError>(Some((token, family, user)))
    });
    let (token, family, user) = found.await?.ok_or(RefreshRefused::Unknown)?;
    match token.redeem(&family, client.id, now) {
        // What was read here was read without the family's lock: a parallel retry may have moved the line on between
        // two look-ups. Whether this is a reuse is decided, and the family ended, in the write below.
        Ok(_) | Err(RefreshRefused::Reused) => {}
        Err(refused) => return Err(refused.into()),
    }
    let user = user.filter(|user| user.honours(family.created_at)).ok_or(RefreshRefused::UserGone)?;
    let scope = still_granted(client, &user, &family, requested)?;

    let jti = new_jti(now);
    let claims = app.issuer.user_claims(client, &user, &scope, jti.clone(), now);
    let access_token = sign(app, client.settings.signing_algorithm, &claims, now).await?;
    let refresh_token = OpaqueToken::generate()?;
    let successor = RefreshToken {
        digest: refresh_token.digest(),
        family: family.id,
        scope: scope.clone(),
        issued_at: now,
        expires_at: family.token_expiry(client.settings.refresh_token_lifetime, now),
        state: TokenState::Live,
        access_jti: jti,
    };

    let id = client.id;
    let redeemed = app.database.write(move |db| refresh_tokens::redeem(db, &digest, id, &successor, now));
    redeemed.await??;

    let expires_in = client.settings.access_token_lifetime;
    Ok(Issued { access_token, expires_in, refresh_token: Some(refresh_token), scope })
}

fn still_granted(
    client: &Client,
    user: &User,
    family: &Family,
    requested: &ScopeSet,
) -> Result<ScopeSet, RefreshRefused> {
    let scope = family.narrow(requested)?.intersection(&user.may_hold(&client.settings.scope));
    if scope.is_empty() && !requested.is_empty() { Err(RefreshRefused::WiderScope) } else { Ok(scope) }
}
