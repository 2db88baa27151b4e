//! What is wrong with a document: all of it, each with its JSON pointer and its remedy.

use shared_claims::field_error::FieldError;

/// The most problems that are listed.
const MOST: usize = 200;

/// Problems under collection.
#[derive(Debug, Default)]
pub struct Problems(Vec<FieldError>);

impl Problems {
    /// Notes that what stands at `pointer` is wrong; past the first 200 nothing more is noted.
    pub fn note(&mut self, pointer: &str, detail: impl Into<String>) {
        let found = FieldError::new(pointer, detail);
        if self.0.len() < MOST && !self.0.contains(&found) {
            self.0.push(found);
        }
    }

    /// All of them.
    #[must_use]
    pub fn into_list(self) -> Vec<FieldError> {
        self.0
    }
}
