//! Refusals of the REST as `application/problem+json`: one line each, no catch-all.

use shared_claims::field_error::FieldError;
use shared_server::hashing::HashingError;
use shared_server::problem::Problem;

use crate::flows::FlowError;

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotFound => Self::not_found("there is no such resource"),
            FlowError::Changed => Self::precondition_failed(),
            FlowError::NameTaken => Self::conflict("the user name is taken, or was once and stays reserved"),
            FlowError::NameIsFixed => Self::fields(vec![FieldError::new("username", "cannot be changed")]),
            FlowError::SignUpOff => Self::forbidden("self sign-up is switched off", None),
            FlowError::Hashing(HashingError::Busy) => {
                Self::unavailable("too many passwords wait to be hashed; try again in a moment", 1)
            }
            FlowError::Storage(storage) => storage.into(),
            FlowError::Hashing(HashingError::Failed)
            | FlowError::Keys(_)
            | FlowError::Randomness(_)
            | FlowError::UnknownClient
            | FlowError::Client(_)
            | FlowError::BadCredentials
            | FlowError::Refresh(_)
            | FlowError::NotYours => Self::fault(&error),
        }
    }
}
