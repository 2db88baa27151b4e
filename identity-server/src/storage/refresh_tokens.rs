//! The tables `refresh_families` and `refresh_tokens`, which only make sense together.
//!
//! Every change locks its family first, by an update that counts its uses: on PostgreSQL, which reads committed, two
//! requests with one token then take turns, and the second sees what the first did.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::{refresh_families, refresh_tokens};
use super::unreadable;
use crate::domain::client::ClientId;
use crate::domain::refresh::{Family, FamilyId, Redemption, RefreshRefused, RefreshToken, TokenState};
use crate::domain::user::UserId;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_families)]
struct FamilyRow {
    id: String,
    client_id: String,
    user_id: String,
    scope: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    uses: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_tokens)]
struct TokenRow {
    digest: Vec<u8>,
    family_id: String,
    scope: String,
    issued_at: i64,
    expires_at: i64,
    spent_at: Option<i64>,
    successor: Option<Vec<u8>>,
    access_jti: String,
}

/// Inserts a family with its first token.
///
/// # Errors
/// [`StorageError::InUse`] where the client or the user is gone meanwhile.
pub fn begin(
    connection: &mut AnyConnection,
    family: &Family,
    first: &RefreshToken,
) -> Result<(), StorageError> {
    let row = FamilyRow {
        id: family.id.to_string(),
        client_id: family.client.to_string(),
        user_id: family.user.to_string(),
        scope: family.scope.to_string(),
        created_at: family.created_at.0,
        expires_at: family.expires_at.0,
        revoked_at: family.revoked_at.map(|at| at.0),
        uses: 0,
    };
    diesel::insert_into(refresh_families::table).values(row).execute(connection)?;
    insert_token(connection, first)
}

/// The token with this digest, and its family.
///
/// # Errors
/// [`StorageError`].
pub fn find(
    connection: &mut AnyConnection,
    digest: &Digest,
) -> Result<Option<(RefreshToken, Family)>, StorageError> {
    let found: Option<(TokenRow, FamilyRow)> = refresh_tokens::table
        .inner_join(refresh_families::table)
        .filter(refresh_tokens::digest.eq(digest.as_bytes().to_vec()))
        .select((TokenRow::as_select(), FamilyRow::as_select()))
        .get_result(connection)
        .optional()?;
    let Some((token, family)) = found else { return Ok(None) };
    let successor_spent = match &token.successor {
        None => false,
        Some(successor) => is_spent(connection, successor)?,
    };
    Ok(Some((read_token(token, successor_spent)?, read_family(family)?)))
}

/// The family whose refresh token was issued together with the access token `jti`.
///
/// # Errors
/// [`StorageError`].
pub fn find_family_of_access_token(
    connection: &mut AnyConnection,
    jti: &str,
) -> Result<Option<Family>, StorageError> {
    let found: Option<FamilyRow> = refresh_tokens::table
        .inner_join(refresh_families::table)
        .filter(refresh_tokens::access_jti.eq(jti))
        .select(FamilyRow::as_select())
        .get_result(connection)
        .optional()?;
    found.map(read_family).transpose()
}

/// Spends the token into `successor`, or replaces the successor that was never used; decides again on what is there
/// now. A reuse ends the family in the same transaction, so the refusal is a value here, not an error.
///
/// # Errors
/// [`StorageError`].
pub fn redeem(
    connection: &mut AnyConnection,
    presented: &Digest,
    client: ClientId,
    successor: &RefreshToken,
    now: UnixTime,
) -> Result<Result<(), RefreshRefused>, StorageError> {
    if !lock_family(connection, successor.family)? {
        return Ok(Err(RefreshRefused::Revoked));
    }
    let Some((token, family)) = find(connection, presented)? else { return Ok(Err(RefreshRefused::Unknown)) };
    match token.redeem(&family, client, now) {
        Ok(Redemption::Rotate) => {
            insert_token(connection, successor)?;
            spend(connection, presented, &successor.digest, now)?;
            Ok(Ok(()))
        }
        Ok(Redemption::Retry { unused }) => {
            insert_token(connection, successor)?;
            spend(connection, &unused, &successor.digest, now)?;
            point(connection, presented, &successor.digest)?;
            Ok(Ok(()))
        }
        Err(RefreshRefused::Reused) => {
            revoke_family(connection, family.id, now)?;
            Ok(Err(RefreshRefused::Reused))
        }
        Err(refused) => Ok(Err(refused)),
    }
}

/// Ends a family; false where it had ended before.
///
/// # Errors
/// [`StorageError`].
pub fn revoke_family(
    connection: &mut AnyConnection,
    family: FamilyId,
    now: UnixTime,
) -> Result<bool, StorageError> {
    let live = refresh_families::table
        .filter(refresh_families::id.eq(family.to_string()))
        .filter(refresh_families::revoked_at.is_null());
    Ok(diesel::update(live).set(refresh_families::revoked_at.eq(Some(now.0))).execute(connection)? == 1)
}

/// Ends every family of a user: deleted, deactivated, or with a new password.
///
/// # Errors
/// [`StorageError`].
pub fn revoke_user(
    connection: &mut AnyConnection,
    user: UserId,
    now: UnixTime,
) -> Result<usize, StorageError> {
    let live = refresh_families::table
        .filter(refresh_families::user_id.eq(user.to_string()))
        .filter(refresh_families::revoked_at.is_null());
    Ok(diesel::update(live).set(refresh_families::revoked_at.eq(Some(now.0))).execute(connection)?)
}

