//! OpenAPI documents of APIs: made into APIs, judged, replaced, and shown with what the gateway enforces.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared_claims::field_error::FieldError;
use shared_server::etag::{etag, expected_revision};
use shared_server::fields::Fields;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::openapi_body::{Sent, choices, document, prefers_yaml};
use super::view::ApiView;
use super::{READERS, api_id, form, gateway_url, view_for};
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::api::Draft;
use crate::domain::openapi::import::{Choices, Reading};
use crate::domain::openapi::{Document, emit, export, import};
use crate::flows;
use crate::http::caller::Caller;
use crate::http::resource::{created, listed, shown, sure};

/// What is shown elsewhere in the document, or is not the publisher's to say.
const NOT_SETTINGS: [&str; 9] =
    ["id", "name", "version", "description", "state", "owner", "operations", "created_at", "updated_at"];

/// Mounts the routes; before those of one API, whose id is no word.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let resource = crate::http::resource_at;
    config
        .service(resource("/api/v1/apis/import", "POST").route(web::post().to(import)))
        .service(resource("/api/v1/apis/validate", "POST").route(web::post().to(validate)))
        .service(
            resource("/api/v1/apis/{id}/openapi", "GET, PUT")
                .route(web::get().to(describe))
                .route(web::put().to(replace)),
        );
}

/// What a document would make.
#[derive(Serialize, ToSchema)]
#[schema(as = Validation)]
pub(super) struct ValidationView {
    /// Whether an import would take the document.
    valid: bool,
    /// Everything that is wrong with it.
    problems: Vec<ProblemView>,
    /// How many operations it has.
    operations: usize,
}

/// One thing that is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentProblem)]
pub(super) struct ProblemView {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole document.
    #[schema(example = "/paths/~1pets/get/security/0")]
    pointer: String,
    /// What, and the remedy.
    detail: String,
}

/// Makes an API of an OpenAPI 3.0 or 3.1 document in JSON or YAML, at most 1 MiB of it, or of `{"url"}` where the
/// operator allows fetching. Name and version are those of `info`, operations and scopes those of `paths`. Everything
/// else may stand in `x-countersign` with the names of an API's members, or in the query, which wins; backends are
/// otherwise the https `servers`, and the context the path of the first server.
#[utoipa::path(post, path = "/api/v1/apis/import", tag = "APIs", params(
    ("context" = Option<String>, Query), ("version" = Option<String>, Query), ("name" = Option<String>, Query),
    ("tiers" = Option<String>, Query, description = "with commas between them; Unlimited where nothing is said"),
    ("backend" = Option<String>, Query, description = "the production backend; may be repeated"),
    ("sandbox_backend" = Option<String>, Query, description = "may be repeated"),
    ("scopes" = Option<String>, Query, description = "any: where several scopes are asked for at once, one will do"),
), request_body(content((Object = "application/json"), (Object = "application/yaml"))), responses(
    (status = 201, body = ApiView, description = "with Location and ETag"),
    (status = 409, description = "the context has this version already, or is another publisher's"),
    (status = 422, description = "every problem, with its JSON pointer as field"),
))]
pub(super) async fn import(
    app: web::Data<App>,
    caller: Caller,
    request: HttpRequest,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::CreateApis)?;
    let choices = choices(&request, true)?;
    let document = document(&app, sent).await?.map_err(|problem| Problem::fields(vec![problem]))?;
    let (document, reading) = judged(document, choices).await?;
    let (form, problems) = fill(&reading, reading.form.clone(), true)?;
    if !problems.is_empty() {
        return Err(Problem::fields(problems));
    }
    let (context, version) = (sure(form.context)?, sure(form.version)?);
    let draft = Draft { name: form.name, context, version, definition: form.definition };
    let api = flows::create_api::import_api(&app, actor, (draft, document), app.clock.now()).await?;
    Ok(created(&format!("/api/v1/apis/{}", api.id), api.revision, &ApiView::of(api)))
}

/// Lists everything that is wrong with a document, and changes nothing. The context, which not every document says, is
/// asked for at the import only.
#[utoipa::path(post, path = "/api/v1/apis/validate", tag = "APIs",
    params(("scopes" = Option<String>, Query, description = "as at the import")),
    request_body(content((Object = "application/json"), (Object = "application/yaml"))),
    responses((status = 200, body = ValidationView)))]
