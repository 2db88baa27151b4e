//! An API as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::backends::BackendsView;
use super::caching::CachingView;
use super::transforms::TransformsView;
use super::transport::BackendTlsView;
use crate::domain::api::{Api, Operation};
use crate::domain::lifecycle::Event;
use crate::domain::scheme::Scheme;

/// An API of one version. What is sent to make or replace one has the same members, those that are read-only left out.
#[derive(Serialize, ToSchema)]
#[schema(as = Api)]
pub(super) struct ApiView {
    #[schema(read_only)]
    id: String,
    name: String,
    /// The first segments of its path; slashes at its ends are dropped. Fixed once it is made.
    #[schema(example = "pets")]
    context: String,
    /// The segment after the context. Fixed once it is made.
    #[schema(example = "1.0.0")]
    version: String,
    description: String,
    /// created, published, blocked, deprecated or retired.
    #[schema(read_only)]
    state: &'static str,
    #[schema(read_only)]
    owner: String,
    backends: BackendsView,
    /// Left out, every method and path may be called with a token.
    operations: Vec<OperationView>,
    /// The tiers that a subscription may choose from; at least one.
    tiers: Vec<String>,
    tags: Vec<String>,
    /// public (default) or private.
    visibility: &'static str,
    /// Null leaves CORS to the backend.
    cors: Option<CorsView>,
    /// How callers may prove who they are, any of: token (the default, an opaque token), api_key, jwt (a trusted provider's own), client_certificate.
    security: Vec<&'static str>,
    /// Whether the backend gets a signed JWT about the caller.
    backend_jwt: bool,
    /// The header that it comes in; null for X-JWT-Assertion. What callers send in either is taken off.
    #[schema(example = "x-caller-jwt")]
    backend_jwt_header: Option<String>,
    /// What is changed of all its messages; null for nothing.
    transforms: Option<TransformsView>,
    /// The most requests a second that reach the backend, over all callers.
    max_tps: Option<u32>,
    /// The tier whose limit all callers of the API share.
    limit_tier: Option<String>,
    timeouts: TimeoutsView,
    /// Whether the caller's Authorization header is passed on.
    forward_authorization: bool,
    /// Whether it also answers without the version segment; one version of a context has this.
    default_version: bool,
    /// Whether the examples of its OpenAPI document answer in the place of a backend.
    mock: bool,
    /// Whether requests are judged by its OpenAPI document: parameters, media type, and JSON bodies of up to 1 MiB.
    validate_requests: bool,
    /// The version of HTTP that its backends are spoken to in: http1 (default) or http2, which gRPC needs.
    backend_protocol: &'static str,
    /// Whom TLS takes for its https backends. Null goes by the system's certificates and the URL's host.
    backend_tls: Option<BackendTlsView>,
    /// RFC 3339.
    #[schema(read_only)]
    created_at: String,
    /// RFC 3339.
    #[schema(read_only)]
    updated_at: String,
}

/// One thing that may be called.
#[derive(Serialize, ToSchema)]
#[schema(as = Operation)]
pub(super) struct OperationView {
    /// A method, or * for any.
    method: String,
    /// Begins with /; {name} stands for one segment, /* at the end for the rest.
    #[schema(example = "/pets/{id}")]
    path: String,
    /// Any one of them will do; none asks for no scope.
    scopes: Vec<String>,
    /// token (default), application (a token with no person behind it) or none.
    auth: &'static str,
    /// The tier whose limit all callers of the operation share; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// The path that the backend sees instead; may use the names of path, and /* at the end where path ends so.
    #[schema(example = "/v2/cats/{id}")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rewrite: Option<String>,
    /// What is changed of its messages, after what is changed of all of the API; left out for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    transforms: Option<TransformsView>,
    /// Left out, no answers are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CachingView>,
}

/// What other origins' pages may do.
#[derive(Serialize, ToSchema)]
#[schema(as = Cors)]
pub(super) struct CorsView {
    /// Exact origins, or *.
    allow_origins: Vec<String>,
    allow_headers: Vec<String>,
    /// Not together with the origin *.
    allow_credentials: bool,
}

