//! Clients on the wire, by RFC 7591's names.

use serde::Serialize;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Secret;
use shared_claims::signature::Algorithm;
use shared_server::fields::Fields;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use crate::domain::client::{AuthMethod, Client, ClientSettings, GRANT_TYPES, GrantType, MultiValued};
use crate::domain::client_metadata::{
    ACCESS_LIFETIMES, DEFAULT_ACCESS_LIFETIME, DEFAULT_REFRESH_LIFETIME, LONGEST_URI, MOST_ITEMS,
    REFRESH_LIFETIMES, SIGNING_ALGORITHMS, faults,
};

const AUTH_METHODS: [(&str, AuthMethod); 2] =
    [("client_secret_basic", AuthMethod::Basic), ("client_secret_post", AuthMethod::Post)];
const MULTI_VALUED: [(&str, MultiValued); 2] = [("array", MultiValued::Array), ("string", MultiValued::Text)];

/// A client to be registered or replaced.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what Fields reads")]
pub(super) struct ClientBody {
    /// For people; up to 100 characters.
    #[schema(max_length = 100)]
    client_name: String,
    /// Of `password`, `client_credentials`, `refresh_token`; at least one.
    #[schema(min_items = 1, example = json!(["password", "refresh_token"]))]
    grant_types: Vec<String>,
    /// Space-separated; what the client may ask for.
    scope: Option<String>,
    /// Absolute, https or loopback.
    redirect_uris: Option<Vec<String>>,
    /// Mail addresses.
    contacts: Option<Vec<String>>,
    /// The client's home page.
    client_uri: Option<String>,
    /// `client_secret_basic` (default) or `client_secret_post`; either is accepted from every client.
    token_endpoint_auth_method: Option<String>,
    /// Further audiences of the client's tokens.
    audiences: Option<Vec<String>>,
    /// Seconds.
    #[schema(minimum = 1, maximum = 86400, default = 3600)]
    access_token_lifetime: Option<i64>,
    /// Seconds that a refresh token may lie unused.
    #[schema(minimum = 1, maximum = 2592000, default = 86400)]
    refresh_token_lifetime: Option<i64>,
    /// `array` (default) or `string`.
    multi_valued_claims: Option<String>,
    /// `RS256` (default), `RS384`, `RS512`, `PS256`, `ES256` or `EdDSA`.
    access_token_signed_response_alg: Option<String>,
    /// A disabled client is treated like an unknown one.
    #[schema(default = true)]
    enabled: Option<bool>,
}

/// How a secret is rotated.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what Fields reads")]
pub(super) struct RotationBody {
    /// Seconds for which the present secret stays good.
    #[schema(minimum = 0, maximum = 604800, default = 0)]
    overlap_seconds: Option<i64>,
}

/// A client as it is kept; the secret is there only when it was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct ClientAnswer {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// Always 0, the secret does not expire (RFC 7591, section 3.2.1); there only beside a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    client_id_issued_at: i64,
    client_name: String,
    grant_types: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    redirect_uris: Vec<String>,
    contacts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    token_endpoint_auth_method: &'static str,
    audiences: Vec<String>,
    access_token_lifetime: i64,
    refresh_token_lifetime: i64,
    multi_valued_claims: &'static str,
    access_token_signed_response_alg: &'static str,
    enabled: bool,
    created_at: String,
    updated_at: String,
}

