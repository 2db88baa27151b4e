//! The rules of an API that need the database or the settings.

use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_server::database::AnyConnection;
use shared_server::outbound::is_private;

use super::FlowError;
use crate::domain::actor::{Actor, Right};
use crate::domain::api::{Api, Definition, backend, place};
use crate::domain::ids::ApiId;
use crate::domain::route_change::RouteChange;
use crate::storage::{apis, revisions, route_changes, tiers};

/// The API, if `actor` may see it.
pub(super) fn visible(connection: &mut AnyConnection, actor: &Actor, id: ApiId) -> Result<Api, FlowError> {
    let api = apis::find(connection, id)?;
    api.filter(|api| api.is_visible_to(actor)).ok_or(FlowError::NotFound("API"))
}

/// The API, if `actor` may change it.
pub(super) fn owned(connection: &mut AnyConnection, actor: &Actor, id: ApiId) -> Result<Api, FlowError> {
    let api = visible(connection, actor, id)?;
    if actor.owns(&api.owner) { Ok(api) } else { Err(FlowError::Forbidden(Right::Administer)) }
}

/// Refuses backends at addresses that the gateway would not connect to. Names are judged there, when they resolve.
pub(super) fn reachable_backends(definition: &Definition, allow_private: bool) -> Result<(), FlowError> {
    let lists = [("production", &definition.backends.production), ("sandbox", &definition.backends.sandbox)];
    let mut errors = Vec::new();
    for (list, backends) in lists {
        for (place, backend) in backends.iter().enumerate() {
            let address = backend::parse(&backend.url).ok().and_then(|url| backend::literal_address(&url));
            if !allow_private && address.is_some_and(is_private) {
                let detail = "is a loopback or private address; the operator must set allow_private_backends";
                errors.push(FieldError::new(format!("backends.{list}[{place}]"), detail));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Fields(errors)) }
}

/// Refuses trusted certificates that have expired or do not hold yet: with them no call would get through.
pub(super) fn current_certificates(definition: &Definition, now: UnixTime) -> Result<(), FlowError> {
    let outdated = definition.transport.tls.as_ref().map(|tls| tls.outdated(now)).unwrap_or_default();
    let error = |(place, fault)| FieldError::new(format!("backend_tls.ca[{place}]"), fault);
    let errors: Vec<_> = outdated.into_iter().map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Fields(errors)) }
}

/// Refuses tiers that there are not.
pub(super) fn known_tiers(connection: &mut AnyConnection, definition: &Definition) -> Result<(), FlowError> {
    let mut errors = Vec::new();
    for (field, name) in definition.named_tiers() {
        if tiers::find(connection, name)?.is_none() {
            errors.push(FieldError::new(field, "is no tier; GET /api/v1/tiers lists them"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Fields(errors)) }
}

/// Refuses a place that another API holds, and one from which another owner's calls could be caught: the gateway
/// takes the longest path that fits, so `pets/1.0` of one publisher would catch calls to `pets` of another.
pub(super) fn free_place(connection: &mut AnyConnection, actor: &Actor, api: &Api) -> Result<(), FlowError> {
    let first = api.context.split('/').next().unwrap_or_default();
    for other in apis::under(connection, first)?.iter().filter(|other| other.id != api.id) {
        if other.context == api.context && other.version == api.version {
            let (context, version) = (&api.context, &api.version);
            return Err(FlowError::conflict(format!(
                "the context {context} has a version {version} already"
            )));
        }
        if place::collide(api, other) {
            let (context, version) = (&other.context, &other.version);
            return Err(FlowError::conflict(format!(
                "the API {context} {version} answers at the same path, because one of the two is a default version"
            )));
        }
        let is_foreign = other.owner != api.owner && !actor.may(Right::Administer);
        if is_foreign && (other.context == api.context || place::overlap(api, other)) {
            return Err(FlowError::conflict("the context belongs to another publisher; choose another one"));
        }
    }
    Ok(())
}

/// Takes the default version from every other API of the context, where this one has it now. The counter of the routes has
/// been moved before in the transaction.
pub(super) fn take_default(
    connection: &mut AnyConnection,
    api: &Api,
    now: UnixTime,
) -> Result<(), FlowError> {
    if !api.definition.default_version {
        return Ok(());
    }
    let moved = revisions::read(connection, revisions::ROUTES)?;
    let first = api.context.split('/').next().unwrap_or_default();
    for mut other in apis::under(connection, first)? {
        if other.id == api.id || other.context != api.context || !other.definition.default_version {
            continue;
        }
        let revision = other.revision;
        other.definition.default_version = false;
        other.updated_at = now;
        other.revision += 1;
        route_changes::note(connection, moved, RouteChange::Api(other.id))?;
        FlowError::unless_written(apis::update(connection, &other, revision)?)?;
    }
    Ok(())
}