pub(super) async fn validate(
    app: web::Data<App>,
    caller: Caller,
    request: HttpRequest,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    caller.with(Right::CreateApis)?;
    let choices = choices(&request, true)?;
    let (problems, operations) = match document(&app, sent).await? {
        Err(problem) => (vec![problem], 0),
        Ok(document) => {
            let (_, reading) = judged(document, choices).await?;
            let operations = reading.form.get("operations").and_then(Value::as_array).map_or(0, Vec::len);
            (fill(&reading, reading.form.clone(), false)?.1, operations)
        }
    };
    let view = |problem: FieldError| ProblemView { pointer: problem.field, detail: problem.detail };
    let valid = problems.is_empty();
    let problems = problems.into_iter().map(view).collect();
    Ok(listed(&ValidationView { valid, problems, operations }))
}

/// Replaces an API's document, and its operations by those of the document. All else of the API stays as it is.
#[utoipa::path(put, path = "/api/v1/apis/{id}/openapi", tag = "APIs", params(
    ("id" = String, Path), ("If-Match" = Option<String>, Header),
    ("scopes" = Option<String>, Query, description = "as at the import"),
), request_body(content((Object = "application/json"), (Object = "application/yaml"))), responses(
    (status = 200, body = ApiView), (status = 412), (status = 422)))]
pub(super) async fn replace(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    sent: Sent,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with(Right::CreateApis)?;
    let choices = choices(&request, false)?;
    let which = (api_id(&id)?, expected_revision(&request)?);
    let document = document(&app, sent).await?.map_err(|problem| Problem::fields(vec![problem]))?;
    let (document, reading) = judged(document, choices).await?;
    // Only the operations are read; what else a form needs is stood in for.
    let mut body = Map::new();
    body.insert("name".to_owned(), "x".into());
    body.insert("tiers".to_owned(), json!(["x"]));
    body.insert("operations".to_owned(), reading.form.get("operations").cloned().unwrap_or_default());
    let (form, problems) = fill(&reading, body, false)?;
    if !problems.is_empty() {
        return Err(Problem::fields(problems));
    }
    let replacement = (document, form.definition.operations);
    let api =
        flows::replace_openapi::replace_openapi(&app, actor, which, replacement, app.clock.now()).await?;
    Ok(shown(api.revision, &ApiView::of(api)))
}

/// The API's own OpenAPI document, in JSON or, where `Accept` asks for it, in YAML: the imported one where there is
/// one, with the gateway as its server and what the gateway enforces as its security. Imported again it makes the same
/// API.
#[utoipa::path(get, path = "/api/v1/apis/{id}/openapi", tag = "APIs", params(("id" = String, Path)),
    responses((status = 200, content((Object = "application/json"), (Object = "application/yaml")))))]
pub(super) async fn describe(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let (api, document) = flows::browse_apis::find_document(&app, actor, api_id(&id)?).await?;
    let view = serde_json::to_value(view_for(actor, api.clone())).map_err(|error| Problem::fault(&error))?;
    let Value::Object(mut settings) = view else { return Err(Problem::fault(&"an API is no object")) };
    let operations = settings.get("operations").and_then(Value::as_array).cloned().unwrap_or_default();
    settings.retain(|name, value| !NOT_SETTINGS.contains(&name.as_str()) && !value.is_null());
    let token_url = format!("{}/oauth2/token", app.settings.public_url);
    let around =
        export::Surroundings { gateway: &gateway_url(&app), token_url: &token_url, settings, operations };
    let document = export::export(&api, document.as_ref(), &around);
    if !prefers_yaml(&request) {
        return Ok(shown(api.revision, &document));
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, etag(api.revision)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_TYPE, "application/yaml"))
        .body(emit::yaml(&document)))
}

/// Judges a document away from the threads that answer requests: a long one takes its time.
async fn judged(document: Document, choices: Choices) -> Result<(Document, Reading), Problem> {
    let judge = move || {
        let reading = import::read(&document, &choices);
        (document, reading)
    };
    web::block(judge).await.map_err(|error| Problem::fault(&error))
}

/// Reads what a document says with the very form that makes APIs.
fn fill(
    reading: &Reading,
    mut body: Map<String, Value>,
    needs_context: bool,
) -> Result<(form::Form, Vec<FieldError>), Problem> {
    let has_context = body.get("context").is_some_and(|context| !context.is_null());
    body.retain(|_, value| !value.is_null());
    let mut fields = Fields::read(Value::Object(body).to_string().as_bytes())?;
    if needs_context && !has_context {
        fields
            .blame("context", "is required; add ?context=pets to the request, or write it in x-countersign");
    }
    let form = form::read(&mut fields);
    let problem = fields.finish().err();
    let errors = problem.as_ref().map_or(&[][..], |problem| problem.errors());
    Ok((form, reading.with_form_errors(errors)))
}
