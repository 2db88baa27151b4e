//! A published API: where it answers, what it guards, where its traffic goes.

pub mod backend;
pub mod caching;
pub mod cors;
pub mod operation;
pub mod place;
pub mod search;
pub mod transform;
pub mod transport;
pub mod upstream;

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use super::ids::ApiId;
use super::lifecycle::State;
use super::scheme::Schemes;
use caching::Caching;
use transform::Transforms;
use transport::Transport;
pub use upstream::{Backend, Backends};

/// An API of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its id.
    pub id: ApiId,
    /// Its display name.
    pub name: String,
    /// The first segments of its path, without slashes at either end, such as `pets` or `shop/pets`.
    pub context: String,
    /// The segment after the context, such as `1.0.0`.
    pub version: String,
    /// Where it is in its life.
    pub state: State,
    /// Who made it.
    pub owner: String,
    /// The rest.
    pub definition: Definition,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts changes; the ETag.
    pub revision: i64,
}

/// An API that somebody wants to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its display name.
    pub name: String,
    /// Its context, as [`place::parse_context`] leaves it.
    pub context: String,
    /// Its version.
    pub version: String,
    /// The rest.
    pub definition: Definition,
}

impl Draft {
    /// The API, not yet published.
    #[must_use]
    pub fn into_api(self, owner: String, now: UnixTime) -> Api {
        Api {
            id: ApiId::generate(),
            name: self.name,
            context: self.context,
            version: self.version,
            state: State::Created,
            owner,
            definition: self.definition,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }
}

/// What a publisher says about an API besides its name and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// For people.
    pub description: String,
    /// Where traffic goes.
    pub backends: Backends,
    /// What may be called.
    pub operations: Vec<Operation>,
    /// The tiers that a subscription may choose from.
    pub tiers: Vec<String>,
    /// For search.
    pub tags: Vec<String>,
    /// Who sees it in the catalogue.
    pub visibility: Visibility,
    /// Answers preflights and adds CORS headers; `None` leaves CORS to the backend.
    pub cors: Option<Cors>,
    /// How its callers may prove who they are.
    pub security: Schemes,
    /// Whether the backend gets a signed JWT about the caller.
    pub backend_jwt: bool,
    /// The header that it comes in, in lower case; `None` for `X-JWT-Assertion`.
    pub backend_jwt_header: Option<String>,
    /// What is changed of all its messages.
    pub transforms: Transforms,
    /// The most requests a second that reach the backend, over all callers.
    pub max_tps: Option<u32>,
    /// The tier whose limit all callers of the API share.
    pub limit_tier: Option<String>,
    /// How long the backend may take.
    pub timeouts: Timeouts,
    /// Whether the caller's `Authorization` header is passed on; never by default.
    pub forward_authorization: bool,
    /// Whether the API also answers without the version segment.
    pub default_version: bool,
    /// Whether the examples of its OpenAPI document answer in the place of a backend.
    pub mock: bool,
    /// Whether requests are judged by its OpenAPI document before they go to its backend.
    pub validate_requests: bool,
    /// How its backends are spoken to.
    pub transport: Transport,
}

impl Default for Definition {
    /// What holds where a publisher says nothing.
    fn default() -> Self {
        Self {
            description: String::new(),
            backends: Backends::default(),
            operations: Vec::new(),
            tiers: Vec::new(),
            tags: Vec::new(),
            visibility: Visibility::Public,
            cors: None,
            security: Schemes::default(),
            backend_jwt: false,
            backend_jwt_header: None,
            transforms: Transforms::default(),
            max_tps: None,
            limit_tier: None,
            timeouts: Timeouts::default(),
            forward_authorization: false,
            default_version: false,
            mock: false,
            validate_requests: false,
            transport: Transport::default(),
        }
    }
}

