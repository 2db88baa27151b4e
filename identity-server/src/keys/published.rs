//! What the world may see of the keys, rendered once and served from memory.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;

/// A document that is served as it stands.
#[derive(Clone, Debug)]
pub struct Document {
    /// The body.
    pub body: String,
    /// Its entity tag, quoted.
    pub etag: String,
}

impl Document {
    /// Takes a body and names it by its digest.
    #[must_use]
    pub fn new(body: String) -> Self {
        let etag = format!("\"{}\"", Digest::of(body.as_bytes()).base64url());
        Self { body, etag }
    }
}

/// The published keys, good until a moment at which one begins to sign or goes.
#[derive(Clone, Debug)]
pub struct Published {
    /// The JWK set (RFC 7517, section 5).
    pub jwks: Document,
    /// The certificate of the RSA key that signs now, PEM.
    pub certificate: Document,
    /// When this is out of date, if ever.
    pub until: Option<UnixTime>,
}
