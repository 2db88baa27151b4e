//! Who calls an API: what a credential turned out to stand for, whatever its kind.

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

use super::api_key::ApiKey;
use super::application::KeyType;
use super::client_certificate::ClientCertificate;
use super::grant::{AssertionOrigin, Grant};
use super::ids::{ApiKeyId, ApplicationId, ClientCertificateId, GrantId, IdentityProviderId};
use super::mapped_client::VouchedFor;
use super::revocation::Revocation;
use super::scheme::Scheme;

/// A known caller.
#[allow(clippy::large_enum_variant, reason = "it is made once a look-up and then shared; most are grants")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// By an opaque token.
    Grant(Grant),
    /// By a key of its application.
    ApiKey {
        /// The key.
        key: ApiKey,
        /// The application's id as text: what the caller is called where a name is asked for.
        subject: String,
    },
    /// By a trusted provider's own JWT.
    VouchedFor(VouchedFor),
    /// By a certificate of its application.
    Certificate {
        /// The certificate.
        certificate: ClientCertificate,
        /// The application's id as text.
        subject: String,
    },
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
        Self::ApiKey { subject: key.application_id.to_string(), key }
    }

    /// The application that a certificate stands for.
    #[must_use]
    pub fn of_certificate(certificate: ClientCertificate) -> Self {
        Self::Certificate { subject: certificate.application_id.to_string(), certificate }
    }

    /// What tells it from every other one.
    #[must_use]
    pub fn id(&self) -> PrincipalId {
        match self {
            Self::Grant(grant) => PrincipalId::Grant(grant.id),
            Self::ApiKey { key, .. } => PrincipalId::ApiKey(key.id),
            Self::VouchedFor(caller) => PrincipalId::Jwt(caller.origin.digest),
            Self::Certificate { certificate, .. } => PrincipalId::Certificate(certificate.id),
        }
    }

    /// The kind of credentials that led to it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Grant(_) => Scheme::Token,
            Self::ApiKey { .. } => Scheme::ApiKey,
            Self::VouchedFor(_) => Scheme::Jwt,
            Self::Certificate { .. } => Scheme::ClientCertificate,
        }
    }

    /// On whose account it calls: whose subscriptions and limits count.
    #[must_use]
    pub fn application_id(&self) -> ApplicationId {
        match self {
            Self::Grant(grant) => grant.application_id,
            Self::ApiKey { key, .. } => key.application_id,
            Self::VouchedFor(caller) => caller.application_id,
            Self::Certificate { certificate, .. } => certificate.application_id,
        }
    }

    /// Which backends it reaches.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::Grant(grant) => grant.key_type,
            Self::ApiKey { key, .. } => key.key_type,
            Self::VouchedFor(caller) => caller.key_type,
            Self::Certificate { certificate, .. } => certificate.key_type,
        }
    }

    /// A person's name at the identity provider, or the application's own where there is no person.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Grant(grant) => &grant.subject,
            Self::ApiKey { subject, .. } | Self::Certificate { subject, .. } => subject,
            Self::VouchedFor(caller) => &caller.subject,
        }
    }

    /// What it was granted. API keys are granted nothing: a scope is asked for and given at the token endpoint.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        match self {
            Self::Grant(grant) => &grant.scopes,
            Self::ApiKey { .. } | Self::Certificate { .. } => &NO_SCOPES,
            Self::VouchedFor(caller) => &caller.scopes,
        }
    }

    /// The first moment at which it is refused, if there is one.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        match self {
            Self::Grant(grant) => Some(grant.expires_at),
            Self::ApiKey { key, .. } => key.expires_at,
            Self::VouchedFor(caller) => Some(caller.expires_at),
            // The last moment at which it holds is still one.
            Self::Certificate { certificate, .. } => Some(certificate.not_after.plus(1)),
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
            Self::Grant(grant) => grant.issued_at,
            Self::ApiKey { key, .. } => key.created_at,
            Self::VouchedFor(caller) => caller.issued_at,
            Self::Certificate { certificate, .. } => certificate.created_at,
        }
    }

    /// When it was taken back, where that was before it was looked up.
    #[must_use]
    pub fn revoked_at(&self) -> Option<UnixTime> {
        match self {
            Self::Grant(grant) => grant.revoked_at,
            Self::ApiKey { .. } | Self::VouchedFor(_) | Self::Certificate { .. } => None,
        }
    }

    /// The assertion that vouches for the person who calls; `None` where the application calls by itself.
    #[must_use]
    pub fn origin(&self) -> Option<&AssertionOrigin> {
        match self {
            Self::Grant(grant) => grant.lineage.assertion.as_ref(),
            Self::ApiKey { .. } | Self::Certificate { .. } => None,
            Self::VouchedFor(caller) => Some(&caller.origin),
        }
    }

    /// The provider as it was when it was asked to vouch: on other terms than these it has to be asked anew. Grants hold
    /// whatever becomes of their provider's terms, as long as it is trusted.
    #[must_use]
    pub fn verified_by(&self) -> Option<(IdentityProviderId, i64)> {
        match self {
            Self::Grant(_) | Self::ApiKey { .. } | Self::Certificate { .. } => None,
            Self::VouchedFor(caller) => Some((caller.origin.identity_provider_id, caller.provider_revision)),
        }
    }

    /// Whether `revocation` takes it back.
    #[must_use]
    pub fn is_taken_back_by(&self, revocation: &Revocation) -> bool {
        match self {
            Self::Grant(grant) => match revocation {
                Revocation::Token(digest) => grant.access_digest == *digest,
                Revocation::Family(id) => grant.lineage.family == *id || grant.id == *id,
                Revocation::Key(key) => grant.consumer_key == *key,
                Revocation::ApiKey(_) | Revocation::MappedClient(_) | Revocation::ClientCertificate(_) => {
                    false
                }
                shared => self.is_named_by(shared),
            },
            Self::ApiKey { key, .. } => match revocation {
                Revocation::ApiKey(id) => key.id == *id,
                other => *other == Revocation::Application(key.application_id),
            },
            Self::Certificate { certificate, .. } => match revocation {
                Revocation::ClientCertificate(id) => certificate.id == *id,
                other => *other == Revocation::Application(certificate.application_id),
            },
            Self::VouchedFor(caller) => match revocation {
                Revocation::MappedClient(id) => caller.mapping == *id,
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
                self.subject() == subject
                    && issuer
                        .as_ref()
                        .is_none_or(|issuer| origin.is_some_and(|origin| origin.issuer == *issuer))
            }
            Revocation::Assertion { issuer, jti } => {
                origin.is_some_and(|origin| origin.issuer == *issuer && origin.jti.as_ref() == Some(jti))
            }
            Revocation::IdentityProvider(id) => {
                origin.is_some_and(|origin| origin.identity_provider_id == *id)
            }
            Revocation::Token(_)
            | Revocation::Family(_)
            | Revocation::Key(_)
            | Revocation::ApiKey(_)
            | Revocation::MappedClient(_)
            | Revocation::ClientCertificate(_) => false,
        }
    }
}
