//! What is wrong with one field of a request: the unit of RFC 9457 `errors`.

use serde::{Deserialize, Serialize};

/// One bad field, with what is wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's path, such as `operations[2].path`.
    pub field: String,
    /// What is wrong, and the remedy, in one sentence.
    pub detail: String,
}

impl FieldError {
    /// Blames `field` with `detail`.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}
