//! The ids of the API manager's resources.

use shared_claims::id_type;

id_type!(
    /// A trusted identity provider.
    IdentityProviderId
);
id_type!(
    /// A published API, of one version.
    ApiId
);
id_type!(
    /// A developer's application.
    ApplicationId
);
id_type!(
    /// An application's subscription to an API.
    SubscriptionId
);
id_type!(
    /// A move in an API's life.
    LifecycleEventId
);
id_type!(
    /// What one opaque token stands for.
    GrantId
);
id_type!(
    /// A rule that keeps somebody away.
    DenyRuleId
);
id_type!(
    /// A key that stands for an application.
    ApiKeyId
);
id_type!(
    /// A client of a trusted provider that stands for an application.
    MappedClientId
);
id_type!(
    /// A client certificate that stands for an application.
    ClientCertificateId
);
