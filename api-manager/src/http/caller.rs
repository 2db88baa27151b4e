//! Who calls the management REST: the bootstrap administrator by Basic, everybody else by Bearer.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{FromRequest, HttpRequest, web};
use shared_claims::credentials::Basic;
use shared_server::administrator;
use shared_server::hashing::HashingError;
use shared_server::problem::Problem;

use crate::app::App;
use crate::domain::actor::{Actor, Right};
use crate::flows::{self, Denied};
use crate::issuers::Unverified;

/// An authenticated caller; a request without one does not reach its handler.
#[derive(Debug)]
pub struct Caller(pub Actor);

impl Caller {
    /// The actor, if it holds `right`.
    ///
    /// # Errors
    /// 403 that names the scope.
    pub fn with(&self, right: Right) -> Result<&Actor, Problem> {
        self.with_any(&[right])
    }

    /// The actor, if it holds one of `rights`; the refusal names the first.
    ///
    /// # Errors
    /// 403 that names the scope.
    pub fn with_any(&self, rights: &[Right]) -> Result<&Actor, Problem> {
        if rights.iter().any(|right| self.0.may(*right)) {
            return Ok(&self.0);
        }
        Err(insufficient_scope(rights.first().copied().unwrap_or(Right::Administer)))
    }
}

/// 403 with the challenge of RFC 6750, section 3.1.
pub(super) fn insufficient_scope(right: Right) -> Problem {
    let scope = right.scope();
    let challenge = format!("Bearer realm=\"Countersign\", error=\"insufficient_scope\", scope=\"{scope}\"");
    Problem::forbidden(format!("this needs a token with the scope {scope}"), Some(challenge))
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>().cloned();
        let request = request.clone();
        Box::pin(async move {
            let app = app.ok_or_else(|| Problem::fault(&"the app is not among the server's data"))?;
            refuse_foreign_origin(&request, &app.settings.public_url)?;
            authenticate(&app, &request).await.map(Self)
        })
    }
}

/// A browser says on whose behalf it changes something. Our own pages may; a foreign page that found the
/// administrator's password in the browser's memory may not (cross-site request forgery).
fn refuse_foreign_origin(request: &HttpRequest, public_url: &str) -> Result<(), Problem> {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
    let mut origins = request.headers().get_all(header::ORIGIN);
    if reads.contains(request.method()) || origins.all(|origin| is_origin_of(origin.as_bytes(), public_url)) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "a page of another origin may not change anything here"))
}

fn is_origin_of(origin: &[u8], public_url: &str) -> bool {
    let parse = |text: &str| url::Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    std::str::from_utf8(origin).ok().and_then(parse).is_some_and(|origin| Some(origin) == parse(public_url))
}

async fn authenticate(app: &web::Data<App>, request: &HttpRequest) -> Result<Actor, Problem> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else { return Err(unauthorized("this resource needs credentials")) };
    if values.next().is_some() {
        return Err(Problem::bad_request("the request has more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| unauthorized("the credentials cannot be read"))?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return administrator(app, rest).await;
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return bearer(app, rest.trim()).await;
    }
    Err(unauthorized("this resource takes Basic and Bearer credentials"))
}

async fn administrator(app: &App, encoded: &str) -> Result<Actor, Problem> {
    let basic = Basic::parse(encoded).map_err(|error| unauthorized(error.to_string()))?;
    match app.administrator.verify(&basic).await {
        Ok(true) => Ok(Actor { name: administrator::NAME.to_owned(), scopes: None }),
        Ok(false) => {
            log::info!(reason = "wrong_password"; "an administrator's sign-in was refused");
            Err(unauthorized("the user name or the password is wrong"))
        }
        Err(HashingError::Busy) => {
            Err(Problem::unavailable("too many sign-ins at once; try again in a moment", 1))
        }
        Err(error @ HashingError::Failed) => Err(Problem::fault(&error)),
    }
}

async fn bearer(app: &App, token: &str) -> Result<Actor, Problem> {
    flows::bearer_login(app, token, app.clock.now()).await.map_err(|denied| match denied {
        Denied::Storage(error) => error.into(),
        Denied::Fault(cause) | Denied::Unverified(Unverified::Fault(cause)) => Problem::fault(&cause),
        Denied::Unverified(Unverified::KeysUnavailable(_)) => {
            Problem::unavailable("the keys of the token's issuer cannot be fetched; try again in a moment", 2)
        }
        refusal => {
            log::info!(reason = format!("{refusal:?}").as_str(); "a bearer token was refused");
            let detail = "the token is expired, or not one that opens this resource";
            Problem::unauthorized(
                detail,
                vec!["Bearer realm=\"Countersign\", error=\"invalid_token\"".to_owned()],
            )
        }
    })
}

fn unauthorized(detail: impl Into<String>) -> Problem {
    let challenges = ["Basic realm=\"Countersign\", charset=\"UTF-8\"", "Bearer realm=\"Countersign\""];
    Problem::unauthorized(detail, challenges.map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn refused(method: Method, origin: Option<&str>) -> bool {
        let mut request = TestRequest::default().method(method);
        if let Some(origin) = origin {
            request = request.insert_header((header::ORIGIN, origin));
        }
        refuse_foreign_origin(&request.to_http_request(), "https://am.example:9444").is_err()
    }

    #[test]
    fn only_our_own_pages_and_programs_change_anything() {
        assert!(!refused(Method::POST, None));
        assert!(!refused(Method::POST, Some("https://am.example:9444")));
        for foreign in ["https://am.example", "http://am.example:9444", "https://evil.example", "null", ""] {
            assert!(refused(Method::DELETE, Some(foreign)), "{foreign}");
            assert!(!refused(Method::GET, Some(foreign)), "{foreign}");
        }
    }

    #[test]
    fn a_missing_right_is_named_by_its_scope() {
        let scopes = shared_claims::scope::ScopeSet::parse("apim:api_view").ok();
        let caller = Caller(Actor { name: "alice".to_owned(), scopes });

        assert!(caller.with(Right::ViewApis).is_ok());
        let refusal = caller.with(Right::CreateApis).unwrap_err();

        assert_eq!(refusal.status(), 403);
        assert!(refusal.detail().contains("apim:api_create"));
    }
}