/// In milliseconds, from 100 to 600000.
#[derive(Serialize, ToSchema)]
#[schema(as = Timeouts)]
pub(super) struct TimeoutsView {
    /// Until the connection stands.
    connect: u32,
    /// Until the head of the answer is there.
    first_byte: u32,
    /// Between two pieces of the answer.
    idle: u32,
}

/// Where an API is in its life.
#[derive(Serialize, ToSchema)]
#[schema(as = Lifecycle)]
pub(super) struct LifecycleView {
    state: &'static str,
    /// The actions that may be taken now.
    legal_actions: Vec<&'static str>,
    /// The latest 100 moves, the oldest of them first.
    history: Vec<EventView>,
}

/// A move that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = LifecycleEvent)]
pub(super) struct EventView {
    action: &'static str,
    from: &'static str,
    to: &'static str,
    actor: String,
    /// RFC 3339.
    at: String,
}

impl ApiView {
    pub(super) fn of(api: Api) -> Self {
        let definition = api.definition;
        Self {
            id: api.id.to_string(),
            name: api.name,
            context: api.context,
            version: api.version,
            description: definition.description,
            state: api.state.as_str(),
            owner: api.owner,
            backends: BackendsView::of(definition.backends),
            operations: definition.operations.into_iter().map(OperationView::of).collect(),
            tiers: definition.tiers,
            tags: definition.tags,
            visibility: definition.visibility.as_str(),
            cors: definition.cors.map(|cors| CorsView {
                allow_origins: cors.allow_origins,
                allow_headers: cors.allow_headers,
                allow_credentials: cors.allow_credentials,
            }),
            security: definition.security.iter().map(Scheme::as_str).collect(),
            backend_jwt: definition.backend_jwt,
            backend_jwt_header: definition.backend_jwt_header,
            transforms: TransformsView::of(definition.transforms),
            max_tps: definition.max_tps,
            limit_tier: definition.limit_tier,
            timeouts: TimeoutsView {
                connect: definition.timeouts.connect,
                first_byte: definition.timeouts.first_byte,
                idle: definition.timeouts.idle,
            },
            forward_authorization: definition.forward_authorization,
            default_version: definition.default_version,
            mock: definition.mock,
            validate_requests: definition.validate_requests,
            backend_protocol: definition.transport.protocol.as_str(),
            backend_tls: definition.transport.tls.map(BackendTlsView::of),
            created_at: api.created_at.rfc3339(),
            updated_at: api.updated_at.rfc3339(),
        }
    }

    /// Without what only its owner needs to know: where the backends are.
    pub(super) fn without_backends(mut self) -> Self {
        self.backend_tls = None;
        self.backends = BackendsView::hidden();
        // What is set on requests may be what lets us in at the backend.
        self.transforms = None;
        for operation in &mut self.operations {
            operation.transforms = None;
            operation.rewrite = None;
        }
        self
    }
}

impl OperationView {
    fn of(operation: Operation) -> Self {
        Self {
            scopes: operation.scopes.iter().map(str::to_owned).collect(),
            method: operation.method,
            path: operation.path,
            auth: operation.auth.as_str(),
            tier: operation.tier,
            rewrite: operation.rewrite,
            transforms: TransformsView::of(operation.transforms),
            cache: operation.cache.map(CachingView::of),
        }
    }
}

impl LifecycleView {
    pub(super) fn of(api: &Api, history: Vec<Event>) -> Self {
        Self {
            state: api.state.as_str(),
            legal_actions: api.state.legal_actions().iter().map(|action| action.as_str()).collect(),
            history: history.into_iter().map(EventView::of).collect(),
        }
    }
}

impl EventView {
    fn of(event: Event) -> Self {
        Self {
            action: event.action.as_str(),
            from: event.from.as_str(),
            to: event.to.as_str(),
            actor: event.actor,
            at: event.at.rfc3339(),
        }
    }
}
