//! Grants on kept facts on PostgreSQL: any number of them is one statement, and so one round trip and one commit.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use shared_server::database::StorageError;

use super::super::Row;
use super::{Exchange, Outcome};
use crate::storage::revisions;

/// As [`super::insert_proven`].
pub(super) fn insert(
    postgres: &mut PgConnection,
    exchanges: &[Exchange],
) -> Result<Vec<Outcome>, StorageError> {
    let rows: Vec<Row> = exchanges.iter().map(|exchange| Row::of(&exchange.grant)).collect();
    let providers: Vec<String> =
        exchanges.iter().map(|exchange| exchange.proof.provider.to_string()).collect();
    let statement = Statement::of(exchanges, &providers, &rows);
    let answers: Vec<(bool, bool)> = statement.load(postgres)?;
    Ok(answers.into_iter().map(outcome).collect())
}

/// Of whether the proof held, and whether the grant was kept.
fn outcome(answer: (bool, bool)) -> Outcome {
    match answer {
        (true, true) => Outcome::Granted,
        (true, false) => Outcome::Replayed,
        (false, _) => Outcome::OutOfDate,
    }
}

/// The members of [`super::Proof`] and [`super::Claim`], as the statement calls them.
const FACTS: [&str; 8] = [
    "proven_key",
    "key_revision",
    "provider",
    "provider_revision",
    "routes",
    "claimed_of",
    "replay_key",
    "until",
];
/// The columns of a first grant, which has neither a parent nor a successor; `refresh_line_ends_at` is the last.
const GRANT: [&str; 18] = [
    "id",
    "consumer_key",
    "application_id",
    "key_type",
    "subject",
    "scopes",
    "family",
    "access_digest",
    "issued_at",
    "expires_at",
    "issuer",
    "identity_provider_id",
    "key_thumbprint",
    "assertion_jti",
    "assertion_digest",
    "refresh_digest",
    "refresh_scopes",
    "refresh_expires_at",
];

/// One member of all exchanges.
enum Column<'a> {
    Texts(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
    Numbers(Vec<Option<i64>>),
}

/// Every part sees the database of one moment, but for the rows that `keys` and `providers` lock: a lock that had to wait takes the row
/// as it is then, and PostgreSQL asks the conditions of that one (read committed). So neither a rotated secret nor a disabled
/// provider slips through, and whoever deletes key or provider waits for this statement to be committed and finds its
/// grants. The parts that write take their rows from those before them: without a proof no claim, without a claim no
/// grant. Of two statements that claim the same at once the second waits for the first to be committed, whatever its moment shows; all
/// claim in one order, so that no two wait for each other.
struct Statement<'a> {
    keys: Vec<&'a str>,
    providers: Vec<&'a str>,
    columns: Vec<Column<'a>>,
}

