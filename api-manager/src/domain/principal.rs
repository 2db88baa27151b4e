//! Who calls an API: what a credential turned out to stand for, whatever its kind.

use std::borrow::Cow;

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

use super::api_key::ApiKey;
use super::application::KeyType;
use super::by_grant::ByGrant;
use super::client_certificate::ClientCertificate;
use super::ids::{ApiKeyId, ApplicationId, ClientCertificateId, GrantId, IdentityProviderId};
use super::mapped_client::VouchedFor;
use super::revocation::Revocation;
use super::scheme::Scheme;

/// A known caller. Most are grants; what is rarer is elsewhere, so that these stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// By an opaque token.
    Grant(ByGrant),
    /// By an API key of its application.
    ApiKey(Box<Own<ApiKey>>),
    /// By a trusted provider's own JWT.
    VouchedFor(Box<VouchedFor>),
    /// By a certificate of its application.
    Certificate(Box<Own<ClientCertificate>>),
}

/// What stands for an application by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own<T> {
    /// That.
    pub by: T,
    /// The application's id as text: what the caller is called where a name is asked for.
    pub subject: String,
}

/// Who vouched for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'p> {
    /// The identity provider that was trusted.
    pub identity_provider_id: IdentityProviderId,
    /// Its `iss`.
    pub issuer: &'p str,
}

/// What tells one principal from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalId {
    /// Of a grant.
    Grant(GrantId),
    /// Of an API key.
    ApiKey(ApiKeyId),
    /// Of a JWT, by its SHA-256.
    Jwt(Digest),
    /// Of a client certificate.
    Certificate(ClientCertificateId),
}

/// No scope at all: what a principal has that was granted none.
static NO_SCOPES: std::sync::LazyLock<ScopeSet> = std::sync::LazyLock::new(ScopeSet::default);

impl Principal {
    /// The application that an API key stands for.
    #[must_use]
    pub fn of_api_key(key: ApiKey) -> Self {
        Self::ApiKey(Box::new(Own { subject: key.application_id.to_string(), by: key }))
    }

    /// The application that a certificate stands for.
    #[must_use]
    pub fn of_certificate(certificate: ClientCertificate) -> Self {
        let subject = certificate.application_id.to_string();
        Self::Certificate(Box::new(Own { subject, by: certificate }))
    }

    /// What tells it from every other one.
    #[must_use]
    pub fn id(&self) -> PrincipalId {
        match self {
            Self::Grant(grant) => PrincipalId::Grant(grant.id()),
            Self::ApiKey(own) => PrincipalId::ApiKey(own.by.id),
            Self::VouchedFor(caller) => PrincipalId::Jwt(caller.origin.digest),
            Self::Certificate(own) => PrincipalId::Certificate(own.by.id),
        }
    }

