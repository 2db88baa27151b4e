//! The grants: one row a token pair, found by the digest of either token.

mod by_digest;
mod proven;
mod row;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::grants;
use crate::domain::grant::Grant;
use crate::domain::ids::{ApplicationId, GrantId, IdentityProviderId};
use crate::domain::revocation::Revocation;

pub use by_digest::{FoundByDigest, find_by_access_digest, find_by_access_digests, find_by_refresh_digest};
pub use proven::{Claim, Exchange, Outcome, Proof, insert_proven};

use row::Row;

/// Keeps a new grant.
///
/// # Errors
/// [`StorageError::Duplicate`] where a token of it exists already, which 128 random bits rule out.
pub fn insert(connection: &mut AnyConnection, grant: &Grant) -> Result<(), StorageError> {
    let row = Row::of(grant);
    either!(connection, native => diesel::insert_into(grants::table).values(row).execute(native)?);
    Ok(())
}

/// A grant by its id.
///
/// # Errors
/// [`StorageError`].
pub fn find(connection: &mut AnyConnection, id: GrantId) -> Result<Option<Grant>, StorageError> {
    let row = grants::table.find(id.to_string()).select(Row::as_select());
    row.get_result::<Row>(connection).optional()?.map(Row::into_grant).transpose()
}

/// A grant by its id, held against changes until the transaction ends.
///
/// # Errors
/// [`StorageError`].
pub fn hold(connection: &mut AnyConnection, id: GrantId) -> Result<Option<Grant>, StorageError> {
    let row = grants::table.find(id.to_string());
    let row: Option<Row> = match connection {
        // SQLite has one writer: nothing changes while this transaction lasts.
        AnyConnection::Sqlite(sqlite) => row.select(Row::as_select()).get_result(sqlite).optional()?,
        AnyConnection::Postgres(postgres) => {
            row.select(Row::as_select()).for_update().get_result(postgres).optional()?
        }
    };
    row.map(Row::into_grant).transpose()
}

/// Spends a refresh token on `successor`, unless it is spent or revoked already; says whether it was this call that
/// spent it.
///
/// # Errors
/// [`StorageError`].
pub fn spend_refresh(
    connection: &mut AnyConnection,
    id: GrantId,
    successor: GrantId,
    now: UnixTime,
) -> Result<bool, StorageError> {
    wait_for_revocations(connection)?;
    let unspent = grants::table
        .find(id.to_string())
        .filter(grants::refresh_spent_at.is_null())
        .filter(grants::revoked_at.is_null());
    let spent = diesel::update(unspent)
        .set((grants::refresh_spent_at.eq(now.0), grants::successor.eq(successor.to_string())))
        .execute(connection)?;
    Ok(spent == 1)
}

/// Puts `successor` in the place of `lost`, the grant whose token never reached the client, and revokes that one. Says
/// whether it was this call that did so: `lost` must still be the successor, unspent and unrevoked.
///
/// # Errors
/// [`StorageError`].
pub fn replace_successor(
    connection: &mut AnyConnection,
    id: GrantId,
    lost: GrantId,
    successor: GrantId,
    now: UnixTime,
) -> Result<bool, StorageError> {
    wait_for_revocations(connection)?;
    let revoked = diesel::update(
        grants::table
            .find(lost.to_string())
            .filter(grants::refresh_spent_at.is_null())
            .filter(grants::revoked_at.is_null()),
    )
    .set(grants::revoked_at.eq(now.0))
    .execute(connection)?;
    if revoked != 1 {
        return Ok(false);
    }
    let still_there = grants::table.find(id.to_string()).filter(grants::successor.eq(lost.to_string()));
    let replaced =
        diesel::update(still_there).set(grants::successor.eq(successor.to_string())).execute(connection)?;
    Ok(replaced == 1)
}

