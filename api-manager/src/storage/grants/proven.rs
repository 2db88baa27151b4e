//! A grant that is made on facts read earlier: they are proven, the assertion is claimed and the grant is kept, or none
//! of it happens.

mod together;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::Sqlite;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};

use crate::domain::grant::Grant;
use crate::domain::ids::IdentityProviderId;
use crate::storage::{revisions, slots, used_assertions};

/// A grant that is to be made on facts that were read earlier.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What must still be so.
    pub proof: Proof,
    /// What is spent by it; nothing where the assertion may come again.
    pub claim: Option<Claim>,
    /// The first grant of its family, which is made at the moment.
    pub grant: Grant,
}

/// What must still be so.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The key that buys.
    pub consumer_key: String,
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
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who issued it.
    pub issuer: String,
    /// Its replay key.
    pub replay_key: Digest,
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

/// Keeps each grant whose proof holds and whose claim nobody has made before: an outcome for each, in their order, and of two that make the
/// same claim the first is granted. For [`shared_server::database::Database::write_in_one_statement`]: on PostgreSQL it is one.
///
/// # Errors
/// As [`super::insert`]; it is one of all.
pub fn insert_proven(
    connection: &mut AnyConnection,
    exchanges: &[Exchange],
) -> Result<Vec<Outcome>, StorageError> {
    let mut outcomes = Vec::with_capacity(exchanges.len());
    for exchange in exchanges {
        let answer = match connection {
            AnyConnection::Postgres(postgres) => return together::insert(postgres, exchanges),
            // It has one writer and is asked within the process: statement by statement.
            AnyConnection::Sqlite(sqlite) => answer(sqlite, exchange)?,
        };
        outcomes.push(conclude(connection, exchange, answer)?);
    }
    Ok(outcomes)
}

/// What follows from an [`answer`]. Nothing is written before the last refusal.
fn conclude(
    connection: &mut AnyConnection,
    exchange: &Exchange,
    answer: (bool, bool, bool),
) -> Result<Outcome, StorageError> {
    let Exchange { claim, grant, .. } = exchange;
    let now = grant.issued_at;
    match answer {
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
    if let Some(Claim { issuer, replay_key, until }) = claim {
        used_assertions::enter(connection, issuer, replay_key, *until, now)?;
    }
    super::insert(connection, grant)?;
    Ok(Outcome::Granted)
}

/// Whether the proof holds for as long as the transaction lasts, whether the assertion was claimed, and whether that has to be looked
/// for elsewhere, too.
fn answer(sqlite: &mut SqliteConnection, exchange: &Exchange) -> Result<(bool, bool, bool), StorageError> {
    let Exchange { proof, claim, grant } = exchange;
    let (claim, now) = (claim.as_ref(), grant.issued_at);
    let question = Question {
        proof,
        provider: &proof.provider.to_string(),
        issuer: claim.map(|claim| claim.issuer.as_str()),
        replay_key: claim.map(|claim| claim.replay_key.as_bytes().as_slice()),
        slots: slots::around(now),
        after: slots::after(now),
    };
    Ok(question.get_result(sqlite)?)
}

/// Proof and claim in one statement for SQLite, in the order of [`answer`].
struct Question<'a> {
    proof: &'a Proof,
    provider: &'a str,
    issuer: Option<&'a str>,
    replay_key: Option<&'a [u8]>,
    slots: slots::Asked,
    after: [(i64, i64); 2],
}

impl QueryFragment<Sqlite> for Question<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let Self { proof, provider, .. } = self;
        out.push_sql("SELECT EXISTS (SELECT 1 FROM application_keys WHERE consumer_key = ");
        out.push_bind_param::<Text, str>(&proof.consumer_key)?;
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
        for (place, slot) in self.slots.iter().enumerate() {
            out.push_sql(if place == 0 { " AND slot IN (" } else { ", " });
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
