//! Everything that a flow can refuse or fail with; the edges match it exhaustively.

use shared_server::database::StorageError;
use shared_server::hashing::HashingError;

use crate::domain::client::ClientRefused;
use crate::domain::refresh::RefreshRefused;
use crate::keys::KeyError;

/// Why a flow did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// Unknown client, wrong secret, or disabled.
    #[error("the client is unknown or its secret wrong")]
    UnknownClient,
    /// The client may not have this.
    #[error("the client may not: {0:?}")]
    Client(ClientRefused),
    /// Unknown user, wrong password, locked or inactive: told apart nowhere.
    #[error("the user name or password is wrong")]
    BadCredentials,
    /// The refresh token buys nothing.
    #[error("the refresh token is refused: {0:?}")]
    Refresh(RefreshRefused),
    /// The token is another client's.
    #[error("the token belongs to another client")]
    NotYours,
    /// There is no such thing.
    #[error("there is no such resource")]
    NotFound,
    /// It was changed since the caller read it.
    #[error("the resource was changed meanwhile")]
    Changed,
    /// The user name is, or once was, another's.
    #[error("the user name is taken")]
    NameTaken,
    /// User names do not change: `sub` of tokens already issued would name somebody else.
    #[error("a user name cannot be changed")]
    NameIsFixed,
    /// Self sign-up is switched off.
    #[error("self sign-up is switched off")]
    SignUpOff,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too many passwords wait, or hashing failed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// Signing failed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] shared_claims::secret::NoRandomness),
}

impl From<ClientRefused> for FlowError {
    fn from(refused: ClientRefused) -> Self {
        Self::Client(refused)
    }
}

impl From<RefreshRefused> for FlowError {
    fn from(refused: RefreshRefused) -> Self {
        Self::Refresh(refused)
    }
}
