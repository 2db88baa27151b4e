//! The keys of trusted identity providers: parsed once, refetched in bounds, and the verdict on a signature.

/// The cached keys of every trusted identity provider.
#[derive(Clone, Default)]
pub struct Issuers {}
