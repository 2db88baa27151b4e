//! What a change is about that the gateway has to act on.

use super::ids::{ApiId, ApplicationId};

/// A part of what the gateway's table is compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteChange {
    /// An API was made, changed or deleted; with it go the deny rules that name it.
    Api(ApiId),
    /// An application or one of its subscriptions was made, changed or deleted; so too the deny rules.
    Application(ApplicationId),
    /// An identity provider was.
    IdentityProviders,
    /// A deny rule was.
    DenyRules,
}
