//! How a caller of an API may prove who calls.

/// A kind of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// An opaque access token of ours, as Bearer.
    Token,
    /// A key of an application, in the `apikey` header.
    ApiKey,
    /// A trusted identity provider's own JWT, as Bearer.
    Jwt,
    /// A certificate of an application, in TLS.
    ClientCertificate,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Token, Self::ApiKey, Self::Jwt, Self::ClientCertificate];

    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::ClientCertificate => "client_certificate",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == text)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Token => 1,
            Self::ApiKey => 2,
            Self::Jwt => 4,
            Self::ClientCertificate => 8,
        }
    }
}

/// The schemes that an API takes; a caller may use any one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schemes(u8);

impl Schemes {
    /// Exactly these.
    #[must_use]
    pub fn of(schemes: &[Scheme]) -> Self {
        Self(schemes.iter().fold(0, |bits, scheme| bits | scheme.bit()))
    }

    /// Whether `scheme` is one of them.
    #[must_use]
    pub fn contain(self, scheme: Scheme) -> bool {
        self.0 & scheme.bit() != 0
    }

    /// Whether an operation that asks for credentials could never be called.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Scheme::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scheme> {
        Scheme::ALL.into_iter().filter(move |scheme| self.contain(*scheme))
    }
}

impl Default for Schemes {
    /// Opaque tokens.
    fn default() -> Self {
        Self::of(&[Scheme::Token])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_told_from_every_other() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::parse(scheme.as_str()), Some(scheme));
            assert_eq!(Schemes::of(&[scheme]).iter().collect::<Vec<_>>(), [scheme]);
        }
        assert_eq!(Schemes::of(&Scheme::ALL).iter().count(), Scheme::ALL.len());
        assert!(Schemes::of(&[]).is_empty() && Schemes::default().contain(Scheme::Token));
    }
}
