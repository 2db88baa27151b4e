//! What a refused act looks like on the management REST.

use shared_server::problem::Problem;

use super::caller::insufficient_scope;
use crate::flows::FlowError;

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Forbidden(right) => insufficient_scope(right),
            FlowError::Fields(errors) => Self::fields(errors),
            FlowError::NotFound(kind) => Self::not_found(format!("there is no such {kind}")),
            FlowError::Conflict(sentence) => Self::conflict(sentence),
            FlowError::Stale => Self::precondition_failed(),
            FlowError::Overtaken => Self::conflict(
                "another change came at the same moment; read the resource again and repeat yours",
            ),
            FlowError::Storage(error) => error.into(),
            FlowError::Fault(cause) => Self::fault(&cause),
        }
    }
}
