//! `/openapi.json` and the browsable `/docs`, whose files are in the binary.

use actix_web::{HttpResponse, web};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// Mounts the description and its browser.
pub fn routes(config: &mut web::ServiceConfig, description: OpenApi) {
    config
        .route("/docs", web::get().to(to_browser))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", description));
}

async fn to_browser() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header(("Location", "/docs/")).finish()
}
