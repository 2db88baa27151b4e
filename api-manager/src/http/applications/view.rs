//! An application and its keys as they are shown.

use serde::Serialize;
use shared_claims::secret::Secret;
use utoipa::ToSchema;

use crate::domain::application::{Application, ApplicationKey};

/// A consumer of APIs.
#[derive(Serialize, ToSchema)]
#[schema(as = Application)]
pub(super) struct ApplicationView {
    #[schema(read_only)]
    id: String,
    /// Unique among the owner's.
    name: String,
    /// The tier that limits all of its calls together.
    tier: String,
    description: String,
    /// How long its tokens live, in seconds; 3600 where not said.
    access_token_lifetime: i64,
    #[schema(read_only)]
    owner: String,
    /// RFC 3339.
    #[schema(read_only)]
    created_at: String,
    /// RFC 3339.
    #[schema(read_only)]
    updated_at: String,
}

/// A consumer key: the OAuth client of the token endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationKey)]
pub(super) struct KeyView {
    application_id: String,
    /// production or sandbox.
    key_type: &'static str,
    consumer_key: String,
    /// Only in the answer that makes it; it is not kept and cannot be shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_secret: Option<String>,
    grant_types: Vec<String>,
    /// Until when the secret before this one counts; RFC 3339.
    previous_secret_until: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

impl ApplicationView {
    pub(super) fn of(application: Application) -> Self {
        Self {
            id: application.id.to_string(),
            name: application.name,
            tier: application.tier,
            description: application.description,
            access_token_lifetime: application.access_token_lifetime,
            owner: application.owner,
            created_at: application.created_at.rfc3339(),
            updated_at: application.updated_at.rfc3339(),
        }
    }
}

impl KeyView {
    pub(super) fn of(key: ApplicationKey) -> Self {
        Self {
            application_id: key.application_id.to_string(),
            key_type: key.key_type.as_str(),
            consumer_key: key.consumer_key,
            consumer_secret: None,
            grant_types: key.grant_types,
            previous_secret_until: key.previous_secret.map(|(_, until)| until.rfc3339()),
            created_at: key.created_at.rfc3339(),
            updated_at: key.updated_at.rfc3339(),
        }
    }

    /// With the secret, which the developer sees this once.
    pub(super) fn with_secret(key: ApplicationKey, secret: &Secret) -> Self {
        Self { consumer_secret: Some(secret.expose().to_owned()), ..Self::of(key) }
    }
}
