//! What is changed of messages, within the `definition` column.

use serde::{Deserialize, Serialize};

use crate::domain::api::transform::{Edits, Transforms};

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TransformsRow {
    request_headers: EditsRow,
    query: EditsRow,
    response_headers: EditsRow,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct EditsRow {
    set: Vec<(String, String)>,
    add: Vec<(String, String)>,
    remove: Vec<String>,
}

impl TransformsRow {
    pub(super) fn of(transforms: &Transforms) -> Self {
        let edits = |edits: &Edits| EditsRow {
            set: edits.set.clone(),
            add: edits.add.clone(),
            remove: edits.remove.clone(),
        };
        Self {
            request_headers: edits(&transforms.request_headers),
            query: edits(&transforms.query),
            response_headers: edits(&transforms.response_headers),
        }
    }

    pub(super) fn read(self) -> Transforms {
        let edits = |EditsRow { set, add, remove }| Edits { set, add, remove };
        Transforms {
            request_headers: edits(self.request_headers),
            query: edits(self.query),
            response_headers: edits(self.response_headers),
        }
    }
}
