//! What was called, by minute and by day; nodes add to the same rows.

use diesel::backend::Backend;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_query;
use diesel::sql_types::{BigInt, HasSqlType, Text, Untyped};
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::{apis, applications, usage_counts};
use crate::domain::usage::{Count, Group, Period, Query, Totals};

struct Row {
    period: &'static str,
    starts_at: i64,
    api_id: String,
    application_id: String,
    operation: String,
    status: i64,
    calls: i64,
    errors: i64,
    backend_us: i64,
    gateway_us: i64,
    bytes_in: i64,
    bytes_out: i64,
}

impl Row {
    fn of(count: &Count, period: Period) -> Self {
        let Count { minute, line, totals } = count;
        Self {
            period: period.as_str(),
            starts_at: period.start_of(*minute).0,
            api_id: line.api.map(|id| id.to_string()).unwrap_or_default(),
            application_id: line.application.map(|id| id.to_string()).unwrap_or_default(),
            operation: line.operation.clone(),
            status: line.status.into(),
            calls: totals.calls,
            errors: totals.errors,
            backend_us: totals.backend_us,
            gateway_us: totals.gateway_us,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
        }
    }
}

/// Adds counts to what is there, for their minutes and their days.
///
/// In the order of the rows: transactions of several nodes then take these rows' locks in one order, and none waits for another
/// that waits for it. Minutes of one day come together in its row, so that each period has an order of its own.
///
/// # Errors
/// The database failed.
pub fn add(connection: &mut AnyConnection, counts: &[Count]) -> Result<(), StorageError> {
    for period in Period::ALL {
        let mut ordered: Vec<&Count> = counts.iter().collect();
        ordered.sort_by_key(|count| (period.start_of(count.minute), &count.line));
        for count in ordered {
            add_row(connection, Row::of(count, period))?;
        }
    }
    Ok(())
}

fn add_row(connection: &mut AnyConnection, row: Row) -> Result<(), StorageError> {
    either!(connection, native => {
        Add(row).execute(native)?;
        Ok(())
    })
}

/// The upsert that adds a row, as text of ours: diesel prepares its own `ON CONFLICT` anew each time, which was more than half
/// of the work where thousands of APIs are called.
#[derive(QueryId)]
struct Add(Row);

impl<DB> QueryFragment<DB> for Add
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    str: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let Self(row) = self;
        out.push_sql(
            "INSERT INTO usage_counts (period, api_id, application_id, operation, starts_at, status, calls, errors, \
             backend_us, gateway_us, bytes_in, bytes_out) VALUES (",
        );
        for text in [row.period, &row.api_id, &row.application_id, &row.operation] {
            out.push_bind_param::<Text, str>(text)?;
            out.push_sql(", ");
        }
        let sums = [&row.calls, &row.errors, &row.backend_us, &row.gateway_us, &row.bytes_in];
        for number in [&row.starts_at, &row.status].into_iter().chain(sums) {
            out.push_bind_param::<BigInt, i64>(number)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<BigInt, i64>(&row.bytes_out)?;
        out.push_sql(
            ") ON CONFLICT (period, starts_at, api_id, application_id, operation, status) DO UPDATE SET \
             calls = usage_counts.calls + excluded.calls, errors = usage_counts.errors + excluded.errors, \
             backend_us = usage_counts.backend_us + excluded.backend_us, \
             gateway_us = usage_counts.gateway_us + excluded.gateway_us, \
             bytes_in = usage_counts.bytes_in + excluded.bytes_in, \
             bytes_out = usage_counts.bytes_out + excluded.bytes_out",
        );
        Ok(())
    }
}

impl<Connection> RunQueryDsl<Connection> for Add {}

type Found = (i64, String, String, String, i64, i64, i64, i64, i64, i64, i64);

