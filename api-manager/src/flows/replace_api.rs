//! A publisher changes an API.

use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_server::database::AnyConnection;

use super::{FlowError, api_rules, audit, contract_rules};
use crate::app::App;
use crate::changes::Change;
use crate::domain::actor::Actor;
use crate::domain::api::{Api, Definition};
use crate::domain::ids::ApiId;
use crate::domain::lifecycle::State;
use crate::domain::route_change::RouteChange;
use crate::storage::{apis, route_changes, subscriptions};

/// What takes the place of the present API.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The display name.
    pub name: String,
    /// The context, which cannot change; for callers that send back what they read.
    pub context: Option<String>,
    /// The version, which cannot change either.
    pub version: Option<String>,
    /// The rest.
    pub definition: Definition,
}

/// Replaces an API if it is still of the revision `expected`, where one is given.
///
/// # Errors
/// [`FlowError`]: not there, not the caller's, another version than expected, or a rule of APIs.
pub async fn replace_api(
    app: &App,
    actor: &Actor,
    (id, expected): (ApiId, Option<i64>),
    replacement: Replacement,
    now: UnixTime,
) -> Result<Api, FlowError> {
    api_rules::reachable_backends(&replacement.definition, app.settings.allow_private_backends)?;
    api_rules::current_certificates(&replacement.definition, now)?;
    let by = actor.clone();
    let write = app.database.write(move |connection| {
        route_changes::bump(connection, RouteChange::Api(id))?;
        let present = api_rules::owned(connection, &by, id)?;
        FlowError::unless_current(expected, present.revision)?;
        refuse(connection, &present, &replacement)?;
        let api = Api {
            name: replacement.name,
            definition: replacement.definition,
            updated_at: now,
            revision: present.revision + 1,
            ..present.clone()
        };
        api_rules::known_tiers(connection, &api.definition)?;
        contract_rules::kept_contract(connection, &api)?;
        api_rules::free_place(connection, &by, &api)?;
        FlowError::unless_written(apis::update(connection, &api, present.revision)?)?;
        api_rules::take_default(connection, &api, now)?;
        Ok::<_, FlowError>(api)
    });
    let api = write.await?;
    app.changes.announce(Change::Routes).await;
    let (before, after) = (format!("revision {}", api.revision - 1), format!("revision {}", api.revision));
    audit::record(actor, "replaced an API", &api.id.to_string(), &before, &after);
    Ok(api)
}

/// What an API that is in the world cannot become.
fn refuse(connection: &mut AnyConnection, present: &Api, replacement: &Replacement) -> Result<(), FlowError> {
    let mut errors = Vec::new();
    let mut fixed = |name: &str, present: &str, wanted: &Option<String>| {
        if wanted.as_deref().is_some_and(|wanted| wanted != present) {
            let detail = "cannot change, because its callers would be lost; make a new version with POST /api/v1/apis/{id}/versions, or a new API";
            errors.push(FieldError::new(name, detail));
        }
    };
    fixed("context", &present.context, &replacement.context);
    fixed("version", &present.version, &replacement.version);
    let is_callable = !matches!(present.state, State::Created | State::Retired);
    if is_callable && !replacement.definition.can_answer() {
        errors.push(FieldError::new(
            "backends",
            "must name at least one URL while the API is published; demote it first",
        ));
    }
    for tier in subscriptions::tiers_of(connection, present.id)? {
        // A subscription whose tier is no longer offered would have a limit that nobody can read from the API.
        if !replacement.definition.tiers.contains(&tier) {
            errors.push(FieldError::new(
                "tiers",
                format!("must go on to offer {tier}, which subscriptions are on"),
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Fields(errors)) }
}
