//! The feed of revocations, by which every gateway learns within a second what to forget.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::revocations;
use super::unreadable;
use crate::domain::grant::AssertionOrigin;
use crate::domain::ids::{
    ApiKeyId, ApplicationId, ClientCertificateId, GrantId, IdentityProviderId, MappedClientId,
};
use crate::domain::revocation::Revocation;

/// Adds a revocation to the feed, in the transaction that revokes.
///
/// # Errors
/// [`StorageError`].
pub fn append(
    connection: &mut AnyConnection,
    revocation: &Revocation,
    now: UnixTime,
) -> Result<(), StorageError> {
    // PostgreSQL hands out numbers before commits: without taking turns, a reader could see number 6, move on, and
    // never see number 5. The lock ends with the transaction.
    if let AnyConnection::Postgres(postgres) = connection {
        diesel::sql_query("SELECT pg_advisory_xact_lock(7231946503)").execute(postgres)?;
    }
    let (kind, value) = spell(revocation)?;
    let row = (revocations::kind.eq(kind), revocations::value.eq(value), revocations::at.eq(now.0));
    diesel::insert_into(revocations::table).values(row).execute(connection)?;
    Ok(())
}

/// At most `limit` revocations with numbers above `id`, in order.
///
/// # Errors
/// [`StorageError`].
pub fn list_after(
    connection: &mut AnyConnection,
    id: i64,
    limit: i64,
) -> Result<Vec<(i64, Revocation)>, StorageError> {
    // Nearly always there are none. SQLite plans a statement with a limit anew each time, and [`last`] once; on PostgreSQL it is to ask
    // twice that costs.
    if matches!(connection, AnyConnection::Sqlite(_)) && last(connection)? <= id {
        return Ok(Vec::new());
    }
    let rows = revocations::table
        .filter(revocations::id.gt(id))
        .order(revocations::id)
        .limit(limit)
        .select((revocations::id, revocations::kind, revocations::value))
        .load::<(i64, String, String)>(connection)?;
    rows.into_iter().map(|(id, kind, value)| Ok((id, read(&kind, &value)?))).collect()
}

/// The number of the last revocation; 0 where there is none.
///
/// # Errors
/// [`StorageError`].
pub fn last(connection: &mut AnyConnection) -> Result<i64, StorageError> {
    Ok(revocations::table
        .select(diesel::dsl::max(revocations::id))
        .get_result::<Option<i64>>(connection)?
        .unwrap_or(0))
}

/// Whether one names an assertion, or its subject since it was issued. Grants are marked themselves; a JWT that is
/// presented directly leaves nothing else to look at.
///
/// # Errors
/// [`StorageError`].
pub fn name(
    connection: &mut AnyConnection,
    origin: &AssertionOrigin,
    subject: &str,
    issued_at: UnixTime,
) -> Result<bool, StorageError> {
    let of_subject = |issuer| Revocation::Subject { subject: subject.to_owned(), issuer };
    let mut naming =
        vec![(of_subject(None), issued_at), (of_subject(Some(origin.issuer.clone())), issued_at)];
    if let Some(jti) = origin.jti.clone() {
        naming.push((Revocation::Assertion { issuer: origin.issuer.clone(), jti }, UnixTime(0)));
    }
    for (revocation, since) in naming {
        let (kind, value) = spell(&revocation)?;
        let rows = revocations::table.filter(revocations::kind.eq(kind)).filter(revocations::value.eq(value));
        let rows = rows.filter(revocations::at.ge(since.0)).select(revocations::id);
        if rows.first::<i64>(connection).optional()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Forgets at most `batch` of the revocations made before `moment`, and of those of assertions and subjects made before
/// `moment_of_jwts`: a JWT that they name may live as long. The newest one stays, so that [`last`] never goes back.
///
/// # Errors
/// [`StorageError`].
pub fn remove_before(
    connection: &mut AnyConnection,
    (moment, moment_of_jwts): (UnixTime, UnixTime),
    batch: i64,
) -> Result<u64, StorageError> {
    let newest = last(connection)?;
    let old = revocations::table.filter(revocations::id.lt(newest)).filter(revocations::at.lt(moment.0));
    let is_of_jwts = revocations::kind.eq_any(["assertion", "subject"]);
    let outlived = revocations::at.lt(moment_of_jwts.0);
    let old = old.filter(diesel::dsl::not(is_of_jwts).or(outlived)).order(revocations::id).limit(batch);
    let old: Vec<i64> = old.select(revocations::id).load(connection)?;
    either!(connection, native => {
        let removed = diesel::delete(revocations::table.filter(revocations::id.eq_any(&old))).execute(native)?;
        Ok(u64::try_from(removed).unwrap_or_default())
    })
}

#[derive(Serialize, Deserialize)]
struct Subject {
    subject: String,
    issuer: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Assertion {
    issuer: String,
    jti: String,
}

fn spell(revocation: &Revocation) -> Result<(&'static str, String), StorageError> {
    let json =
        |written: Result<String, serde_json::Error>| written.map_err(|e| StorageError::Fault(e.to_string()));
    Ok(match revocation {
        Revocation::Token(digest) => ("token", digest.hex()),
        Revocation::Family(id) => ("family", id.to_string()),
        Revocation::Application(id) => ("application", id.to_string()),
        Revocation::Key(key) => ("key", key.clone()),
        Revocation::Subject { subject, issuer } => {
            let value = Subject { subject: subject.clone(), issuer: issuer.clone() };
            ("subject", json(serde_json::to_string(&value))?)
        }
        Revocation::Assertion { issuer, jti } => {
            let value = Assertion { issuer: issuer.clone(), jti: jti.clone() };
            ("assertion", json(serde_json::to_string(&value))?)
        }
        Revocation::IdentityProvider(id) => ("identity_provider", id.to_string()),
        Revocation::ApiKey(id) => ("api_key", id.to_string()),
        Revocation::MappedClient(id) => ("mapped_client", id.to_string()),
        Revocation::ClientCertificate(id) => ("client_certificate", id.to_string()),
    })
}

fn read(kind: &str, value: &str) -> Result<Revocation, StorageError> {
    let revocation = match kind {
        "token" => digest(value).map(Revocation::Token),
        "family" => GrantId::parse(value).map(Revocation::Family),
        "application" => ApplicationId::parse(value).map(Revocation::Application),
        "key" => Some(Revocation::Key(value.to_owned())),
        "subject" => serde_json::from_str::<Subject>(value)
            .ok()
            .map(|Subject { subject, issuer }| Revocation::Subject { subject, issuer }),
        "assertion" => serde_json::from_str::<Assertion>(value)
            .ok()
            .map(|Assertion { issuer, jti }| Revocation::Assertion { issuer, jti }),
        "identity_provider" => IdentityProviderId::parse(value).map(Revocation::IdentityProvider),
        "mapped_client" => MappedClientId::parse(value).map(Revocation::MappedClient),
        "client_certificate" => ClientCertificateId::parse(value).map(Revocation::ClientCertificate),
        "api_key" => ApiKeyId::parse(value).map(Revocation::ApiKey),
        _ => None,
    };
    revocation.ok_or_else(|| unreadable("revocations", "value"))
}

fn digest(hex: &str) -> Option<Digest> {
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(pair).collect::<Option<_>>()?;
    Digest::from_slice(&bytes)
}
