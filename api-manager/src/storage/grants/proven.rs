//! A grant that is made on facts read earlier: they are proven, the assertion is claimed and the grant is kept, or none
//! of it happens.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::Sqlite;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};

use super::Row;
use crate::domain::grant::Grant;
use crate::domain::ids::IdentityProviderId;
use crate::storage::{revisions, slots, used_assertions};

/// What must still be so.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The key that buys.
    pub consumer_key: &'a str,
    /// What it was when it was read.
    pub key_revision: i64,
    /// The provider that vouches; it must be enabled, too.
    pub provider: IdentityProviderId,
    /// What it was when it was read.
    pub provider_revision: i64,
    /// The counter [`revisions::ROUTES`].
    pub routes: i64,
}

/// What makes an assertion the same again, and how long that is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// Its replay key.
    pub replay_key: &'a Digest,
    /// The end of its guard.
    pub until: UnixTime,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The grant is kept, and the assertion is spent where it was to be claimed.
    Granted,
    /// The facts are not what they were. Nothing was written: the assertion may still be exchanged.
    OutOfDate,
    /// The assertion was claimed before. Nothing was written.
    Replayed,
}

/// Keeps a first grant of its family if `proof` holds and nobody has made `claim` before. On PostgreSQL it is one statement,
/// for [`shared_server::database::Database::write_in_one_statement`].
///
/// # Errors
/// As [`super::insert`].
pub fn insert_proven(
    connection: &mut AnyConnection,
    proof: &Proof<'_>,
    claim: Option<&Claim<'_>>,
    grant: &Grant,
    now: UnixTime,
) -> Result<Outcome, StorageError> {
    if let AnyConnection::Postgres(postgres) = connection {
        let row = Row::of(grant);
        let provider = proof.provider.to_string();
        let statement = Statement {
            proof,
            provider: &provider,
            issuer: claim.map(|claim| claim.issuer),
            replay_key: claim.map(|claim| claim.replay_key.as_bytes().as_slice()),
            until: claim.map(|claim| claim.until.0),
            is_reusable: claim.is_none(),
            row: &row,
        };
        return Ok(match statement.get_result::<(bool, bool)>(postgres)? {
            (true, true) => Outcome::Granted,
            (true, false) => Outcome::Replayed,
            (false, _) => Outcome::OutOfDate,
        });
    }
    if let AnyConnection::Sqlite(sqlite) = connection {
        // SQLite has one writer and is asked within the process: statement by statement. Nothing is written before the last refusal.
        match answer(sqlite, proof, claim, now)? {
            (false, ..) => return Ok(Outcome::OutOfDate),
            (true, true, _) => return Ok(Outcome::Replayed),
            (true, false, false) => {}
            (true, false, true) => {
                if let Some(Claim { issuer, replay_key, .. }) = claim
                    && used_assertions::is_claimed(connection, issuer, replay_key, now)?
                {
                    return Ok(Outcome::Replayed);
                }
            }
        }
    }
    if let Some(Claim { issuer, replay_key, until }) = claim {
        used_assertions::enter(connection, issuer, replay_key, *until, now)?;
    }
    super::insert(connection, grant)?;
    Ok(Outcome::Granted)
}

/// Whether the proof holds for as long as the transaction lasts, whether the assertion was claimed, and whether that has to be looked
/// for elsewhere, too.
fn answer(
    sqlite: &mut SqliteConnection,
    proof: &Proof<'_>,
    claim: Option<&Claim<'_>>,
    now: UnixTime,
) -> Result<(bool, bool, bool), StorageError> {
    let question = Question {
        proof,
        provider: &proof.provider.to_string(),
        issuer: claim.map(|claim| claim.issuer),
        replay_key: claim.map(|claim| claim.replay_key.as_bytes().as_slice()),
        slots: slots::around(now),
        after: slots::after(now),
    };
    Ok(question.get_result(sqlite)?)
}

/// Proof and claim in one statement for SQLite, in the order of [`answer`].
struct Question<'a> {
    proof: &'a Proof<'a>,
    provider: &'a str,
    issuer: Option<&'a str>,
    replay_key: Option<&'a [u8]>,
    slots: [i64; 5],
    after: [(i64, i64); 2],
}

impl QueryFragment<Sqlite> for Question<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let Self { proof, provider, .. } = self;
        out.push_sql("SELECT EXISTS (SELECT 1 FROM application_keys WHERE consumer_key = ");
        out.push_bind_param::<Text, str>(proof.consumer_key)?;
        out.push_sql(" AND revision = ");
        out.push_bind_param::<BigInt, i64>(&proof.key_revision)?;
        out.push_sql(") AND EXISTS (SELECT 1 FROM identity_providers WHERE enabled AND id = ");
        out.push_bind_param::<Text, str>(provider)?;
        out.push_sql(" AND revision = ");
        out.push_bind_param::<BigInt, i64>(&proof.provider_revision)?;
        out.push_sql(") AND coalesce((SELECT value FROM revisions WHERE name = ");
        out.push_bind_param::<Text, str>(revisions::ROUTES)?;
        out.push_sql("), 0) = ");
        out.push_bind_param::<BigInt, i64>(&proof.routes)?;
        out.push_sql(", EXISTS (SELECT 1 FROM used_assertions WHERE issuer = ");
        out.push_bind_param::<Nullable<Text>, Option<&str>>(&self.issuer)?;
        out.push_sql(" AND replay_key = ");
        out.push_bind_param::<Nullable<Binary>, Option<&[u8]>>(&self.replay_key)?;
        for (slot, before) in self.slots.iter().zip([" AND slot IN (", ", ", ", ", ", ", ", "]) {
            out.push_sql(before);
            out.push_bind_param::<BigInt, i64>(slot)?;
        }
        out.push_sql(")), ");
        for ((last, until), before) in self.after.iter().zip(["", " OR "]) {
            out.push_sql(before);
            out.push_sql("EXISTS (SELECT 1 FROM used_assertions WHERE slot > ");
            out.push_bind_param::<BigInt, i64>(last)?;
            out.push_sql(" AND slot < ");
            out.push_bind_param::<BigInt, i64>(until)?;
            out.push_sql(")");
        }
        Ok(())
    }
}

