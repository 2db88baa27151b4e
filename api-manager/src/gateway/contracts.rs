//! What an API's OpenAPI document promises, kept beside the table for as long as the API stays as it is.

use std::sync::Arc;

use http::StatusCode;
use log::error;
use shared_claims::field_error::FieldError;
use shared_server::database::{Database, StorageError};

use super::routes::{Contracts, RouteTable};
use crate::domain::api::Api;
use crate::domain::openapi::contract::Contract;
use crate::storage::api_documents;

/// Why a contract does not let a request through, or has no answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The document has no example for the answer.
    NoExample,
    /// The examples are of media types that the client does not take.
    NotAcceptable,
    /// The body is of a media type that the document does not name.
    MediaType,
    /// The body is too long to be judged.
    TooLarge,
    /// Everything that is wrong with the request; never holds what was sent.
    Invalid(Vec<FieldError>),
}

/// The contracts of those of `apis` that need one; those that `previous` has already are taken over, for reading them
/// takes longer than everything else of a table.
///
/// # Errors
/// The database failed.
pub async fn load(
    apis: impl Iterator<Item = &Api>,
    previous: &RouteTable,
    database: &Database,
) -> Result<Contracts, StorageError> {
    let mut contracts = Contracts::default();
    for api in apis.filter(|api| api.definition.needs_document()) {
        let known = previous.api(api.id).filter(|route| route.revision == api.revision);
        if let Some(known) = known.and_then(|route| route.contract.clone()) {
            contracts.insert(api.id, known);
            continue;
        }
        let (id, operations) = (api.id, api.definition.operations.clone());
        let judges = api.definition.validate_requests;
        let Some(document) = database.read(move |connection| api_documents::find(connection, id)).await?
        else {
            error!(api = id.to_string().as_str(); "an API that needs its OpenAPI document has none");
            continue;
        };
        let compiled =
            tokio::task::spawn_blocking(move || Contract::compile(&document, &operations, judges).0).await;
        let contract = compiled.map_err(|_| StorageError::Fault("reading a contract panicked".to_owned()))?;
        contracts.insert(id, Arc::new(contract));
    }
    Ok(contracts)
}

impl Breach {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoExample => StatusCode::NOT_IMPLEMENTED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoExample => "no_example",
            Self::NotAcceptable => "not_acceptable",
            Self::MediaType => "media_type",
            Self::TooLarge => "body_too_large",
            Self::Invalid(_) => "invalid_request",
        }
    }

    /// Code, message and description of the body.
    pub(super) fn words(&self) -> (&'static str, &'static str, String) {
        let (code, message, description) = match self {
            Self::NoExample => (
                "501",
                "Not Implemented",
                "This API is a mock, and its OpenAPI document has no example of the answer.",
            ),
            Self::NotAcceptable => (
                "406",
                "Not Acceptable",
                "This API is a mock, and has no example in a media type that Accept names.",
            ),
            Self::MediaType => (
                "415",
                "Unsupported Media Type",
                "The API's OpenAPI document does not name the media type of this body.",
            ),
            Self::TooLarge => ("413", "Content Too Large", "The body is longer than 1 MiB."),
            Self::Invalid(faults) => {
                let all: Vec<String> =
                    faults.iter().map(|fault| format!("{} {}", fault.field, fault.detail)).collect();
                return ("400", "Bad Request", all.join("; "));
            }
        };
        (code, message, description.to_owned())
    }

    /// What its owner, or the caller, can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoExample => "Add an example to the answer in the API's OpenAPI document.",
            Self::NotAcceptable => "Accept a media type that the API's OpenAPI document has an example in.",
            Self::MediaType | Self::TooLarge | Self::Invalid(_) => {
                "Send what the API's OpenAPI document describes; the refusal names each fault."
            }
        }
    }
}
