//! A trusted issuer's assertion buys an opaque token (RFC 7523, section 2.1).

use std::sync::Arc;

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::credentials::Pair;
use shared_claims::jose::Compact;
use shared_claims::oauth::JWT_BEARER;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, Secret};
use shared_server::database::{AnyConnection, StorageError};

use super::client_login::fits;
use super::{Denied, Issued, issue};
use crate::app::App;
use crate::domain::application::Client;
use crate::domain::grant::{AssertionOrigin, Grant, narrow};
use crate::domain::identity_provider::{Accepted, IdentityProvider, LEEWAY, Replay};
use crate::facts::ClientFacts;
use crate::storage::grants::{Claim, Exchange, Outcome, Proof};
use crate::storage::{apis, applications, grants, identity_providers, revisions, used_assertions};

/// The longest issuer that is looked up, in bytes; no registered one is longer.
const LONGEST_ISSUER: usize = 1_024;

/// What the client sends.
#[derive(Debug)]
pub struct AssertionGrant {
    /// The JWT.
    pub assertion: Secret,
    /// What is asked for; empty where nothing is.
    pub scopes: ScopeSet,
}

/// What an exchange is decided on.
#[derive(Clone)]
struct Terms {
    client: Arc<ClientFacts>,
    provider: Arc<IdentityProvider>,
}

/// What was decided, and is not written yet.
struct Decided {
    record: Grant,
    /// What makes the assertion the same again, and how long that is remembered; `None` where it may come again.
    single_use: Option<(Digest, UnixTime)>,
    issued: Issued,
}

/// Exchanges an assertion. Nothing is written before everything was accepted, so that a refusal neither uses up the
/// assertion nor blocks its `jti`.
///
/// # Errors
/// [`Denied`].
pub async fn exchange_assertion(
    app: &App,
    client: Client,
    grant: AssertionGrant,
    now: UnixTime,
) -> Result<Issued, Denied> {
    let jwt = Compact::parse(grant.assertion.expose())?;
    // Unverified, and good for one thing only: finding the keys that can verify it.
    let issuer = claimed_issuer(&jwt).ok_or(Denied::UnknownIssuer)?;
    let terms = app.database.read(move |connection| Terms::read(connection, client, &issuer)).await?;
    app.facts.keep(Arc::clone(&terms.client), Arc::clone(&terms.provider));

    let decided = terms.decide(app, jwt, &grant, now).await?;
    let written = app.database.write(move |connection| {
        issue::key_remains(connection, &terms.client.client)?;
        still_trusted(connection, &terms.provider)?;
        decided.write(connection, &terms.provider, now)
    });
    written.await
}

/// The same without reading first, on what earlier exchanges read: the statement that grants proves it. `None` where
/// nothing was read yet, where it is out of date, and where it speaks against the caller, who hears of it only when it
/// was read anew.
///
/// # Errors
/// [`Denied`]: replayed, or the database failed.
pub async fn exchange_on_kept_facts(
    app: &App,
    readings: &[Pair],
    grant: &AssertionGrant,
    now: UnixTime,
) -> Result<Option<Issued>, Denied> {
    let Ok(jwt) = Compact::parse(grant.assertion.expose()) else { return Ok(None) };
    let Some(terms) = Terms::kept(app, readings, &jwt, now) else { return Ok(None) };
    let Ok(decided) = terms.decide(app, jwt, grant, now).await else { return Ok(None) };
    let Decided { record, single_use, issued } = decided;
    match app.exchanges.keep(terms.exchange(record, single_use)).await? {
        Outcome::Granted => Ok(Some(issued)),
        Outcome::OutOfDate => Ok(None),
        Outcome::Replayed => Err(Denied::Replayed),
    }
}

impl Terms {
    fn read(connection: &mut AnyConnection, client: Client, issuer: &str) -> Result<Self, Denied> {
        let provider = identity_providers::find_by_issuer(connection, issuer)?;
        let provider = provider.ok_or(Denied::UnknownIssuer)?;
        // Before what it counts: a change while we read moves it on, and is noticed when these facts are proven.
        let routes = revisions::read(connection, revisions::ROUTES)?;
        let application = applications::find(connection, client.application.id)?.ok_or(Denied::Client)?;
        let declared = apis::scopes_of_subscribed(connection, application.id)?;
        let client = ClientFacts { client: Client { key: client.key, application }, declared, routes };
        Ok(Self { client: Arc::new(client), provider: Arc::new(provider) })
    }

