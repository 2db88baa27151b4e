//! What can be taken back, and the word that goes out to the gateways.

use shared_claims::secret::Digest;

use super::ids::{ApiKeyId, ApplicationId, ClientCertificateId, GrantId, IdentityProviderId, MappedClientId};

/// A set of grants, named by what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One access token, by its digest.
    Token(Digest),
    /// A line of refreshed grants.
    Family(GrantId),
    /// Everything an application ever bought.
    Application(ApplicationId),
    /// Everything one of its keys ever bought, by the consumer key.
    Key(String),
    /// Everything bought for a subject, of one issuer where one is named.
    Subject {
        /// The assertion's `sub`.
        subject: String,
        /// The assertion's `iss`; `None` for every issuer.
        issuer: Option<String>,
    },
    /// Everything one assertion bought, by its `jti` and issuer.
    Assertion {
        /// The assertion's `iss`.
        issuer: String,
        /// The assertion's `jti`.
        jti: String,
    },
    /// Everything bought with assertions of one identity provider.
    IdentityProvider(IdentityProviderId),
    /// One API key.
    ApiKey(ApiKeyId),
    /// That a provider's client stands for an application.
    MappedClient(MappedClientId),
    /// One client certificate.
    ClientCertificate(ClientCertificateId),
}