/// Removes at most `most` families that ended before `before`, with their tokens; answers how many went. Until then
/// spent tokens are kept, so that their reuse is noticed.
///
/// # Errors
/// [`StorageError`].
pub fn sweep(connection: &mut AnyConnection, before: UnixTime, most: i64) -> Result<usize, StorageError> {
    let old: Vec<String> = refresh_families::table
        .filter(refresh_families::expires_at.lt(before.0))
        .limit(most)
        .select(refresh_families::id)
        .load(connection)?;
    let gone = refresh_families::table.filter(refresh_families::id.eq_any(old));
    Ok(either!(connection, native => diesel::delete(gone).execute(native))?)
}

/// Takes the family's row for this transaction; false where the family is gone or revoked.
fn lock_family(connection: &mut AnyConnection, family: FamilyId) -> Result<bool, StorageError> {
    let live = refresh_families::table
        .filter(refresh_families::id.eq(family.to_string()))
        .filter(refresh_families::revoked_at.is_null());
    Ok(diesel::update(live).set(refresh_families::uses.eq(refresh_families::uses + 1)).execute(connection)?
        == 1)
}

fn is_spent(connection: &mut AnyConnection, digest: &[u8]) -> Result<bool, StorageError> {
    let spent_at: Option<Option<i64>> = refresh_tokens::table
        .find(digest)
        .select(refresh_tokens::spent_at)
        .get_result(connection)
        .optional()?;
    Ok(spent_at.flatten().is_some())
}

/// Guarded: a token is spent once.
fn spend(
    connection: &mut AnyConnection,
    digest: &Digest,
    successor: &Digest,
    now: UnixTime,
) -> Result<(), StorageError> {
    let live = refresh_tokens::table
        .filter(refresh_tokens::digest.eq(digest.as_bytes().to_vec()))
        .filter(refresh_tokens::spent_at.is_null());
    let spent = (
        refresh_tokens::spent_at.eq(Some(now.0)),
        refresh_tokens::successor.eq(Some(successor.as_bytes().to_vec())),
    );
    match diesel::update(live).set(spent).execute(connection)? {
        1 => Ok(()),
        // The family's lock makes this impossible; without it, nothing may be handed out.
        _ => Err(StorageError::Busy),
    }
}

fn point(connection: &mut AnyConnection, digest: &Digest, successor: &Digest) -> Result<(), StorageError> {
    let row = refresh_tokens::table.filter(refresh_tokens::digest.eq(digest.as_bytes().to_vec()));
    let set = refresh_tokens::successor.eq(Some(successor.as_bytes().to_vec()));
    diesel::update(row).set(set).execute(connection)?;
    Ok(())
}

fn insert_token(connection: &mut AnyConnection, token: &RefreshToken) -> Result<(), StorageError> {
    let (spent_at, successor) = match token.state {
        TokenState::Live => (None, None),
        TokenState::Spent { at, successor, .. } => (Some(at.0), Some(successor.as_bytes().to_vec())),
    };
    let row = TokenRow {
        digest: token.digest.as_bytes().to_vec(),
        family_id: token.family.to_string(),
        scope: token.scope.to_string(),
        issued_at: token.issued_at.0,
        expires_at: token.expires_at.0,
        spent_at,
        successor,
        access_jti: token.access_jti.clone(),
    };
    diesel::insert_into(refresh_tokens::table).values(row).execute(connection)?;
    Ok(())
}

fn read_token(row: TokenRow, successor_spent: bool) -> Result<RefreshToken, StorageError> {
    let bad = |column: &str| unreadable("refresh_tokens", column);
    let digest = |bytes: &[u8]| Digest::from_slice(bytes).ok_or_else(|| bad("digest"));
    let state = match (row.spent_at, &row.successor) {
        (None, _) => TokenState::Live,
        (Some(at), Some(successor)) => {
            TokenState::Spent { at: UnixTime(at), successor: digest(successor)?, successor_spent }
        }
        (Some(_), None) => return Err(bad("successor")),
    };
    Ok(RefreshToken {
        digest: digest(&row.digest)?,
        family: FamilyId::parse(&row.family_id).ok_or_else(|| bad("family_id"))?,
        scope: ScopeSet::parse(&row.scope).map_err(|_| bad("scope"))?,
        issued_at: UnixTime(row.issued_at),
        expires_at: UnixTime(row.expires_at),
        state,
        access_jti: row.access_jti,
    })
}

fn read_family(row: FamilyRow) -> Result<Family, StorageError> {
    let bad = |column: &str| unreadable("refresh_families", column);
    Ok(Family {
        id: FamilyId::parse(&row.id).ok_or_else(|| bad("id"))?,
        client: ClientId::parse(&row.client_id).ok_or_else(|| bad("client_id"))?,
        user: UserId::parse(&row.user_id).ok_or_else(|| bad("user_id"))?,
        scope: ScopeSet::parse(&row.scope).map_err(|_| bad("scope"))?,
        created_at: UnixTime(row.created_at),
        expires_at: UnixTime(row.expires_at),
        revoked_at: row.revoked_at.map(UnixTime),
    })
}
