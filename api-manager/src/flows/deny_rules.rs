//! Administrators keep somebody away from the gateway, and let them back in.

use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_server::database::{AnyConnection, StorageError};

use super::{FlowError, audit};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::deny::{Conditions, DenyRule, Draft, MOST};
use crate::domain::ids::DenyRuleId;
use crate::domain::route_change::RouteChange;
use crate::storage::{apis, applications, deny_rules, route_changes};

/// Up to `rows` rules after the id `after`.
///
/// # Errors
/// The database failed.
pub async fn list_deny_rules(app: &App, after: String, rows: i64) -> Result<Vec<DenyRule>, FlowError> {
    Ok(app.database.read(move |connection| deny_rules::list(connection, &after, rows)).await?)
}

/// One rule.
///
/// # Errors
/// [`FlowError::NotFound`].
pub async fn find_deny_rule(app: &App, id: DenyRuleId) -> Result<DenyRule, FlowError> {
    let found = app.database.read(move |connection| deny_rules::find(connection, id)).await?;
    found.ok_or(FlowError::NotFound("deny rule"))
}

/// Makes a rule; it holds when this returns.
///
/// # Errors
/// [`FlowError`]: what it names is not there, or there are too many rules.
pub async fn create_deny_rule(
    app: &App,
    actor: &Actor,
    draft: Draft,
    now: UnixTime,
) -> Result<DenyRule, FlowError> {
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::DenyRules)?;
        known(connection, &draft.conditions)?;
        if deny_rules::count(connection)? >= MOST {
            return Err(FlowError::conflict(format!(
                "there are {MOST} deny rules already; remove some first"
            )));
        }
        let rule = draft.into_rule(now);
        deny_rules::insert(connection, &rule).map_err(gone)?;
        Ok(rule)
    });
    let rule = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "created a deny rule", &rule.id.to_string(), "", &rule.summary());
    Ok(rule)
}

/// Replaces a rule if it is still of the revision `expected`, where one is given.
///
/// # Errors
/// [`FlowError`]: not there, another version, what it names is not there.
pub async fn replace_deny_rule(
    app: &App,
    actor: &Actor,
    (id, draft): (DenyRuleId, Draft),
    expected: Option<i64>,
    now: UnixTime,
) -> Result<DenyRule, FlowError> {
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::DenyRules)?;
        let present = deny_rules::find(connection, id)?.ok_or(FlowError::NotFound("deny rule"))?;
        FlowError::unless_current(expected, present.revision)?;
        known(connection, &draft.conditions)?;
        let rule = DenyRule {
            id,
            created_at: present.created_at,
            revision: present.revision + 1,
            ..draft.into_rule(now)
        };
        FlowError::unless_written(deny_rules::update(connection, &rule, present.revision).map_err(gone)?)?;
        Ok::<_, FlowError>((present, rule))
    });
    let (before, rule) = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "replaced a deny rule", &id.to_string(), &before.summary(), &rule.summary());
    Ok(rule)
}

/// Removes a rule.
///
/// # Errors
/// [`FlowError`]: not there, another version.
pub async fn delete_deny_rule(
    app: &App,
    actor: &Actor,
    id: DenyRuleId,
    expected: Option<i64>,
) -> Result<(), FlowError> {
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::DenyRules)?;
        let rule = deny_rules::find(connection, id)?.ok_or(FlowError::NotFound("deny rule"))?;
        FlowError::unless_current(expected, rule.revision)?;
        FlowError::unless_written(deny_rules::delete(connection, id, rule.revision)?)?;
        Ok::<_, FlowError>(rule)
    });
    let rule = write.await?;
    app.changes.announce(Change::Routes).await;
    audit::record(actor, "deleted a deny rule", &id.to_string(), &rule.summary(), "");
    Ok(())
}

/// Refuses conditions that name what is not there.
fn known(connection: &mut AnyConnection, conditions: &Conditions) -> Result<(), FlowError> {
    let mut errors = Vec::new();
    if let Some(id) = conditions.application
        && applications::find(connection, id)?.is_none()
    {
        errors.push(FieldError::new("conditions.application_id", "names no application"));
    }
    if let Some(id) = conditions.api
        && apis::find(connection, id)?.is_none()
    {
        errors.push(FieldError::new("conditions.api_id", "names no API"));
    }
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Fields(errors)) }
}

/// What the rule names went between the look and the write.
fn gone(error: StorageError) -> FlowError {
    match error {
        StorageError::InUse => FlowError::Overtaken,
        other => other.into(),
    }
}