impl ClientAnswer {
    /// Shows a client, with its secret where that was just made.
    pub(super) fn new(client: Client, secret: Option<&Secret>) -> Self {
        let settings = client.settings;
        Self {
            client_id: client.id.to_string(),
            // Exposed to be shown this once.
            client_secret: secret.map(|secret| secret.expose().to_owned()),
            client_secret_expires_at: secret.map(|_| 0),
            client_id_issued_at: client.created_at.0,
            client_name: settings.client_name,
            grant_types: settings.grant_types.into_iter().map(GrantType::as_str).collect(),
            scope: (!settings.scope.is_empty()).then(|| settings.scope.to_string()),
            redirect_uris: settings.redirect_uris,
            contacts: settings.contacts,
            client_uri: settings.client_uri,
            token_endpoint_auth_method: name_of(&AUTH_METHODS, settings.auth_method),
            audiences: settings.audiences,
            access_token_lifetime: settings.access_token_lifetime,
            refresh_token_lifetime: settings.refresh_token_lifetime,
            multi_valued_claims: name_of(&MULTI_VALUED, settings.multi_valued_claims),
            access_token_signed_response_alg: settings.signing_algorithm.as_str(),
            enabled: settings.enabled,
            created_at: client.created_at.rfc3339(),
            updated_at: client.updated_at.rfc3339(),
        }
    }
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// Reads a client's settings.
///
/// # Errors
/// 422 with every bad field.
pub(super) fn read(mut fields: Fields) -> Result<ClientSettings, Problem> {
    // A resource that was read may be sent back as it is; what we decide about it is not the caller's to change.
    fields.ignore(&[
        "client_id",
        "client_id_issued_at",
        "client_secret",
        "client_secret_expires_at",
        "created_at",
        "updated_at",
    ]);
    let client_name = fields.required_text("client_name", 100);
    let has_grants = fields.has("grant_types");
    let grant_types = grants(&mut fields);
    let settings = ClientSettings {
        client_name,
        grant_types,
        scope: scope(&mut fields),
        redirect_uris: fields.texts("redirect_uris", MOST_ITEMS, LONGEST_URI, false).unwrap_or_default(),
        contacts: fields.texts("contacts", MOST_ITEMS, 254, false).unwrap_or_default(),
        client_uri: fields.text("client_uri", LONGEST_URI),
        auth_method: fields.word("token_endpoint_auth_method", &AUTH_METHODS).unwrap_or(AuthMethod::Basic),
        audiences: distinct(fields.texts("audiences", MOST_ITEMS, LONGEST_URI, false).unwrap_or_default()),
        access_token_lifetime: fields
            .integer("access_token_lifetime", ACCESS_LIFETIMES)
            .unwrap_or(DEFAULT_ACCESS_LIFETIME),
        refresh_token_lifetime: fields
            .integer("refresh_token_lifetime", REFRESH_LIFETIMES)
            .unwrap_or(DEFAULT_REFRESH_LIFETIME),
        multi_valued_claims: fields.word("multi_valued_claims", &MULTI_VALUED).unwrap_or(MultiValued::Array),
        signing_algorithm: algorithm(&mut fields),
        enabled: fields.flag("enabled").unwrap_or(true),
    };
    // An unknown grant was blamed by its place already; that none is left is then no news.
    for fault in faults(&settings)
        .into_iter()
        .filter(|fault| fault.field != "grant_types" || !has_grants || settings.grant_types.len() == 1)
    {
        fields.blame(&fault.field, fault.detail);
    }
    if has_grants && settings.grant_types.is_empty() {
        fields.blame("grant_types", "must name at least one supported grant");
    }
    fields.finish()?;
    Ok(settings)
}

fn grants(fields: &mut Fields) -> Vec<GrantType> {
    let names = fields.texts("grant_types", MOST_ITEMS, 255, false).unwrap_or_default();
    let mut grants = Vec::new();
    for (place, name) in names.iter().enumerate() {
        match GrantType::parse(name) {
            Some(grant) if !grants.contains(&grant) => grants.push(grant),
            Some(_) => {}
            None => {
                let known = GRANT_TYPES.map(|(name, _)| name).join(", ");
                fields.blame(&format!("grant_types[{place}]"), format!("must be one of: {known}"));
            }
        }
    }
    grants
}

fn scope(fields: &mut Fields) -> ScopeSet {
    let Some(text) = fields.text("scope", 4_096) else { return ScopeSet::default() };
    ScopeSet::parse(&text).unwrap_or_else(|bad| {
        fields.blame("scope", bad.to_string());
        ScopeSet::default()
    })
}

fn algorithm(fields: &mut Fields) -> Algorithm {
    let words = SIGNING_ALGORITHMS.map(|algorithm| (algorithm.as_str(), algorithm));
    fields.word("access_token_signed_response_alg", &words).unwrap_or(Algorithm::RS256)
}

fn distinct(mut items: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    items.retain(|item| seen.insert(item.clone()));
    items
}
