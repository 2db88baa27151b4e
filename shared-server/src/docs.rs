//! `/openapi.json` and the browsable `/docs`, whose files are in the binary.

use std::sync::LazyLock;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// A server's description as JSON, made when somebody first asks for it: the tree that it is made of takes megabytes, and most
/// servers are never asked.
pub type Text = LazyLock<Bytes>;

/// The text of a description.
#[must_use]
pub fn text(description: &OpenApi) -> Bytes {
    // Plain values in maps whose keys are text: nothing of it can fail to be written.
    description.to_json().unwrap_or_default().into()
}

/// Mounts the description and its browser.
pub fn routes(config: &mut web::ServiceConfig, description: &'static Text) {
    let shown = move || async move {
        HttpResponse::Ok().content_type("application/json").body(Bytes::clone(description))
    };
    config
        .route("/docs", web::get().to(to_browser))
        .route("/openapi.json", web::get().to(shown))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json")));
}

async fn to_browser() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header(("Location", "/docs/")).finish()
}
