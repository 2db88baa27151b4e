//! Whether a token of ours is live: the question behind introspection and behind every bearer at our own REST.

use std::sync::Arc;

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_claims::{jose, opaque};

use super::{FlowError, client_login};
use crate::app::App;
use crate::domain::client::ClientId;
use crate::domain::refresh::{Family, RefreshToken};
use crate::domain::user;
use crate::keys::SignedBy;
use crate::storage::{refresh_tokens, revoked_tokens, users};

/// A token that is good now.
pub enum LiveToken {
    /// A JWT access token.
    Access(Arc<AccessToken>),
    /// A refresh token.
    Refresh(Box<LiveRefreshToken>),
}

/// A verified access token.
pub struct AccessToken {
    /// What it says.
    pub claims: ClaimSet,
    /// The key that verified it.
    pub signed_by: SignedBy,
    /// `jti`.
    pub jti: String,
    /// Whom it was issued to.
    pub client: ClientId,
    /// `sub`.
    pub subject: String,
    /// What it may do.
    pub scope: ScopeSet,
    /// `aud`.
    pub audience: Vec<String>,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `iat`.
    pub issued_at: UnixTime,
    /// Whether a person is behind it.
    pub is_user: bool,
}

/// A refresh token that nobody has spent.
pub struct LiveRefreshToken {
    /// The token's record.
    pub token: RefreshToken,
    /// Its family.
    pub family: Family,
    /// The user's name.
    pub user_name: String,
}

impl AccessToken {
    /// Whether it opens this server's own management: the scope, and this server in its audience (RFC 9068, section 4).
    #[must_use]
    pub fn may_manage(&self, app: &App, scope: &str) -> bool {
        self.is_for(app) && self.scope.contains(scope)
    }

    /// Whether this server is meant to read it.
    #[must_use]
    pub fn is_for(&self, app: &App) -> bool {
        self.audience.contains(&app.issuer.name)
    }
}

/// Finds out what a token is, and whether it is good now; `None` for everything that is not.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn find_live(app: &App, token: &str, now: UnixTime) -> Result<Option<LiveToken>, FlowError> {
    if let Some(digest) = opaque::presented(token.as_bytes()) {
        let facts = app.facts.clone();
        let found = app.database.look_up(move |db| {
            let Some((token, family)) = refresh_tokens::find(db, &digest)? else { return Ok(None) };
            let client = client_login::read(&facts, db, family.client, now)?;
            let client = client.filter(|client| client.settings.enabled);
            let user = users::find(db, family.user)?.filter(|user| user.honours(family.created_at));
            let (Some(_), Some(user), true) = (client, user, token.is_active(&family, now)) else {
                return Ok(None);
            };
            let user_name = user.name.as_str().to_owned();
            Ok::<_, FlowError>(Some(LiveRefreshToken { token, family, user_name }))
        });
        return Ok(found.await?.map(|found| LiveToken::Refresh(Box::new(found))));
    }

    let Some(access) = verified(app, token, now) else { return Ok(None) };
    let (jti, client, issued_at) = (access.jti.clone(), access.client, access.issued_at);
    let user = access.is_user.then(|| user::key(&access.subject));
    let facts = app.facts.clone();
    let is_live = app.database.look_up(move |db| {
        if revoked_tokens::contains(db, &jti)? {
            return Ok(false);
        }
        if !client_login::read(&facts, db, client, now)?.is_some_and(|client| client.settings.enabled) {
            return Ok(false);
        }
        let Some(key) = user else { return Ok(true) };
        if refresh_tokens::find_family_of_access_token(db, &jti)?
            .is_some_and(|family| family.revoked_at.is_some())
        {
            return Ok(false);
        }
        Ok::<_, FlowError>(users::find_by_key(db, &key)?.is_some_and(|user| user.honours(issued_at)))
    });
    Ok(is_live.await?.then_some(LiveToken::Access(access)))
}

/// Reads an access token that we signed and that has not expired; whether it was revoked is another question.
#[must_use]
pub fn verified(app: &App, token: &str, now: UnixTime) -> Option<Arc<AccessToken>> {
    // What is longer is no token of ours, and not worth a digest.
    if token.len() > jose::LONGEST {
        return None;
    }
    let digest = Digest::of(token.as_bytes());
    let known = app.facts.token(&digest);
    let is_known = known.is_some();
    let access = match known {
        Some(access) => access,
        None => Arc::new(read(app, token, now)?),
    };
    // Keys retire, and tokens end, also where the signature is known to be right.
    if access.expires_at <= now || !app.keys.vouches(&access.signed_by, now) {
        return None;
    }
    if !is_known {
        app.facts.keep_token(digest, &access);
    }
    Some(access)
}

fn read(app: &App, token: &str, now: UnixTime) -> Option<AccessToken> {
    let (claims, signed_by) = app.keys.verify(token, now)?;
    let text = |name| claims.text(name).ok().flatten().map(str::to_owned);
    if text("iss")? != app.issuer.name {
        return None;
    }
    Some(AccessToken {
        jti: text("jti")?,
        client: ClientId::parse(&text("client_id")?)?,
        subject: text("sub")?,
        scope: ScopeSet::parse(&claims.scope().unwrap_or_default()).ok()?,
        audience: claims.audience().ok()?.into_iter().map(str::to_owned).collect(),
        issued_at: claims.numeric_date("iat").ok()??,
        is_user: text("aut").as_deref() == Some("APPLICATION_USER"),
        expires_at: claims.numeric_date("exp").ok()??,
        signed_by,
        claims,
    })
}
