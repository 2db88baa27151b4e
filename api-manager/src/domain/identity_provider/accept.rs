//! Whether a verified assertion may be exchanged: one rule a line, in the order of RFC 7523, section 3.

use shared_claims::claims::{ClaimSet, WrongType};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;

use super::IdentityProvider;

/// How far two clocks may be apart, in seconds. It widens every window and narrows none.
pub const LEEWAY: i64 = 30;
/// The longest `sub` and `jti`, in characters.
const LONGEST_TEXT: usize = 255;

/// An assertion that may be exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its `sub`.
    pub subject: String,
    /// Its `jti`, where it has one.
    pub jti: Option<String>,
    /// Its `exp`.
    pub expires_at: UnixTime,
    /// What makes it the same assertion again, together with the issuer.
    pub replay_key: Digest,
    /// Remembered for exactly as long as the rules would still let it in.
    pub replay_guard_until: UnixTime,
}

/// Why a correctly signed assertion is refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A claim is not of the type that RFC 7519 gives it.
    WrongType(&'static str),
    /// `iss`, `sub`, `aud` or `exp` is missing or empty.
    Missing(&'static str),
    /// `iss` is not this provider's.
    WrongIssuer,
    /// `sub` is too long or holds control characters.
    BadSubject,
    /// `aud` does not hold the alias.
    WrongAudience,
    /// `exp` has passed.
    Expired,
    /// `exp` is further away than the provider's assertions may live.
    LivesTooLong,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` has not come.
    IssuedInFuture,
    /// `jti` is too long or holds control characters.
    BadTokenId,
}

impl From<WrongType> for Refused {
    fn from(WrongType(claim): WrongType) -> Self {
        Self::WrongType(claim)
    }
}

/// One rule: its name in the list of checks, and the decision.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The claim that it is about.
    pub name: &'static str,
    holds: fn(&IdentityProvider, &ClaimSet, UnixTime) -> Result<(), Refused>,
    expected: fn(&IdentityProvider, UnixTime) -> String,
    remedy: &'static str,
}

/// What came of one rule, for explanations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What the rule asks for.
    pub expected: String,
    /// What the assertion has, as JSON.
    pub seen: String,
    /// What to do where the rule does not hold.
    pub remedy: &'static str,
    /// Whether it holds.
    pub outcome: Result<(), Refused>,
}

/// The rules in the order of RFC 7523, section 3. [`IdentityProvider::accept`] and the explanation both walk them.
pub const RULES: [Rule; 8] = [
    Rule {
        name: "iss",
        holds: issuer,
        expected: |provider, _| format!("exactly {}", provider.issuer),
        remedy: "Register the provider with exactly this issuer; spelling, case and a trailing slash all count.",
    },
    Rule {
        name: "sub",
        holds: subject,
        expected: |_, _| format!("a text of 1 to {LONGEST_TEXT} characters without control characters"),
        remedy: "Let the identity provider put the user's identifier into sub.",
    },
    Rule {
        name: "aud",
        holds: audience,
        expected: |provider, _| format!("{} as the value or as one of the values", provider.alias),
        remedy: "Ask the identity provider for a token with the alias in aud, or set the provider's alias to a value that aud holds.",
    },
    Rule {
        name: "exp",
        holds: expiry,
        expected: |_, now| format!("a number after {} ({LEEWAY} s before now)", now.minus(LEEWAY).0),
        remedy: "Get a new assertion; if it is new, compare the clocks of both servers.",
    },
    Rule {
        name: "lifetime",
        holds: lifetime,
        expected: |provider, _| {
            format!("exp at most {} s after now and after iat", provider.max_assertion_lifetime)
        },
        remedy: "Let the identity provider issue shorter-lived tokens, or raise the provider's max_assertion_lifetime.",
    },
    Rule {
        name: "nbf",
        holds: not_before,
        expected: |_, now| format!("absent, or a number up to {} ({LEEWAY} s from now)", now.plus(LEEWAY).0),
        remedy: "Wait until then, or compare the clocks of both servers.",
    },
    Rule {
        name: "iat",
        holds: issued_at,
        expected: |_, now| format!("absent, or a number up to {} ({LEEWAY} s from now)", now.plus(LEEWAY).0),
        remedy: "Compare the clocks of both servers.",
    },
    Rule {
        name: "jti",
        holds: token_id,
        expected: |_, _| {
            format!("absent, or a text of up to {LONGEST_TEXT} characters without control characters")
        },
        remedy: "Let the identity provider issue a plain jti, such as a UUID.",
    },
];

impl IdentityProvider {
    /// Decides whether this issuer's claims may be exchanged now (RFC 7523, section 3). `signed_part` is the digest of
    /// what the signature covers: it stands in for an absent `jti`, and unlike the whole it cannot be spelt twice
    /// (an ECDSA signature can).
    ///
    /// # Errors
    /// [`Refused`] by the first rule that does not hold.
    pub fn accept(&self, claims: &ClaimSet, signed_part: Digest, now: UnixTime) -> Result<Accepted, Refused> {
        RULES.iter().try_for_each(|rule| (rule.holds)(self, claims, now))?;

        let expires_at = claims.numeric_date("exp")?.ok_or(Refused::Missing("exp"))?;
        let jti = claims.text("jti")?.map(str::to_owned);
        Ok(Accepted {
            subject: claims.text("sub")?.ok_or(Refused::Missing("sub"))?.to_owned(),
            replay_key: jti.as_ref().map_or(signed_part, |jti| Digest::of(format!("jti:{jti}").as_bytes())),
            jti,
            expires_at,
            replay_guard_until: expires_at.plus(LEEWAY),
        })
    }
}

impl Rule {
    /// What the rule asks for, for people.
    #[must_use]
    pub fn expected(&self, provider: &IdentityProvider, now: UnixTime) -> String {
        (self.expected)(provider, now)
    }

    /// Applies the rule and says what it saw.
    #[must_use]
    pub fn explain(&self, provider: &IdentityProvider, claims: &ClaimSet, now: UnixTime) -> Finding {
        let claim = if self.name == "lifetime" { "exp" } else { self.name };
        let seen = claims.get(claim).map_or_else(|| "absent".to_owned(), ToString::to_string);
        Finding {
            expected: self.expected(provider, now),
            seen: seen.chars().take(512).collect(),
            remedy: self.remedy,
            outcome: (self.holds)(provider, claims, now),
        }
    }
}

fn issuer(provider: &IdentityProvider, claims: &ClaimSet, _: UnixTime) -> Result<(), Refused> {
    let issuer = claims.text("iss")?.ok_or(Refused::Missing("iss"))?;
    if issuer == provider.issuer { Ok(()) } else { Err(Refused::WrongIssuer) }
}

fn subject(_: &IdentityProvider, claims: &ClaimSet, _: UnixTime) -> Result<(), Refused> {
    let subject = claims.text("sub")?.ok_or(Refused::Missing("sub"))?;
    if is_plain(subject) { Ok(()) } else { Err(Refused::BadSubject) }
}

fn audience(provider: &IdentityProvider, claims: &ClaimSet, _: UnixTime) -> Result<(), Refused> {
    let audience = claims.audience()?;
    if audience.iter().all(|value| value.is_empty()) {
        return Err(Refused::Missing("aud"));
    }
    if audience.contains(&provider.alias.as_str()) { Ok(()) } else { Err(Refused::WrongAudience) }
}

fn expiry(_: &IdentityProvider, claims: &ClaimSet, now: UnixTime) -> Result<(), Refused> {
    let expires_at = claims.numeric_date("exp")?.ok_or(Refused::Missing("exp"))?;
    if expires_at.plus(LEEWAY) <= now { Err(Refused::Expired) } else { Ok(()) }
}

fn lifetime(provider: &IdentityProvider, claims: &ClaimSet, now: UnixTime) -> Result<(), Refused> {
    let expires_at = claims.numeric_date("exp")?.ok_or(Refused::Missing("exp"))?;
    // From `iat` both ends were read off the same clock: no leeway there.
    let from_issue = claims.numeric_date("iat")?.map_or(0, |issued_at| expires_at.since(issued_at));
    let too_long = expires_at.since(now.plus(LEEWAY)) > provider.max_assertion_lifetime
        || from_issue > provider.max_assertion_lifetime;
    if too_long { Err(Refused::LivesTooLong) } else { Ok(()) }
}

fn not_before(_: &IdentityProvider, claims: &ClaimSet, now: UnixTime) -> Result<(), Refused> {
    let too_early = claims.numeric_date("nbf")?.is_some_and(|not_before| now.plus(LEEWAY) < not_before);
    if too_early { Err(Refused::NotYetValid) } else { Ok(()) }
}

fn issued_at(_: &IdentityProvider, claims: &ClaimSet, now: UnixTime) -> Result<(), Refused> {
    let in_future = claims.numeric_date("iat")?.is_some_and(|issued_at| now.plus(LEEWAY) < issued_at);
    if in_future { Err(Refused::IssuedInFuture) } else { Ok(()) }
}

fn token_id(_: &IdentityProvider, claims: &ClaimSet, _: UnixTime) -> Result<(), Refused> {
    if claims.text("jti")?.is_none_or(is_plain) { Ok(()) } else { Err(Refused::BadTokenId) }
}

fn is_plain(text: &str) -> bool {
    text.chars().count() <= LONGEST_TEXT && !text.chars().any(char::is_control)
}
