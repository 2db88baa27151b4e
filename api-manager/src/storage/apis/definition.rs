//! The `definition` column: JSON whose members may be missing in rows that an older version wrote.

use serde::{Deserialize, Serialize};
use shared_claims::scope::ScopeSet;
use shared_server::database::StorageError;

use super::backends::BackendsRow;
use super::transforms::TransformsRow;
use super::transport::TransportRow;
use crate::domain::api::caching::Caching;
use crate::domain::api::{Cors, Definition, Operation, OperationAuth, Timeouts, Visibility};
use crate::domain::scheme::{Scheme, Schemes};

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Row {
    description: String,
    backends: BackendsRow,
    operations: Vec<OperationRow>,
    tiers: Vec<String>,
    tags: Vec<String>,
    visibility: String,
    cors: Option<CorsRow>,
    security: Vec<String>,
    backend_jwt: bool,
    backend_jwt_header: Option<String>,
    transforms: TransformsRow,
    max_tps: Option<u32>,
    limit_tier: Option<String>,
    timeouts: TimeoutsRow,
    forward_authorization: bool,
    default_version: bool,
    mock: bool,
    validate_requests: bool,
    transport: TransportRow,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            description: String::new(),
            backends: BackendsRow::default(),
            operations: Vec::new(),
            tiers: Vec::new(),
            tags: Vec::new(),
            // What cannot be told is shown to as few as possible.
            visibility: Visibility::Private.as_str().to_owned(),
            cors: None,
            security: spell(Schemes::default()),
            backend_jwt: false,
            backend_jwt_header: None,
            transforms: TransformsRow::default(),
            max_tps: None,
            limit_tier: None,
            timeouts: TimeoutsRow::default(),
            forward_authorization: false,
            default_version: false,
            mock: false,
            validate_requests: false,
            transport: TransportRow::default(),
        }
    }
}

/// No defaults for what guards it: an operation that lost its scopes would be open to more callers than its publisher meant.
#[derive(Serialize, Deserialize)]
struct OperationRow {
    method: String,
    path: String,
    scopes: Vec<String>,
    auth: String,
    #[serde(default)]
    tier: Option<String>,
    #[serde(default)]
    rewrite: Option<String>,
    #[serde(default)]
    transforms: TransformsRow,
    #[serde(default)]
    cache: Option<CachingRow>,
}

#[derive(Serialize, Deserialize)]
struct CachingRow {
    ttl_seconds: Option<u32>,
    max_body: u32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct CorsRow {
    allow_origins: Vec<String>,
    allow_headers: Vec<String>,
    allow_credentials: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct TimeoutsRow {
    connect: u32,
    first_byte: u32,
    idle: u32,
}

impl Default for TimeoutsRow {
    fn default() -> Self {
        let Timeouts { connect, first_byte, idle } = Timeouts::default();
        Self { connect, first_byte, idle }
    }
}

/// The column's text.
pub(super) fn write(definition: &Definition) -> Result<String, StorageError> {
    let row = Row {
        description: definition.description.clone(),
        backends: BackendsRow::of(&definition.backends),
        operations: definition.operations.iter().map(OperationRow::of).collect(),
        tiers: definition.tiers.clone(),
        tags: definition.tags.clone(),
        visibility: definition.visibility.as_str().to_owned(),
        cors: definition.cors.as_ref().map(|cors| CorsRow {
            allow_origins: cors.allow_origins.clone(),
            allow_headers: cors.allow_headers.clone(),
            allow_credentials: cors.allow_credentials,
        }),
        security: spell(definition.security),
        backend_jwt: definition.backend_jwt,
        backend_jwt_header: definition.backend_jwt_header.clone(),
        transforms: TransformsRow::of(&definition.transforms),
        max_tps: definition.max_tps,
        limit_tier: definition.limit_tier.clone(),
        timeouts: TimeoutsRow {
            connect: definition.timeouts.connect,
            first_byte: definition.timeouts.first_byte,
            idle: definition.timeouts.idle,
        },
        forward_authorization: definition.forward_authorization,
        default_version: definition.default_version,
        mock: definition.mock,
        validate_requests: definition.validate_requests,
        transport: TransportRow::of(&definition.transport),
    };
    serde_json::to_string(&row).map_err(|e| StorageError::Fault(e.to_string()))
}

/// What the column's text says.
pub(super) fn read(text: &str) -> Option<Definition> {
    let row: Row = serde_json::from_str(text).ok()?;
    Some(Definition {
        description: row.description,
        backends: row.backends.read()?,
        operations: row.operations.into_iter().map(OperationRow::read).collect::<Option<_>>()?,
        tiers: row.tiers,
        tags: row.tags,
        visibility: Visibility::parse(&row.visibility)?,
        cors: row.cors.map(|cors| Cors {
            allow_origins: cors.allow_origins,
            allow_headers: cors.allow_headers,
            allow_credentials: cors.allow_credentials,
        }),
        security: read_schemes(&row.security)?,
        backend_jwt: row.backend_jwt,
        backend_jwt_header: row.backend_jwt_header,
        transforms: row.transforms.read(),
        max_tps: row.max_tps,
        limit_tier: row.limit_tier,
        timeouts: Timeouts {
            connect: row.timeouts.connect,
            first_byte: row.timeouts.first_byte,
            idle: row.timeouts.idle,
        },
        forward_authorization: row.forward_authorization,
        default_version: row.default_version,
        mock: row.mock,
        validate_requests: row.validate_requests,
        transport: row.transport.read()?,
    })
}

fn spell(schemes: Schemes) -> Vec<String> {
    schemes.iter().map(|scheme| scheme.as_str().to_owned()).collect()
}

/// One that is not known makes the row unreadable: leaving it out might leave none.
fn read_schemes(words: &[String]) -> Option<Schemes> {
    let schemes: Vec<Scheme> = words.iter().map(|word| Scheme::parse(word)).collect::<Option<_>>()?;
    Some(Schemes::of(&schemes))
}

/// The scopes that the operations declare, without building the rest.
pub(super) fn scopes(text: &str) -> Option<ScopeSet> {
    #[derive(Deserialize)]
    struct Operations {
        #[serde(default)]
        operations: Vec<Scopes>,
    }
    #[derive(Deserialize)]
    struct Scopes {
        scopes: Vec<String>,
    }
    let row: Operations = serde_json::from_str(text).ok()?;
    row.operations.into_iter().try_fold(ScopeSet::default(), |scopes, operation| {
        Some(scopes.union(&ScopeSet::from_tokens(operation.scopes).ok()?))
    })
}

impl OperationRow {
    fn of(operation: &Operation) -> Self {
        Self {
            method: operation.method.clone(),
            path: operation.path.clone(),
            scopes: operation.scopes.iter().map(str::to_owned).collect(),
            auth: operation.auth.as_str().to_owned(),
            tier: operation.tier.clone(),
            rewrite: operation.rewrite.clone(),
            transforms: TransformsRow::of(&operation.transforms),
            cache: operation
                .cache
                .map(|Caching { ttl_seconds, max_body }| CachingRow { ttl_seconds, max_body }),
        }
    }

    fn read(self) -> Option<Operation> {
        Some(Operation {
            method: self.method,
            path: self.path,
            scopes: ScopeSet::from_tokens(self.scopes).ok()?,
            auth: OperationAuth::parse(&self.auth)?,
            tier: self.tier,
            rewrite: self.rewrite,
            transforms: self.transforms.read(),
            cache: self.cache.map(|CachingRow { ttl_seconds, max_body }| Caching { ttl_seconds, max_body }),
        })
    }
}
