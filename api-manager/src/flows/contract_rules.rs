//! The rules of APIs whose OpenAPI document the gateway acts on.

use shared_server::database::AnyConnection;

use super::FlowError;
use crate::domain::api::{Api, Definition};
use crate::domain::openapi::Document;
use crate::domain::openapi::contract::Contract;
use crate::storage::api_documents;

/// Refuses what needs an OpenAPI document without one, or with one that cannot be used for it.
pub(super) fn whole_contract(definition: &Definition, document: Option<&Document>) -> Result<(), FlowError> {
    if !definition.needs_document() {
        return Ok(());
    }
    let Some(document) = document else {
        let detail = "needs an OpenAPI document: make the API with POST /api/v1/apis/import, or add one with PUT \
                      /api/v1/apis/{id}/openapi first";
        let field = if definition.mock { "mock" } else { "validate_requests" };
        return Err(FlowError::field(field, detail));
    };
    let problems =
        Contract::compile(document, &definition.operations, definition.validate_requests).1.into_list();
    if problems.is_empty() { Ok(()) } else { Err(FlowError::Fields(problems)) }
}

/// As [`whole_contract`], with the document that is stored.
pub(super) fn kept_contract(connection: &mut AnyConnection, api: &Api) -> Result<(), FlowError> {
    if !api.definition.needs_document() {
        return Ok(());
    }
    whole_contract(&api.definition, api_documents::find(connection, api.id)?.as_ref())
}
