//! What a refusal looks like at the OAuth endpoints. One text for each cause, never with anything of the assertion in
//! it; the log gets the cause as a stable word.

use shared_claims::jose::Malformed;
use shared_claims::oauth::ErrorCode;
use shared_server::database::StorageError;
use shared_server::oauth::OAuthError;

use crate::domain::identity_provider::Refused;
use crate::flows::Denied;
use crate::issuers::Unverified;

impl From<Denied> for OAuthError {
    fn from(denied: Denied) -> Self {
        let (code, reason, description) = match denied {
            Denied::Storage(error) => return storage(error),
            Denied::Fault(cause) | Denied::Unverified(Unverified::Fault(cause)) => {
                return Self::fault(&cause);
            }
            Denied::Unverified(Unverified::KeysUnavailable(cause)) => {
                log::error!(cause = cause.to_string().as_str(); "an assertion could not be verified: its JWK set is unreachable");
                let description = "The keys of the identity provider cannot be fetched; try again shortly.";
                return Self::new(ErrorCode::TemporarilyUnavailable, description);
            }
            Denied::Client => {
                log::info!(reason = "invalid_client"; "a token request was refused");
                return Self::invalid_client();
            }
            Denied::GrantNotListed => (
                ErrorCode::UnauthorizedClient,
                "grant_not_listed",
                "The authenticated client is not authorized to use this authorization grant type",
            ),
            Denied::ForeignToken => {
                (ErrorCode::UnauthorizedClient, "foreign_token", "The token was not issued to this client.")
            }
            Denied::BadScope => (ErrorCode::InvalidScope, "bad_scope", "The scope is misspelt."),
            Denied::NoScopeLeft => {
                (ErrorCode::InvalidScope, "no_scope_left", "None of the requested scopes may be granted.")
            }
            Denied::WiderScope => {
                (ErrorCode::InvalidScope, "wider_scope", "The requested scope exceeds what was granted.")
            }
            Denied::NotForManagement => {
                (ErrorCode::InvalidToken, "not_for_management", "The token does not open the management API.")
            }
            Denied::Malformed(fault) => invalid_grant(malformed(fault)),
            Denied::UnknownIssuer => {
                invalid_grant(("unknown_issuer", "No registered identity provider found for the JWT."))
            }
            Denied::IssuerDisabled => {
                invalid_grant(("issuer_disabled", "No active identity provider found for the JWT."))
            }
            Denied::Unverified(refused) => invalid_grant(unverified(&refused)),
            Denied::Refused(refused) => invalid_grant(claims(refused)),
            Denied::Replayed => invalid_grant(("replayed", "JWT Token has been replayed.")),
            Denied::UnknownRefreshToken => {
                invalid_grant(("unknown_refresh_token", "The refresh token is invalid."))
            }
            Denied::ExpiredRefreshToken => {
                invalid_grant(("expired_refresh_token", "The refresh token has expired."))
            }
            Denied::ReusedRefreshToken => invalid_grant((
                "reused_refresh_token",
                "The refresh token was used before; its grants are revoked.",
            )),
        };
        log::info!(reason = reason; "a token request was refused");
        Self::new(code, description)
    }
}

fn storage(error: StorageError) -> OAuthError {
    match error {
        StorageError::Busy => OAuthError::unavailable(),
        StorageError::Unavailable(cause) => {
            log::error!(cause = cause.as_str(); "the database cannot be reached");
            OAuthError::unavailable()
        }
        StorageError::Duplicate | StorageError::InUse | StorageError::Fault(_) => OAuthError::fault(&error),
    }
}

fn invalid_grant(
    (reason, description): (&'static str, &'static str),
) -> (ErrorCode, &'static str, &'static str) {
    (ErrorCode::InvalidGrant, reason, description)
}

fn malformed(fault: Malformed) -> (&'static str, &'static str) {
    match fault {
        Malformed::TooLong => ("too_long", "The JWT is longer than 32 KiB."),
        Malformed::Encrypted => ("encrypted", "Encrypted JWTs are not accepted; send a signed one."),
        Malformed::NotThreeParts => (
            "not_three_parts",
            "Error while parsing the JWT: a signed JWT has three parts separated by dots.",
        ),
        Malformed::NotBase64Url => ("not_base64url", "Error while parsing the JWT: a part is not base64url."),
        Malformed::NotAnObject => (
            "not_an_object",
            "Error while parsing the JWT: a part is not a JSON object, or is nested too deep.",
        ),
        Malformed::DuplicateName => {
            ("duplicate_name", "Error while parsing the JWT: a member name occurs twice.")
        }
        Malformed::BadHeader => {
            ("bad_header", "Error while parsing the JWT: a header member is missing or of the wrong type.")
        }
        Malformed::UnsupportedHeader => {
            ("unsupported_header", "The JWT header holds crit, zip, enc or b64, which are not supported.")
        }
        Malformed::ForeignType => ("foreign_type", "The JWT header names another type than JWT or at+jwt."),
    }
}

fn unverified(refused: &Unverified) -> (&'static str, &'static str) {
    match refused {
        Unverified::Algorithm => {
            ("algorithm", "The signature algorithm of the JWT is not allowed for its identity provider.")
        }
        Unverified::NoFittingKey => {
            ("no_fitting_key", "Unable to locate a key of the identity provider that fits the JWT.")
        }
        Unverified::CertificateExpired => ("certificate_expired", "X509Certificate has expired."),
        Unverified::CertificateNotYetValid => {
            ("certificate_not_yet_valid", "X509Certificate is not yet valid.")
        }
        // The other two never come here: they are ours, not the client's.
        Unverified::Signature | Unverified::KeysUnavailable(_) | Unverified::Fault(_) => {
            ("signature", "Signature or Message Authentication invalid.")
        }
    }
}

fn claims(refused: Refused) -> (&'static str, &'static str) {
    match refused {
        Refused::Missing(_) => (
            "missing_claim",
            "Mandatory fields(Issuer, Subject, Expiration time or Audience) are empty in the given JSON Web Token.",
        ),
        Refused::WrongType(_) => {
            ("wrong_type", "A claim of the JSON Web Token is not of the type that RFC 7519 gives it.")
        }
        Refused::WrongIssuer => ("wrong_issuer", "No registered identity provider found for the JWT."),
        Refused::BadSubject => {
            ("bad_subject", "The subject of the JSON Web Token is too long or holds control characters.")
        }
        Refused::WrongAudience => {
            ("wrong_audience", "None of the audience values matched the tokenEndpoint Alias")
        }
        Refused::Expired => ("expired", "JSON Web Token is expired."),
        Refused::LivesTooLong => {
            ("lives_too_long", "JSON Web Token lives longer than its identity provider's tokens may.")
        }
        Refused::NotYetValid => ("not_yet_valid", "JSON Web Token is used before Not_Before_Time."),
        Refused::IssuedInFuture => ("issued_in_future", "JSON Web Token is issued in the future."),
        Refused::BadTokenId => {
            ("bad_jti", "The jti of the JSON Web Token is too long or holds control characters.")
        }
    }
}