    /// The kind of credentials that led to it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Grant(_) => Scheme::Token,
            Self::ApiKey(_) => Scheme::ApiKey,
            Self::VouchedFor(_) => Scheme::Jwt,
            Self::Certificate(_) => Scheme::ClientCertificate,
        }
    }

    /// On whose account it calls: whose subscriptions and limits count.
    #[must_use]
    pub fn application_id(&self) -> ApplicationId {
        match self {
            Self::Grant(grant) => grant.application_id(),
            Self::ApiKey(own) => own.by.application_id,
            Self::VouchedFor(caller) => caller.application_id,
            Self::Certificate(own) => own.by.application_id,
        }
    }

    /// Which backends it reaches.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::Grant(grant) => grant.key_type(),
            Self::ApiKey(own) => own.by.key_type,
            Self::VouchedFor(caller) => caller.key_type,
            Self::Certificate(own) => own.by.key_type,
        }
    }

    /// A person's name at the identity provider, or the application's own where there is no person.
    #[must_use]
    pub fn subject(&self) -> Cow<'_, str> {
        match self {
            Self::Grant(grant) => grant.subject(),
            Self::ApiKey(own) => (&*own.subject).into(),
            Self::Certificate(own) => (&*own.subject).into(),
            Self::VouchedFor(caller) => (&*caller.subject).into(),
        }
    }

    /// What it was granted. API keys are granted nothing: a scope is asked for and given at the token endpoint.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        match self {
            Self::Grant(grant) => grant.scopes(),
            Self::ApiKey(_) | Self::Certificate(_) => &NO_SCOPES,
            Self::VouchedFor(caller) => &caller.scopes,
        }
    }

    /// The first moment at which it is refused, if there is one.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        match self {
            Self::Grant(grant) => Some(grant.expires_at()),
            Self::ApiKey(own) => own.by.expires_at,
            Self::VouchedFor(caller) => Some(caller.expires_at),
            // The last moment at which it holds is still one.
            Self::Certificate(own) => Some(own.by.not_after.plus(1)),
        }
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }

    /// When it was made.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        match self {
            Self::Grant(grant) => grant.issued_at(),
            Self::ApiKey(own) => own.by.created_at,
            Self::VouchedFor(caller) => caller.issued_at,
            Self::Certificate(own) => own.by.created_at,
        }
    }

    /// When it was taken back, where that was before it was looked up.
    #[must_use]
    pub fn revoked_at(&self) -> Option<UnixTime> {
        match self {
            Self::Grant(grant) => grant.revoked_at(),
            Self::ApiKey(_) | Self::VouchedFor(_) | Self::Certificate(_) => None,
        }
    }

    /// The assertion that vouches for the person who calls; `None` where the application calls by itself.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'_>> {
        match self {
            Self::Grant(grant) => grant.origin(),
            Self::ApiKey(_) | Self::Certificate(_) => None,
            Self::VouchedFor(caller) => Some(Origin {
                identity_provider_id: caller.origin.identity_provider_id,
                issuer: &caller.origin.issuer,
            }),
        }
    }

    /// The provider as it was when it was asked to vouch: on other terms than these it has to be asked anew. Grants hold
    /// whatever becomes of their provider's terms, as long as it is trusted.
    #[must_use]
    pub fn verified_by(&self) -> Option<(IdentityProviderId, i64)> {
        match self {
            Self::Grant(_) | Self::ApiKey(_) | Self::Certificate(_) => None,
            Self::VouchedFor(caller) => Some((caller.origin.identity_provider_id, caller.provider_revision)),
        }
    }

    /// Whether `revocation` takes it back.
    #[must_use]
    pub fn is_taken_back_by(&self, revocation: &Revocation) -> bool {
        match self {
            Self::Grant(grant) => grant.is_taken_back_by(revocation) || self.is_named_by(revocation),
            Self::ApiKey(own) => match revocation {
                Revocation::ApiKey(id) => own.by.id == *id,
                other => *other == Revocation::Application(own.by.application_id),
            },
            Self::Certificate(own) => match revocation {
                Revocation::ClientCertificate(id) => own.by.id == *id,
                other => *other == Revocation::Application(own.by.application_id),
            },
            Self::VouchedFor(caller) => match revocation {
                Revocation::MappedClient(id) => caller.mapping == *id,
                Revocation::Assertion { issuer, jti } => {
                    caller.origin.issuer == *issuer && caller.origin.jti.as_ref() == Some(jti)
                }
                shared => self.is_named_by(shared),
            },
        }
    }

    /// By what grants and JWTs have in common.
    fn is_named_by(&self, revocation: &Revocation) -> bool {
        let origin = self.origin();
        match revocation {
            Revocation::Application(id) => self.application_id() == *id,
            Revocation::Subject { subject, issuer } => {
                self.subject() == *subject
                    && issuer
                        .as_ref()
                        .is_none_or(|issuer| origin.is_some_and(|origin| origin.issuer == *issuer))
            }
            Revocation::IdentityProvider(id) => {
                origin.is_some_and(|origin| origin.identity_provider_id == *id)
            }
            Revocation::Token(_)
            | Revocation::Assertion { .. }
            | Revocation::Family(_)
            | Revocation::Key(_)
            | Revocation::ApiKey(_)
            | Revocation::MappedClient(_)
            | Revocation::ClientCertificate(_) => false,
        }
    }
}
