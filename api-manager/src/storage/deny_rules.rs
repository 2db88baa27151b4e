//! Deny rules, by id.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_server::database::{AnyConnection, StorageError};

use super::schema::deny_rules;
use super::unreadable;
use crate::domain::deny::{AddressRange, Conditions, DenyRule, Subject};
use crate::domain::ids::{ApiId, ApplicationId, DenyRuleId};

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = deny_rules, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Row {
    id: String,
    ip: Option<String>,
    application_id: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    api_id: Option<String>,
    enabled: bool,
    reason: String,
    expires_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    fn of(rule: &DenyRule) -> Self {
        let Conditions { addresses, application, subject, api } = &rule.conditions;
        Self {
            id: rule.id.to_string(),
            ip: addresses.map(|range| range.to_string()),
            application_id: application.map(|id| id.to_string()),
            subject: subject.as_ref().map(|subject| subject.name.clone()),
            issuer: subject.as_ref().and_then(|subject| subject.issuer.clone()),
            api_id: api.map(|id| id.to_string()),
            enabled: rule.enabled,
            reason: rule.reason.clone(),
            expires_at: rule.expires_at.map(|at| at.0),
            created_at: rule.created_at.0,
            updated_at: rule.updated_at.0,
            revision: rule.revision,
        }
    }

    fn read(self) -> Result<DenyRule, StorageError> {
        let unreadable = |column| unreadable("deny_rules", column);
        let addresses = self.ip.map(|text| AddressRange::parse(&text).map_err(|_| unreadable("ip")));
        let application = self
            .application_id
            .map(|id| ApplicationId::parse(&id).ok_or_else(|| unreadable("application_id")));
        let api = self.api_id.map(|id| ApiId::parse(&id).ok_or_else(|| unreadable("api_id")));
        let issuer = self.issuer;
        Ok(DenyRule {
            id: DenyRuleId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            conditions: Conditions {
                addresses: addresses.transpose()?,
                application: application.transpose()?,
                subject: self.subject.map(|name| Subject { name, issuer }),
                api: api.transpose()?,
            },
            enabled: self.enabled,
            reason: self.reason,
            expires_at: self.expires_at.map(UnixTime),
            created_at: UnixTime(self.created_at),
            updated_at: UnixTime(self.updated_at),
            revision: self.revision,
        })
    }
}

/// Every rule, by id.
///
/// # Errors
/// The database failed.
pub fn list_all(connection: &mut AnyConnection) -> Result<Vec<DenyRule>, StorageError> {
    let rows: Vec<Row> = deny_rules::table.order(deny_rules::id).load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// Up to `rows` rules after the id `after`.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut AnyConnection, after: &str, rows: i64) -> Result<Vec<DenyRule>, StorageError> {
    let page = deny_rules::table.filter(deny_rules::id.gt(after)).order(deny_rules::id).limit(rows);
    let rows: Vec<Row> = page.load(connection)?;
    rows.into_iter().map(Row::read).collect()
}

/// How many rules there are.
///
/// # Errors
/// The database failed.
pub fn count(connection: &mut AnyConnection) -> Result<i64, StorageError> {
    Ok(deny_rules::table.count().get_result(connection)?)
}

/// The rule of that id.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut AnyConnection, id: DenyRuleId) -> Result<Option<DenyRule>, StorageError> {
    let row: Option<Row> = deny_rules::table.find(id.to_string()).get_result(connection).optional()?;
    row.map(Row::read).transpose()
}

/// Adds a rule.
///
/// # Errors
/// [`StorageError::InUse`] where the application or the API is gone.
pub fn insert(connection: &mut AnyConnection, rule: &DenyRule) -> Result<(), StorageError> {
    diesel::insert_into(deny_rules::table).values(&Row::of(rule)).execute(connection)?;
    Ok(())
}

/// Replaces the rule if it is still of `revision`; says whether it was.
///
/// # Errors
/// As [`insert`].
pub fn update(connection: &mut AnyConnection, rule: &DenyRule, revision: i64) -> Result<bool, StorageError> {
    let guarded = deny_rules::table
        .filter(deny_rules::id.eq(rule.id.to_string()))
        .filter(deny_rules::revision.eq(revision));
    Ok(diesel::update(guarded).set(&Row::of(rule)).execute(connection)? == 1)
}

/// Removes the rule if it is still of `revision`; says whether it was.
///
/// # Errors
/// The database failed.
pub fn delete(connection: &mut AnyConnection, id: DenyRuleId, revision: i64) -> Result<bool, StorageError> {
    let guarded =
        deny_rules::table.filter(deny_rules::id.eq(id.to_string())).filter(deny_rules::revision.eq(revision));
    Ok(diesel::delete(guarded).execute(connection)? == 1)
}