impl Definition {
    /// Every tier that is named, and where.
    pub fn named_tiers(&self) -> impl Iterator<Item = (String, &str)> {
        let offered = self.tiers.iter().enumerate().map(|(n, tier)| (format!("tiers[{n}]"), tier.as_str()));
        let shared = self.limit_tier.as_deref().map(|tier| ("limit_tier".to_owned(), tier));
        let operations = self.operations.iter().enumerate();
        let of_operations = operations
            .filter_map(|(n, operation)| Some((format!("operations[{n}].tier"), operation.tier.as_deref()?)));
        offered.chain(shared).chain(of_operations)
    }

    /// Whether calls can be answered at all.
    #[must_use]
    pub fn can_answer(&self) -> bool {
        self.mock || !self.backends.is_empty()
    }

    /// Whether the gateway needs the API's OpenAPI document.
    #[must_use]
    pub fn needs_document(&self) -> bool {
        self.mock || self.validate_requests
    }
}

/// One thing that may be called.
///
/// In memory as written: what the gateway asks of every call is in the first two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Operation {
    /// Who may call.
    pub auth: OperationAuth,
    /// Whether and how its answers are kept.
    pub cache: Option<Caching>,
    /// Any one of these scopes will do; none means that no scope is asked for.
    pub scopes: ScopeSet,
    /// The tier whose limit all callers of the operation share.
    pub tier: Option<String>,
    /// The path that the backend sees instead, with the names of `path`.
    pub rewrite: Option<String>,
    /// The method in upper case, or `*` for any.
    pub method: String,
    /// A path below the API that begins with `/`; may end in `/*`, and holds `{name}` for one segment.
    pub path: String,
    /// What is changed of its messages, after what is changed of all messages of the API.
    pub transforms: Transforms,
}

impl Operation {
    /// One that asks for a token and nothing else.
    #[must_use]
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            scopes: ScopeSet::default(),
            auth: OperationAuth::Token,
            tier: None,
            rewrite: None,
            cache: None,
            transforms: Transforms::default(),
        }
    }
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationAuth {
    /// A valid token of a subscribed application.
    Token,
    /// A token that stands for the application itself, with no person behind it.
    Application,
    /// Everybody.
    None,
}

impl OperationAuth {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Token, Self::Application, Self::None];

    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Application => "application",
            Self::None => "none",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|auth| auth.as_str() == text)
    }
}

/// Who sees an API in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody who may view APIs.
    Public,
    /// Its owner and administrators.
    Private,
}

impl Visibility {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Public, Self::Private].into_iter().find(|visibility| visibility.as_str() == text)
    }
}

/// What other origins' pages may do with an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Exact origins, or `*`.
    pub allow_origins: Vec<String>,
    /// Request headers that a page may send.
    pub allow_headers: Vec<String>,
    /// Whether a page may send credentials; not together with the origin `*`.
    pub allow_credentials: bool,
}

/// How long the backend may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: u32,
    /// Until the head of the answer is there.
    pub first_byte: u32,
    /// Between two pieces of the answer.
    pub idle: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: 5_000, first_byte: 60_000, idle: 60_000 }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An API of `owner` with a backend and one operation for everything.
    pub(crate) fn api_at(context: &str, version: &str) -> Api {
        let definition = Definition {
            backends: Backends { production: vec!["http://127.0.0.1:1".into()], ..Backends::default() },
            operations: vec![Operation::new("*", "/*")],
            tiers: vec!["Unlimited".to_owned()],
            ..Definition::default()
        };
        let draft = Draft {
            name: "Pets".to_owned(),
            context: context.to_owned(),
            version: version.to_owned(),
            definition,
        };
        draft.into_api("owner".to_owned(), UnixTime(0))
    }

    #[test]
    fn every_word_reads_back() {
        for auth in OperationAuth::ALL {
            assert_eq!(OperationAuth::parse(auth.as_str()), Some(auth));
        }
        for visibility in [Visibility::Public, Visibility::Private] {
            assert_eq!(Visibility::parse(visibility.as_str()), Some(visibility));
        }
    }
}
