//! A person signs in by password through a client (RFC 6749, section 4.3).

use shared_claims::clock::UnixTime;
use shared_claims::opaque::OpaqueToken;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, Secret};

use super::FlowError;
use super::issue::{Issued, new_jti, sign};
use crate::app::App;
use crate::domain::client::{Client, GrantType};
use crate::domain::refresh::{Family, RefreshToken, TokenState};
use crate::domain::user::{self, User};
use crate::storage::{refresh_tokens, sign_in_failures, users};

/// What the form of a password grant holds.
pub struct PasswordGrant {
    /// The user name as typed.
    pub username: String,
    /// The password as typed.
    pub password: Secret,
    /// The scopes asked for.
    pub scope: ScopeSet,
}

/// Signs a person in. An unknown name, a wrong password, a locked name and an inactive user read the same rows, hash
/// once, write once and are refused alike.
///
/// # Errors
/// [`FlowError::BadCredentials`], [`FlowError::Client`], [`FlowError::Hashing`] where too many passwords wait.
pub async fn password(
    app: &App,
    client: &Client,
    grant: PasswordGrant,
    now: UnixTime,
) -> Result<Issued, FlowError> {
    client.require_grant(GrantType::Password)?;

    let name = name_digest(&grant.username);
    let user = authenticate(app, &grant, now).await?;
    let Some(user) = user else {
        app.database.write(move |db| sign_in_failures::record(db, &name, now)).await?;
        return Err(FlowError::BadCredentials);
    };

    let scope = client.grant_to_user(&grant.scope, &user)?;
    let jti = new_jti(now);
    let claims = app.issuer.user_claims(client, &user, &scope, jti.clone(), now);
    let access_token = sign(app, client.settings.signing_algorithm, &claims, now).await?;
    let refresh = client.refreshes().then(|| first_token(client, &user, &scope, jti, now)).transpose()?;
    let (refresh_token, record) = refresh.unzip();

    app.database
        .write(move |db| {
            // Again, because guesses that ran side by side with this one may have locked the name meanwhile.
            let failures = sign_in_failures::find(db, &name)?;
            if failures.is_locked(now) {
                return Err(FlowError::BadCredentials);
            }
            if failures.failures > 0 {
                sign_in_failures::forget(db, &name)?;
            }
            if let Some((family, token)) = record {
                refresh_tokens::begin(db, &family, &token)?;
            }
            Ok(())
        })
        .await?;

    Ok(Issued { access_token, expires_in: client.settings.access_token_lifetime, refresh_token, scope })
}

/// What failures are remembered by: also for names that nobody has.
#[must_use]
pub fn name_digest(name: &str) -> Digest {
    Digest::of(user::key(name).as_bytes())
}

async fn authenticate(app: &App, grant: &PasswordGrant, now: UnixTime) -> Result<Option<User>, FlowError> {
    let (key, name) = (user::key(&grant.username), name_digest(&grant.username));
    let (user, failures) = app
        .database
        .read(move |db| {
            let failures = sign_in_failures::find(db, &name)?;
            Ok::<_, FlowError>((users::find_by_key(db, &key)?, failures))
        })
        .await?;

    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let is_right = app.hashing.verify(grant.password.clone(), hash).await?;
    Ok(user.filter(|user| is_right & user.active & !failures.is_locked(now)))
}

fn first_token(
    client: &Client,
    user: &User,
    scope: &ScopeSet,
    access_jti: String,
    now: UnixTime,
) -> Result<(OpaqueToken, (Family, RefreshToken)), FlowError> {
    let family = Family::begin(client.id, user.id, scope.clone(), now);
    let token = OpaqueToken::generate()?;
    let record = RefreshToken {
        digest: token.digest(),
        family: family.id,
        scope: scope.clone(),
        issued_at: now,
        expires_at: family.token_expiry(client.settings.refresh_token_lifetime, now),
        state: TokenState::Live,
        access_jti,
    };
    Ok((token, (family, record)))
}
