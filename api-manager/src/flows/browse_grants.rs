//! An administrator looks at what was granted, and at where it came from.

use super::FlowError;
use crate::app::App;
use crate::domain::grant::Grant;
use crate::domain::ids::GrantId;
use crate::storage::grants;

pub use crate::storage::grants::Selection;

/// A page of the selected grants, the oldest first.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn browse_grants(
    app: &App,
    selection: Selection,
    after: Option<GrantId>,
    rows: i64,
) -> Result<Vec<Grant>, FlowError> {
    let after = after.map(|id| id.to_string());
    let page = app
        .database
        .read(move |connection| grants::list_page(connection, &selection, after.as_deref(), rows));
    Ok(page.await?)
}