/// Its text is always the same, so each connection prepares it once.
impl QueryId for Question<'_> {
    type QueryId = Question<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Question<'_> {
    type SqlType = (Bool, Bool, Bool);
}

impl RunQueryDsl<SqliteConnection> for Question<'_> {}

/// All of it for PostgreSQL; says whether the proof held, and whether the grant was kept.
///
/// Every part sees the database of one moment, but for the rows that `proof` locks: a lock that had to wait takes the row as it
/// is then, and PostgreSQL asks the conditions of that one (read committed). So neither a rotated secret nor a disabled
/// provider slips through, and whoever deletes key or provider waits for this statement to be committed and finds its
/// grant. The parts that write take their rows from those before them: without a proof no claim, without a claim no
/// grant. Of two that claim the same at once the second waits for the first to be committed, whatever its moment shows.
struct Statement<'a> {
    proof: &'a Proof<'a>,
    provider: &'a str,
    issuer: Option<&'a str>,
    replay_key: Option<&'a [u8]>,
    until: Option<i64>,
    is_reusable: bool,
    row: &'a Row,
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self { proof, provider, row, .. } = self;
        out.push_sql(
            "WITH proof AS MATERIALIZED (SELECT FROM application_keys AS k CROSS JOIN identity_providers AS p \
             WHERE k.consumer_key = ",
        );
        out.push_bind_param::<Text, str>(proof.consumer_key)?;
        out.push_sql(" AND k.revision = ");
        out.push_bind_param::<BigInt, i64>(&proof.key_revision)?;
        out.push_sql(" AND p.enabled AND p.id = ");
        out.push_bind_param::<Text, str>(provider)?;
        out.push_sql(" AND p.revision = ");
        out.push_bind_param::<BigInt, i64>(&proof.provider_revision)?;
        out.push_sql(" AND coalesce((SELECT value FROM revisions WHERE name = ");
        out.push_bind_param::<Text, str>(revisions::ROUTES)?;
        out.push_sql("), 0) = ");
        out.push_bind_param::<BigInt, i64>(&proof.routes)?;
        out.push_sql(
            " FOR SHARE OF k, p), \
             claimed AS (INSERT INTO used_assertions (issuer, replay_key, expires_at) \
             SELECT claim.* FROM proof CROSS JOIN (VALUES (",
        );
        out.push_bind_param::<Nullable<Text>, Option<&str>>(&self.issuer)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Binary>, Option<&[u8]>>(&self.replay_key)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(&self.until)?;
        out.push_sql(
            ")) AS claim (issuer, replay_key, until) WHERE claim.issuer IS NOT NULL \
             ON CONFLICT (issuer, replay_key) DO NOTHING RETURNING expires_at), \
             granted AS (INSERT INTO grants (id, consumer_key, application_id, key_type, subject, scopes, family, \
             access_digest, issued_at, expires_at, issuer, identity_provider_id, key_thumbprint, assertion_jti, \
             assertion_digest, refresh_digest, refresh_scopes, refresh_expires_at, refresh_line_ends_at) SELECT ",
        );
        values(row, out.reborrow())?;
        out.push_sql(" FROM proof WHERE EXISTS (SELECT FROM claimed) OR ");
        out.push_bind_param::<Bool, bool>(&self.is_reusable)?;
        out.push_sql(" RETURNING id) SELECT EXISTS (SELECT FROM proof), EXISTS (SELECT FROM granted)");
        Ok(())
    }
}

/// Its text is always the same, so each connection prepares it once.
impl QueryId for Statement<'_> {
    type QueryId = Statement<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Statement<'_> {
    type SqlType = (Bool, Bool);
}

impl RunQueryDsl<PgConnection> for Statement<'_> {}

/// In the order of the columns above. A first grant has neither a parent nor a successor.
fn values<'b>(row: &'b Row, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    let Row { id, consumer_key, application_id, key_type, subject, scopes, family, .. } = row;
    for text in [id, consumer_key, application_id, key_type, subject, scopes, family] {
        out.push_bind_param::<Text, str>(text)?;
        out.push_sql(", ");
    }
    out.push_bind_param::<Binary, Vec<u8>>(&row.access_digest)?;
    for moment in [&row.issued_at, &row.expires_at] {
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(moment)?;
    }
    for text in [&row.issuer, &row.identity_provider_id, &row.key_thumbprint, &row.assertion_jti] {
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, Option<String>>(text)?;
    }
    for digest in [&row.assertion_digest, &row.refresh_digest] {
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Binary>, Option<Vec<u8>>>(digest)?;
    }
    out.push_sql(", ");
    out.push_bind_param::<Nullable<Text>, Option<String>>(&row.refresh_scopes)?;
    for moment in [&row.refresh_expires_at, &row.refresh_line_ends_at] {
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, Option<i64>>(moment)?;
    }
    Ok(())
}
