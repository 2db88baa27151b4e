//! Refusals in the words of RFC 6749, section 5.2: one line each, no catch-all.

use shared_claims::oauth::ErrorCode;
use shared_server::hashing::HashingError;
use shared_server::oauth::OAuthError;

use crate::domain::client::ClientRefused;
use crate::domain::refresh::RefreshRefused;
use crate::flows::FlowError;

impl From<FlowError> for OAuthError {
    fn from(error: FlowError) -> Self {
        let reason = error.to_string();
        let refused = match error {
            FlowError::UnknownClient => Self::invalid_client(),
            FlowError::Client(ClientRefused::GrantNotAllowed) => {
                Self::new(ErrorCode::UnauthorizedClient, "The client is not registered for this grant type.")
            }
            FlowError::Client(ClientRefused::NoScopeLeft) => {
                Self::new(ErrorCode::InvalidScope, "None of the requested scopes can be granted.")
            }
            FlowError::BadCredentials => {
                Self::new(ErrorCode::InvalidGrant, "The user name or the password is wrong.")
            }
            FlowError::Refresh(RefreshRefused::WiderScope) => {
                Self::new(ErrorCode::InvalidScope, "The requested scope exceeds what was granted.")
            }
            FlowError::Refresh(RefreshRefused::Expired) => {
                Self::new(ErrorCode::InvalidGrant, "The refresh token has expired.")
            }
            FlowError::Refresh(RefreshRefused::Reused) => {
                Self::new(ErrorCode::InvalidGrant, "The refresh token was used before; sign in again.")
            }
            FlowError::Refresh(
                RefreshRefused::Unknown
                | RefreshRefused::OtherClient
                | RefreshRefused::Revoked
                | RefreshRefused::UserGone,
            ) => Self::new(ErrorCode::InvalidGrant, "The refresh token is invalid."),
            FlowError::NotYours => {
                Self::new(ErrorCode::UnauthorizedClient, "The token was issued to another client.")
            }
            FlowError::Hashing(HashingError::Busy) => Self::unavailable(),
            FlowError::Storage(storage) => return storage.into(),
            FlowError::Hashing(HashingError::Failed)
            | FlowError::Keys(_)
            | FlowError::Randomness(_)
            | FlowError::NotFound
            | FlowError::Changed
            | FlowError::NameTaken
            | FlowError::NameIsFixed
            | FlowError::SignUpOff => return Self::fault(&reason),
        };
        log::info!(reason = reason.as_str(); "refused");
        refused
    }
}
