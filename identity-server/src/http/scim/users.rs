//! `/scim/v2/Users`

use actix_web::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde_json::Value;
use shared_server::etag::{etag, expected_revision};
use shared_server::problem::Problem;

use super::answer::{ScimList, ScimUser, location};
use super::error::ScimRefusals;
use super::filter::Comparison;
use super::{MEDIA, ScimError, patch as patching, read as reading};
use crate::app::App;
use crate::domain::user::{User, UserId};
use crate::flows;
use crate::flows::users::Sought;
use crate::http::body::ScimBody;
use crate::http::caller::{Caller, ToUsers};

/// The most users of one page.
const LARGEST_PAGE: i64 = 100;

/// Proof of the caller's right, refused in SCIM's form.
pub(in crate::http) struct Provisioner {
    name: String,
}

impl FromRequest for Provisioner {
    type Error = ScimError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, ScimError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let caller = Caller::<ToUsers>::from_request(request, payload);
        Box::pin(async move { Ok(Self { name: caller.await?.name }) })
    }
}

/// Makes a user.
#[utoipa::path(post, path = "/scim/v2/Users", tag = "scim",
    request_body(content = Object, content_type = "application/scim+json"),
    responses((status = 201, description = "Made", body = ScimUser, content_type = "application/scim+json"), ScimRefusals),
    security(("admin" = []), ("bearer" = ["identity:users"])))]
pub(in crate::http) async fn create(
    app: web::Data<App>,
    caller: Provisioner,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ScimError> {
    let change = reading::user(&body)?;
    let user = flows::users::create(&app, &caller.name, change, app.clock.now()).await?;
    let location = location(&user, &app.public_url);
    Ok(show(HttpResponse::Created().insert_header((LOCATION, location)), user, &app))
}

/// Lists users, all or those that a filter such as `userName eq "alice"` finds.
#[utoipa::path(get, path = "/scim/v2/Users", tag = "scim",
    params(("filter" = Option<String>, Query), ("startIndex" = Option<i64>, Query), ("count" = Option<i64>, Query)),
    responses((status = 200, description = "A page", body = ScimList, content_type = "application/scim+json"), ScimRefusals),
    security(("admin" = []), ("bearer" = ["identity:users"])))]
pub(in crate::http) async fn list(
    app: web::Data<App>,
    _caller: Provisioner,
    request: HttpRequest,
) -> Result<HttpResponse, ScimError> {
    let query = Query::read(request.query_string())?;
    let start = query.start;
    let (users, total) = flows::users::list(&app, query.sought, start, query.count).await?;
    let list = ScimList::new(users, total, start, &app.public_url);
    Ok(scim(&mut HttpResponse::Ok(), &list))
}

/// Reads a user.
#[utoipa::path(get, path = "/scim/v2/Users/{id}", tag = "scim", params(("id" = String, Path)),
    responses((status = 200, description = "The user", body = ScimUser, content_type = "application/scim+json"), ScimRefusals),
    security(("admin" = []), ("bearer" = ["identity:users"])))]
pub(in crate::http) async fn read(
    app: web::Data<App>,
    _caller: Provisioner,
    path: web::Path<String>,
) -> Result<HttpResponse, ScimError> {
    let user = flows::users::find(&app, id(&path)?).await?;
    Ok(show(&mut HttpResponse::Ok(), user, &app))
}

/// Replaces a user; what is left out is emptied, but the password stays.
#[utoipa::path(put, path = "/scim/v2/Users/{id}", tag = "scim",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body(content = Object, content_type = "application/scim+json"),
    responses((status = 200, description = "Replaced", body = ScimUser, content_type = "application/scim+json"), ScimRefusals),
    security(("admin" = []), ("bearer" = ["identity:users"])))]
pub(in crate::http) async fn replace(
    app: web::Data<App>,
    caller: Provisioner,
    request: HttpRequest,
    path: web::Path<String>,
    ScimBody(body): ScimBody,
) -> Result<HttpResponse, ScimError> {
    let (id, expected) = (id(&path)?, expected_revision(&request)?);
    let change = reading::user(&body)?;
    let user = flows::users::replace(&app, &caller.name, id, (change, expected), app.clock.now()).await?;
    Ok(show(&mut HttpResponse::Ok(), user, &app))
}