impl<'a> Statement<'a> {
    fn of(exchanges: &'a [Exchange], providers: &'a [String], rows: &'a [Row]) -> Self {
        let mut keys: Vec<&str> = exchanges.iter().map(|one| one.proof.consumer_key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut distinct: Vec<&str> = providers.iter().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut columns = facts(exchanges, providers);
        columns.extend(grants(rows));
        Self { keys, providers: distinct, columns }
    }
}

/// In the order of [`FACTS`].
fn facts<'a>(exchanges: &'a [Exchange], providers: &'a [String]) -> Vec<Column<'a>> {
    let texts = |of: fn(&Exchange) -> Option<&str>| Column::Texts(exchanges.iter().map(of).collect());
    let numbers = |of: fn(&Exchange) -> Option<i64>| Column::Numbers(exchanges.iter().map(of).collect());
    let keys: fn(&Exchange) -> Option<&[u8]> =
        |one| one.claim.as_ref().map(|claim| claim.replay_key.as_bytes().as_slice());
    vec![
        texts(|one| Some(&one.proof.consumer_key)),
        numbers(|one| Some(one.proof.key_revision)),
        Column::Texts(providers.iter().map(|id| Some(id.as_str())).collect()),
        numbers(|one| Some(one.proof.provider_revision)),
        numbers(|one| Some(one.proof.routes)),
        texts(|one| one.claim.as_ref().map(|claim| claim.issuer.as_str())),
        Column::Bytes(exchanges.iter().map(keys).collect()),
        numbers(|one| one.claim.as_ref().map(|claim| claim.until.0)),
    ]
}

/// In the order of [`GRANT`], and the last one.
fn grants(rows: &[Row]) -> Vec<Column<'_>> {
    let texts = |of: fn(&Row) -> Option<&str>| Column::Texts(rows.iter().map(of).collect());
    let bytes = |of: fn(&Row) -> Option<&[u8]>| Column::Bytes(rows.iter().map(of).collect());
    let numbers = |of: fn(&Row) -> Option<i64>| Column::Numbers(rows.iter().map(of).collect());
    vec![
        texts(|row| Some(&row.id)),
        texts(|row| Some(&row.consumer_key)),
        texts(|row| Some(&row.application_id)),
        texts(|row| Some(&row.key_type)),
        texts(|row| Some(&row.subject)),
        texts(|row| Some(&row.scopes)),
        texts(|row| Some(&row.family)),
        bytes(|row| Some(&row.access_digest)),
        numbers(|row| Some(row.issued_at)),
        numbers(|row| Some(row.expires_at)),
        texts(|row| row.issuer.as_deref()),
        texts(|row| row.identity_provider_id.as_deref()),
        texts(|row| row.key_thumbprint.as_deref()),
        texts(|row| row.assertion_jti.as_deref()),
        bytes(|row| row.assertion_digest.as_deref()),
        bytes(|row| row.refresh_digest.as_deref()),
        texts(|row| row.refresh_scopes.as_deref()),
        numbers(|row| row.refresh_expires_at),
        numbers(|row| row.refresh_line_ends_at),
    ]
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH keys AS MATERIALIZED (SELECT consumer_key, revision FROM application_keys WHERE consumer_key = ANY (");
        out.push_bind_param::<Array<Text>, Vec<&str>>(&self.keys)?;
        out.push_sql(
            ") ORDER BY consumer_key FOR SHARE), \
             providers AS MATERIALIZED (SELECT id, revision FROM identity_providers WHERE enabled AND id = ANY (",
        );
        out.push_bind_param::<Array<Text>, Vec<&str>>(&self.providers)?;
        out.push_sql(
            ") ORDER BY id FOR SHARE), \
             asked AS MATERIALIZED (SELECT * FROM unnest(",
        );
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            match column {
                Column::Texts(texts) => out.push_bind_param::<Array<Nullable<Text>>, _>(texts)?,
                Column::Bytes(bytes) => out.push_bind_param::<Array<Nullable<Binary>>, _>(bytes)?,
                Column::Numbers(numbers) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(numbers)?,
            }
        }
        out.push_sql(") WITH ORDINALITY AS asked (");
        list(&FACTS, &mut out);
        list(&GRANT, &mut out);
        out.push_sql(
            "refresh_line_ends_at, place)), \
             proof AS MATERIALIZED (SELECT asked.* FROM asked \
                 JOIN keys ON keys.consumer_key = asked.proven_key AND keys.revision = asked.key_revision \
                 JOIN providers ON providers.id = asked.provider AND providers.revision = asked.provider_revision \
                 WHERE coalesce((SELECT value FROM revisions WHERE name = ",
        );
        out.push_bind_param::<Text, str>(revisions::ROUTES)?;
        out.push_sql(
            "), 0) = asked.routes), \
             first AS MATERIALIZED (SELECT DISTINCT ON (claimed_of, replay_key) claimed_of, replay_key, until, place FROM proof \
                 WHERE replay_key IS NOT NULL ORDER BY claimed_of, replay_key, place), \
             claimed AS (INSERT INTO used_assertions (issuer, replay_key, expires_at) \
                 SELECT claimed_of, replay_key, until FROM first ORDER BY claimed_of, replay_key \
                 ON CONFLICT (issuer, replay_key) DO NOTHING RETURNING issuer, replay_key), \
             granted AS (INSERT INTO grants (",
        );
        list(&GRANT, &mut out);
        out.push_sql("refresh_line_ends_at) SELECT ");
        list(&GRANT, &mut out);
        out.push_sql(
            "refresh_line_ends_at FROM proof WHERE replay_key IS NULL OR place IN (SELECT first.place FROM first \
                 JOIN claimed ON claimed.issuer = first.claimed_of AND claimed.replay_key = first.replay_key) RETURNING id) \
             SELECT proof.place IS NOT NULL, granted.id IS NOT NULL FROM asked \
                 LEFT JOIN proof ON proof.place = asked.place LEFT JOIN granted ON granted.id = asked.id ORDER BY asked.place",
        );
        Ok(())
    }
}

/// Each name with a comma after it.
fn list(names: &[&str], out: &mut AstPass<'_, '_, Pg>) {
    for name in names {
        out.push_sql(name);
        out.push_sql(", ");
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
