//! Lists: `{items, next}`, asked for by `?limit=&after=`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Serialize;

use crate::problem::Problem;
use shared_claims::field_error::FieldError;

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Listing<T> {
    /// The items, in the order of their ids.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null at the end.
    pub next: Option<String>,
}

impl<T> Listing<T> {
    /// Makes a page from up to `limit + 1` items: the one too many only shows that there is a next page.
    pub fn new(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(id);
        Self { items, next }
    }
}

/// Which page is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// The most items, 1 to 100; 20 where not said.
    pub limit: usize,
    /// The id after which the page begins.
    pub after: Option<String>,
}

impl Page {
    /// How many rows to ask the database for: one more than wanted, to know whether there is a next page.
    #[must_use]
    pub fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(100) + 1
    }
}

impl FromRequest for Page {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(page(request.query_string()))
    }
}

fn page(query: &str) -> Result<Page, Problem> {
    let unreadable = |_| Problem::bad_request("the query cannot be read");
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(unreadable)?;
    let find = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let limit = match find("limit") {
        None => 20,
        Some(text) => text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(|| {
            Problem::fields(vec![FieldError::new("limit", "must be a whole number from 1 to 100")])
        })?,
    };
    Ok(Page { limit, after: find("after").filter(|text| !text.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_another_follows() {
        let full = Listing::new(vec![1, 2, 3], 2, ToString::to_string);
        assert_eq!((full.items, full.next.as_deref()), (vec![1, 2], Some("2")));
        let last = Listing::new(vec![3], 2, ToString::to_string);
        assert_eq!((last.items, last.next), (vec![3], None));
    }

    #[test]
    fn a_limit_out_of_bounds_is_refused_by_name() {
        for bad in ["limit=0", "limit=101", "limit=-1", "limit=x"] {
            assert_eq!(page(bad).unwrap_err().errors()[0].field, "limit");
        }
        assert_eq!(page("after=x&limit=5").unwrap().after.as_deref(), Some("x"));
    }
}
