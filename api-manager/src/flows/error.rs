//! Why a caller's act did not happen.

use shared_claims::field_error::FieldError;
use shared_server::database::StorageError;

use crate::domain::actor::Right;

/// Every refusal of an act on the management REST. `http::rest_error` gives each its status.
#[derive(Debug)]
pub enum FlowError {
    /// The caller lacks a right.
    Forbidden(Right),
    /// Fields are wrong, each with its remedy.
    Fields(Vec<FieldError>),
    /// There is no such thing, or none that this caller may know of; the word names the kind of thing.
    NotFound(&'static str),
    /// It exists already, is in use, or its state forbids the act; the sentence says which and what to do.
    Conflict(String),
    /// The caller insists on a version that is not the present one.
    Stale,
    /// Another change came between reading and writing.
    Overtaken,
    /// The database failed.
    Storage(StorageError),
    /// Something of ours failed; the cause is for the log.
    Fault(String),
}

impl FlowError {
    /// One bad field.
    pub fn field(name: &str, detail: impl Into<String>) -> Self {
        Self::Fields(vec![FieldError::new(name, detail)])
    }

    /// [`FlowError::Conflict`].
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Self::Conflict(sentence.into())
    }

    /// Refuses where the caller insists (`If-Match`) on another version than the present one.
    ///
    /// # Errors
    /// [`FlowError::Stale`].
    pub fn unless_current(expected: Option<i64>, present: i64) -> Result<(), Self> {
        if expected.is_none_or(|expected| expected == present) { Ok(()) } else { Err(Self::Stale) }
    }

    /// Refuses where a guarded write found another version than the one that was read.
    ///
    /// # Errors
    /// [`FlowError::Overtaken`].
    pub fn unless_written(written: bool) -> Result<(), Self> {
        if written { Ok(()) } else { Err(Self::Overtaken) }
    }

    /// For a unique index that spoke: says `sentence` instead of "it exists".
    pub fn or_conflict(error: StorageError, sentence: impl FnOnce() -> String) -> Self {
        match error {
            StorageError::Duplicate => Self::Conflict(sentence()),
            other => Self::Storage(other),
        }
    }
}

impl From<StorageError> for FlowError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<shared_claims::secret::NoRandomness> for FlowError {
    fn from(error: shared_claims::secret::NoRandomness) -> Self {
        Self::Fault(error.to_string())
    }
}
