//! Who calls the REST, and by what right: Basic for the administrator, Bearer with the scope that the route names.

use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use shared_claims::credentials::Basic;
use shared_server::administrator::NAME;
use shared_server::hashing::HashingError;
use shared_server::problem::Problem;

use crate::app::App;
use crate::flows::live_token::{LiveToken, find_live};

/// What a route demands of a bearer.
pub(crate) trait Right: 'static {
    /// The scope.
    const SCOPE: &'static str;
}

/// To keep clients.
pub(crate) struct ToClients;
/// To keep users.
pub(crate) struct ToUsers;
/// To see and rotate keys.
pub(crate) struct ToKeys;

impl Right for ToClients {
    const SCOPE: &'static str = "identity:clients";
}

impl Right for ToUsers {
    const SCOPE: &'static str = "identity:users";
}

impl Right for ToKeys {
    const SCOPE: &'static str = "identity:keys";
}

/// Proof that the caller may do what the route does. Put it first among a handler's arguments, so that a stranger
/// learns nothing from what is wrong with the rest.
pub(crate) struct Caller<R> {
    /// The caller's name, for the audit trail.
    pub name: String,
    right: PhantomData<R>,
}

impl<R: Right> FromRequest for Caller<R> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>().cloned();
        let mut values = request.headers().get_all(AUTHORIZATION);
        let header = values.next().map(|value| value.to_str().map(str::to_owned));
        let is_single = values.next().is_none();
        Box::pin(async move {
            let app = app.ok_or_else(|| Problem::fault(&"the app's data is missing"))?;
            let name = match header {
                Some(Ok(text)) if is_single => identify(&app, &text, R::SCOPE).await?,
                None => return Err(unauthorized("authentication is required", None)),
                _ => return Err(unauthorized("the Authorization header cannot be read", None)),
            };
            Ok(Self { name, right: PhantomData })
        })
    }
}

async fn identify(app: &App, header: &str, scope: &str) -> Result<String, Problem> {
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        let basic =
            Basic::parse(rest).map_err(|_| unauthorized("the Basic credentials cannot be read", None))?;
        return match app.administrator.verify(&basic).await {
            Ok(true) => Ok(NAME.to_owned()),
            Ok(false) => Err(unauthorized("the user name or the password is wrong", None)),
            Err(HashingError::Busy) => Err(Problem::unavailable("too many passwords wait to be checked", 1)),
            Err(HashingError::Failed) => Err(Problem::fault(&"the password could not be checked")),
        };
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthorized("the authentication scheme is not supported", None));
    }
    let invalid = || unauthorized("the bearer token is not valid here", Some("error=\"invalid_token\""));
    let Some(LiveToken::Access(token)) = find_live(app, rest.trim(), app.clock.now()).await? else {
        return Err(invalid());
    };
    if !token.scope.contains(scope) {
        let challenge =
            format!("Bearer realm=\"Countersign\", error=\"insufficient_scope\", scope=\"{scope}\"");
        return Err(Problem::forbidden(format!("the token lacks the scope {scope}"), Some(challenge)));
    }
    if token.is_for(app) { Ok(token.subject.clone()) } else { Err(invalid()) }
}

fn unauthorized(detail: &str, bearer: Option<&str>) -> Problem {
    let bearer = bearer.map_or_else(String::new, |error| format!(", {error}"));
    let challenges = vec![
        "Basic realm=\"Countersign\", charset=\"UTF-8\"".to_owned(),
        format!("Bearer realm=\"Countersign\"{bearer}"),
    ];
    Problem::unauthorized(detail, challenges)
}