/// The sums that are asked for, in the order of time and then of what they are told apart by.
///
/// # Errors
/// The database failed.
pub fn sum(connection: &mut AnyConnection, query: &Query) -> Result<Vec<Group>, StorageError> {
    let Query { period, from, to, grouping, .. } = query;
    let of =
        |is_asked: bool, column: &'static str, other: &'static str| if is_asked { column } else { other };
    let by_api = of(grouping.api, "api_id", "''");
    let by_application = of(grouping.application, "application_id", "''");
    let by_operation = of(grouping.operation, "operation", "''");
    let by_status = of(grouping.status, "status", "CAST(0 AS BIGINT)");
    let columns = ["api_id", "application_id", "operation", "status"];
    let asked = [grouping.api, grouping.application, grouping.operation, grouping.status];
    let groups = columns.into_iter().zip(asked).filter(|(_, is_asked)| *is_asked).map(|(column, _)| column);
    let groups = std::iter::once("starts_at").chain(groups).collect::<Vec<_>>().join(", ");
    let found: Vec<Found> = either!(connection, native => {
        let mut rows = usage_counts::table
            .group_by(sql::<Untyped>(&groups))
            .select((
                sql::<BigInt>("starts_at"),
                sql::<Text>(by_api),
                sql::<Text>(by_application),
                sql::<Text>(by_operation),
                sql::<BigInt>(by_status),
                sql::<BigInt>("CAST(SUM(calls) AS BIGINT)"),
                sql::<BigInt>("CAST(SUM(errors) AS BIGINT)"),
                sql::<BigInt>("CAST(SUM(backend_us) AS BIGINT)"),
                sql::<BigInt>("CAST(SUM(gateway_us) AS BIGINT)"),
                sql::<BigInt>("CAST(SUM(bytes_in) AS BIGINT)"),
                sql::<BigInt>("CAST(SUM(bytes_out) AS BIGINT)"),
            ))
            .order(sql::<Untyped>(&groups))
            .offset(query.skip)
            .limit(query.rows)
            .into_boxed();
        rows = rows
            .filter(usage_counts::period.eq(period.as_str()))
            .filter(usage_counts::starts_at.ge(from.0))
            .filter(usage_counts::starts_at.lt(to.0));
        if let Some(api) = query.api {
            rows = rows.filter(usage_counts::api_id.eq(api.to_string()));
        }
        if let Some(application) = query.application {
            rows = rows.filter(usage_counts::application_id.eq(application.to_string()));
        }
        if let Some(owner) = &query.owner {
            let theirs = apis::table.filter(apis::owner.eq(owner)).select(apis::id);
            let own = applications::table.filter(applications::owner.eq(owner)).select(applications::id);
            let visible = usage_counts::api_id.eq_any(theirs).or(usage_counts::application_id.eq_any(own));
            rows = rows.filter(visible);
        }
        rows.load(native)?
    });
    Ok(found.into_iter().map(group).collect())
}

fn group(found: Found) -> Group {
    let (
        starts_at,
        api,
        application,
        operation,
        status,
        calls,
        errors,
        backend_us,
        gateway_us,
        bytes_in,
        bytes_out,
    ) = found;
    let totals = Totals { calls, errors, backend_us, gateway_us, bytes_in, bytes_out };
    Group { starts_at: UnixTime(starts_at), api, application, operation, status, totals }
}

/// Removes at most `batch` rows of minutes or days that began before `before`, the oldest first.
///
/// # Errors
/// The database failed.
pub fn remove_before(
    connection: &mut AnyConnection,
    period: Period,
    before: UnixTime,
    batch: i64,
) -> Result<u64, StorageError> {
    const KEY: &str = "(period, starts_at, api_id, application_id, operation, status)";
    let delete = |[one, two, three]: [&str; 3]| {
        sql_query(format!(
            "DELETE FROM usage_counts WHERE {KEY} IN (SELECT period, starts_at, api_id, application_id, operation, status \
             FROM usage_counts WHERE period = {one} AND starts_at < {two} ORDER BY period, starts_at LIMIT {three})"
        ))
        .bind::<Text, _>(period.as_str())
        .bind::<BigInt, _>(before.0)
        .bind::<BigInt, _>(batch)
    };
    let removed = match connection {
        AnyConnection::Sqlite(sqlite) => delete(["?", "?", "?"]).execute(sqlite)?,
        AnyConnection::Postgres(postgres) => delete(["$1", "$2", "$3"]).execute(postgres)?,
    };
    Ok(u64::try_from(removed).unwrap_or_default())
}
