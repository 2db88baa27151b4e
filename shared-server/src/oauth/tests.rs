//! What a form must look like, and who may say who it is.

use actix_web::http::Method;
use actix_web::test::TestRequest;

use super::*;

async fn read(request: TestRequest) -> Result<OAuthRequest, OAuthError> {
    let (request, mut payload) = request.method(Method::POST).to_http_parts();
    OAuthRequest::from_request(&request, &mut payload).await
}

fn form(body: &str) -> TestRequest {
    TestRequest::default()
        .insert_header(("Content-Type", "application/x-www-form-urlencoded"))
        .set_payload(body.to_owned())
}

fn basic(content: &str) -> (&'static str, String) {
    use base64::Engine;
    ("Authorization", format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(content)))
}

#[actix_web::test]
async fn basic_and_body_credentials_together_are_refused() {
    let both = read(form("client_id=a&client_secret=b").insert_header(basic("a:b"))).await.unwrap_err();
    assert_eq!(both.code, ErrorCode::InvalidRequest);
    assert!(read(form("client_id=a").insert_header(basic("a:b"))).await.is_ok());
    assert_eq!(
        read(form("client_id=c").insert_header(basic("a:b"))).await.unwrap_err().code,
        ErrorCode::InvalidRequest
    );
}

#[actix_web::test]
async fn a_secret_in_the_url_is_refused_however_it_is_spelt() {
    for query in ["client_secret=x", "%63lient_secret=x", "a=b&password=y", "assertion="] {
        let refused =
            read(form("grant_type=password").uri(&format!("/oauth2/token?{query}"))).await.unwrap_err();
        assert!(refused.description.contains("URL"), "{query}");
    }
    assert!(read(form("grant_type=password").uri("/oauth2/token?tenant=x")).await.is_ok());
}

#[actix_web::test]
async fn other_content_types_are_refused_and_spelling_variants_are_not() {
    for media in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
        "application/x-www-form-urlencoded; charset=ISO-8859-1",
    ] {
        let request = TestRequest::default().insert_header(("Content-Type", media)).set_payload("a=b");
        assert_eq!(read(request).await.unwrap_err().code, ErrorCode::InvalidRequest, "{media}");
    }
    let request = TestRequest::default()
        .insert_header(("Content-Type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
    assert!(read(request.set_payload("a=b")).await.is_ok());
    assert!(read(TestRequest::default().set_payload("a=b")).await.is_err());
}

#[actix_web::test]
async fn a_long_form_is_refused_with_413() {
    let long = read(form(&format!("a={}", "x".repeat(1 << 20)))).await.unwrap_err();
    assert_eq!(long.status_code(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[actix_web::test]
async fn a_megabyte_may_be_asked_about() {
    let asked = form(&format!("token={}", "x".repeat(1 << 20))).uri("/oauth2/introspect");
    assert_eq!(read(asked).await.unwrap().form.get("token").map(str::len), Some(1 << 20));
}

#[actix_web::test]
async fn unreadable_basic_headers_are_an_invalid_client() {
    for value in ["Basic", "Basic !", "Basic bm9jb2xvbg==", "Digest x", "Basic  "] {
        let refused = read(form("a=b").insert_header(("Authorization", value))).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.status_code()),
            (ErrorCode::InvalidClient, StatusCode::UNAUTHORIZED),
            "{value}"
        );
    }
    let twice = form("a=b").append_header(basic("a:b")).append_header(basic("a:b"));
    assert_eq!(read(twice).await.unwrap_err().code, ErrorCode::InvalidRequest);
}

#[actix_web::test]
async fn an_error_is_never_stored_and_a_401_challenges() {
    let answer = OAuthError::invalid_client().error_response();
    assert_eq!(answer.headers().get("Cache-Control").unwrap(), "no-store");
    assert!(answer.headers().get("WWW-Authenticate").unwrap().to_str().unwrap().starts_with("Basic realm="));
    let busy = OAuthError::unavailable().error_response();
    assert_eq!(
        (busy.status(), busy.headers().contains_key("Retry-After")),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
}