/// Revokes every grant of the set that is still worth something, and says how many there were.
///
/// # Errors
/// [`StorageError`].
pub fn revoke(
    connection: &mut AnyConnection,
    revocation: &Revocation,
    now: UnixTime,
) -> Result<u64, StorageError> {
    // A refresh that is under way elsewhere would add a grant to the set unseen: it ends first.
    if let AnyConnection::Postgres(postgres) = connection {
        sql_query("SELECT pg_advisory_xact_lock(7231946502)").execute(postgres)?;
    }
    // Found by its slot of time where there are slots; an unknown one has no id.
    let of_token = match revocation {
        Revocation::Token(digest) => find_by_access_digest(connection, digest, now)?.map(|grant| grant.id),
        _ => None,
    };
    either!(connection, native => {
        let live = diesel::update(grants::table)
            .set(grants::revoked_at.eq(now.0))
            .filter(grants::revoked_at.is_null())
            .filter(grants::expires_at.gt(now.0).or(grants::refresh_expires_at.assume_not_null().gt(now.0)));
        let changed = match revocation {
            Revocation::Token(_) => of_token.map_or(Ok(0), |id| live.filter(grants::id.eq(id.to_string())).execute(native)),
            Revocation::Family(family) => {
                // A first grant's family is its own id: the index of families holds those after it only.
                let first = grants::id.eq(family.to_string()).and(grants::parent.is_null());
                let later = grants::family.eq(family.to_string()).and(grants::parent.is_not_null());
                live.filter(first.or(later)).execute(native)
            }
            Revocation::Key(key) => live.filter(grants::consumer_key.eq(key)).execute(native),
            Revocation::Application(id) => live.filter(grants::application_id.eq(id.to_string())).execute(native),
            Revocation::Subject { subject, issuer: None } => {
                live.filter(grants::subject.eq(subject)).execute(native)
            }
            Revocation::Subject { subject, issuer: Some(issuer) } => {
                live.filter(grants::subject.eq(subject)).filter(grants::issuer.eq(issuer)).execute(native)
            }
            Revocation::Assertion { issuer, jti } => {
                live.filter(grants::issuer.eq(issuer)).filter(grants::assertion_jti.eq(jti)).execute(native)
            }
            Revocation::IdentityProvider(id) => {
                live.filter(grants::identity_provider_id.eq(id.to_string())).execute(native)
            }
            // They buy nothing, so there are no grants of them.
            Revocation::ApiKey(_) | Revocation::MappedClient(_) | Revocation::ClientCertificate(_) => Ok(0),
        };
        Ok(u64::try_from(changed?).unwrap_or_default())
    })
}

/// Removes at most `batch` grants of which neither token is worth anything any more. A spent refresh token is kept
/// until it would have expired: its reuse must be noticed.
///
/// # Errors
/// [`StorageError`].
pub fn remove_expired(
    connection: &mut AnyConnection,
    now: UnixTime,
    batch: i64,
) -> Result<u64, StorageError> {
    // The expression is that of the index `grants_by_last_end`, letter by letter.
    let removed = match connection {
        AnyConnection::Sqlite(sqlite) => sql_query(
            "DELETE FROM grants WHERE rowid IN (SELECT rowid FROM grants \
             WHERE max(expires_at, coalesce(refresh_expires_at, 0)) <= ? LIMIT ?)",
        )
        .bind::<BigInt, _>(now.0)
        .bind::<BigInt, _>(batch)
        .execute(sqlite)?,
        AnyConnection::Postgres(postgres) => sql_query(
            "DELETE FROM grants WHERE id IN (SELECT id FROM grants \
             WHERE greatest(expires_at, coalesce(refresh_expires_at, 0)) <= $1 \
             ORDER BY greatest(expires_at, coalesce(refresh_expires_at, 0)) LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind::<BigInt, _>(now.0)
        .bind::<BigInt, _>(batch)
        .execute(postgres)?,
    };
    Ok(u64::try_from(removed).unwrap_or_default())
}

/// Which grants to list; no member means all of them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this application.
    pub application_id: Option<ApplicationId>,
    /// For this subject.
    pub subject: Option<String>,
    /// Bought with assertions of this provider.
    pub identity_provider_id: Option<IdentityProviderId>,
}

/// A page of grants in the order of their ids, which is that of their making.
///
/// # Errors
/// [`StorageError`].
pub fn list_page(
    connection: &mut AnyConnection,
    selection: &Selection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Grant>, StorageError> {
    let rows: Vec<Row> = either!(connection, native => {
        let mut query = grants::table.select(Row::as_select()).order(grants::id).limit(limit).into_boxed();
        if let Some(id) = selection.application_id {
            query = query.filter(grants::application_id.eq(id.to_string()));
        }
        if let Some(subject) = &selection.subject {
            query = query.filter(grants::subject.eq(subject));
        }
        if let Some(id) = selection.identity_provider_id {
            query = query.filter(grants::identity_provider_id.eq(id.to_string()));
        }
        if let Some(after) = after {
            query = query.filter(grants::id.gt(after));
        }
        query.load(native)?
    });
    rows.into_iter().map(Row::into_grant).collect()
}

/// PostgreSQL runs transactions side by side: whoever adds to a family waits for a revocation under way, and it for
/// them, so that neither misses the other. SQLite has one writer.
fn wait_for_revocations(connection: &mut AnyConnection) -> Result<(), StorageError> {
    if let AnyConnection::Postgres(postgres) = connection {
        sql_query("SELECT pg_advisory_xact_lock_shared(7231946502)").execute(postgres)?;
    }
    Ok(())
}