/// Changes parts of a user.
#[utoipa::path(patch, path = "/scim/v2/Users/{id}", tag = "scim",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body(content = Object, content_type = "application/scim+json"),
    responses((status = 200, description = "Changed", body = ScimUser, content_type = "application/scim+json"), ScimRefusals),
    security(("admin" = []), ("bearer" = ["identity:users"])))]
pub(in crate::http) async fn patch(
    app: web::Data<App>,
    caller: Provisioner,
    request: HttpRequest,
    path: web::Path<String>,
    ScimBody(message): ScimBody,
) -> Result<HttpResponse, ScimError> {
    let (id, expected) = (id(&path)?, expected_revision(&request)?);
    let present = flows::users::find(&app, id).await?;
    // The operations were meant for this revision, whether or not the caller names it.
    let expected = Some(expected.unwrap_or(present.revision));
    let shown = serde_json::to_value(ScimUser::new(present, &app.public_url));
    let Ok(Value::Object(mut user)) = shown else {
        return Err(Problem::fault(&"a user cannot be shown").into());
    };

    patching::apply(&message, &mut user)?;
    let change = reading::user(&user)?;
    let user = flows::users::replace(&app, &caller.name, id, (change, expected), app.clock.now()).await?;
    Ok(show(&mut HttpResponse::Ok(), user, &app))
}

/// Deletes a user; the name stays reserved for ever.
#[utoipa::path(delete, path = "/scim/v2/Users/{id}", tag = "scim",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "Deleted"), ScimRefusals),
    security(("admin" = []), ("bearer" = ["identity:users"])))]
pub(in crate::http) async fn delete(
    app: web::Data<App>,
    caller: Provisioner,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ScimError> {
    let (id, expected) = (id(&path)?, expected_revision(&request)?);
    flows::users::delete(&app, &caller.name, id, expected, app.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}

struct Query {
    sought: Sought,
    start: i64,
    count: i64,
}

impl Query {
    fn read(text: &str) -> Result<Self, ScimError> {
        let invalid =
            |name: &str| ScimError::bad_request("invalidValue", format!("{name} must be a whole number"));
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs = pairs.map_err(|_| ScimError::bad_request("invalidSyntax", "the query cannot be read"))?;
        let find = |name: &str| {
            pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
        };
        let number = |name: &str, default: i64| {
            find(name).map_or(Ok(default), |text| text.parse::<i64>().map_err(|_| invalid(name)))
        };
        // RFC 7644 section 3.4.2.4: less than one is read as one, a negative count as none.
        let (start, count) =
            (number("startIndex", 1)?.max(1), number("count", LARGEST_PAGE)?.clamp(0, LARGEST_PAGE));
        let sought = find("filter").map_or(Ok(Sought::Everybody), sought)?;
        Ok(Self { sought, start, count })
    }
}

fn sought(filter: &str) -> Result<Sought, ScimError> {
    let comparison = Comparison::parse(filter)?;
    match (comparison.attribute.to_ascii_lowercase().as_str(), comparison.value) {
        ("username", Value::String(name)) => Ok(Sought::Named(name)),
        ("id", Value::String(id)) => Ok(UserId::parse(&id).map_or(Sought::Nobody, Sought::Identified)),
        _ => Err(ScimError::bad_request("invalidFilter", "users are found by userName eq or id eq")),
    }
}

fn id(path: &str) -> Result<UserId, ScimError> {
    UserId::parse(path).ok_or_else(|| ScimError::not_found("there is no such user"))
}

fn show(answer: &mut HttpResponseBuilder, user: User, app: &App) -> HttpResponse {
    answer.insert_header((ETAG, etag(user.revision)));
    scim(answer, &ScimUser::new(user, &app.public_url))
}

fn scim(answer: &mut HttpResponseBuilder, body: &impl serde::Serialize) -> HttpResponse {
    answer.insert_header((CONTENT_TYPE, MEDIA)).body(serde_json::to_string(body).unwrap_or_default())
}
