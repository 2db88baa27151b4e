//! Versions of resources: `ETag` out, `If-Match` in (RFC 9110, section 13.1.1).

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::problem::Problem;

/// The entity tag of a resource's revision.
#[must_use]
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// The revision that a change insists on, from `If-Match`; `None` where the caller does not insist.
///
/// # Errors
/// 412 for a tag that is none of ours: it cannot be the present version.
pub fn expected_revision(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(value) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::precondition_failed())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
    revision.map(Some).ok_or_else(Problem::precondition_failed)
}
