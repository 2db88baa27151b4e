//! `security`: how the callers of an API may prove who they are.

use shared_server::fields::Fields;

use crate::domain::scheme::{Scheme, Schemes};

/// Reads the list; left out, opaque tokens alone.
pub(super) fn read(fields: &mut Fields) -> Schemes {
    let Some(words) = fields.texts("security", Scheme::ALL.len(), 60, false) else {
        return Schemes::default();
    };
    if words.is_empty() && !fields.is_blamed("security") {
        let remedy = "must name at least one; for operations without credentials, set their auth to none";
        fields.blame("security", remedy);
    }
    let mut schemes = Vec::new();
    for (place, word) in words.iter().enumerate() {
        match Scheme::parse(word) {
            Some(scheme) if schemes.contains(&scheme) => {
                fields.blame(&format!("security[{place}]"), "is there twice")
            }
            Some(scheme) => schemes.push(scheme),
            None => {
                let known = Scheme::ALL.map(Scheme::as_str).join(", ");
                fields.blame(&format!("security[{place}]"), format!("must be one of: {known}"));
            }
        }
    }
    Schemes::of(&schemes)
}