    /// The login included: a client whose secret does not fit is not told so by what is kept.
    fn kept(app: &App, readings: &[Pair], jwt: &Compact<'_>, now: UnixTime) -> Option<Self> {
        let provider = app.facts.provider(&claimed_issuer(jwt)?)?;
        let client = readings.iter().find_map(|Pair { name, secret }| {
            let known = app.facts.client(name)?;
            fits(Some(&known.client.key), secret.digest(), now).then_some(known)
        })?;
        client.client.lists(JWT_BEARER).then_some(Self { client, provider })
    }

    /// What was decided on these terms, which nobody has read in the transaction that keeps it.
    fn exchange(&self, grant: Grant, single_use: Option<(Digest, UnixTime)>) -> Exchange {
        let (key, provider) = (&self.client.client.key, &self.provider);
        let proof = Proof {
            consumer_key: key.consumer_key.clone(),
            key_revision: key.revision,
            provider: provider.id,
            provider_revision: provider.revision,
            routes: self.client.routes,
        };
        let claim = single_use.map(|(replay_key, until)| Claim {
            issuer: provider.issuer.clone(),
            replay_key,
            until,
        });
        Exchange { proof, claim, grant }
    }

    async fn decide(
        &self,
        app: &App,
        jwt: Compact<'_>,
        grant: &AssertionGrant,
        now: UnixTime,
    ) -> Result<Decided, Denied> {
        let (ClientFacts { client, declared, .. }, provider) = (&*self.client, &*self.provider);
        if !provider.enabled {
            return Err(Denied::IssuerDisabled);
        }

        let verified = app.issuers.verify(provider, &jwt, now).await?;
        let signed_part = Digest::of(jwt.signing_input);
        let claims = ClaimSet::from(jwt.unverified_claims);
        let accepted = provider.accept(&claims, signed_part, now)?;
        let scopes = match &provider.scopes {
            Some(bound) => narrow(&grant.scopes, &declared.intersection(bound))?,
            None => narrow(&grant.scopes, declared)?,
        };

        let expires_at = ends_at(provider, &accepted, client.application.access_token_lifetime, now);
        let single_use = (provider.replay == Replay::SingleUse)
            .then_some((accepted.replay_key, accepted.replay_guard_until));
        let origin = AssertionOrigin {
            identity_provider_id: provider.id,
            issuer: provider.issuer.clone(),
            key_thumbprint: verified.key_thumbprint,
            jti: accepted.jti,
            digest: grant.assertion.digest(),
        };
        let (record, issued) =
            issue::for_subject(client, accepted.subject, origin, (scopes, expires_at), now)?;
        Ok(Decided { record, single_use, issued })
    }
}

impl Decided {
    fn write(
        self,
        connection: &mut AnyConnection,
        provider: &IdentityProvider,
        now: UnixTime,
    ) -> Result<Issued, Denied> {
        if let Some((key, until)) = self.single_use {
            let claimed = used_assertions::claim(connection, &provider.issuer, &key, until, now);
            claimed.map_err(|error| match error {
                StorageError::Duplicate => Denied::Replayed,
                other => Denied::Storage(other),
            })?;
        }
        grants::insert(connection, &self.record)?;
        Ok(self.issued)
    }
}

/// The `iss` that an assertion claims, where it is fit to be looked up.
pub(super) fn claimed_issuer(jwt: &Compact<'_>) -> Option<String> {
    let issuer = jwt.unverified_claims.get("iss")?.as_str()?;
    let is_fit =
        !issuer.is_empty() && issuer.len() <= LONGEST_ISSUER && !issuer.chars().any(char::is_control);
    is_fit.then(|| issuer.to_owned())
}

/// Between reading the provider and granting on its word it may have been disabled, deleted or given other keys.
fn still_trusted(connection: &mut AnyConnection, provider: &IdentityProvider) -> Result<(), Denied> {
    match identity_providers::hold(connection, provider.id)? {
        None => Err(Denied::UnknownIssuer),
        Some((_, false)) => Err(Denied::IssuerDisabled),
        Some((revision, true)) if revision == provider.revision => Ok(()),
        // Rare, and not the client's fault: it may simply come again.
        Some(_) => Err(Denied::Storage(StorageError::Busy)),
    }
}

/// The application's lifetime, capped by the assertion's own (RFC 7521, section 4.1). An assertion that lives on the
/// leeway alone buys a token for what is left of that.
fn ends_at(provider: &IdentityProvider, accepted: &Accepted, lifetime: i64, now: UnixTime) -> UnixTime {
    let wanted = now.plus(lifetime);
    if provider.outlive_assertion {
        return wanted;
    }
    let cap = accepted.expires_at;
    wanted.min(if now < cap { cap } else { cap.plus(LEEWAY) })
}
