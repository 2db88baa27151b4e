//! `POST /api/v1/signup`

use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared_claims::secret::Secret;
use shared_server::administrator;
use shared_server::fields::Fields;
use shared_server::problem::Problem;
use utoipa::ToSchema;

use super::openapi::Refusals;
use crate::app::App;
use crate::domain::password;
use crate::domain::profile::{Contact, LONGEST_VALUE, Profile, is_email};
use crate::domain::user::{self, LONGEST_NAME, UserName};
use crate::flows;
use crate::flows::FlowError;
use crate::flows::users::UserChange;

/// What a person says about themselves, by OpenID Connect's names.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what Fields reads")]
pub(super) struct SignUpBody {
    /// Stays theirs for ever.
    #[schema(max_length = 128)]
    username: String,
    #[schema(min_length = 8, max_length = 1024, format = "password")]
    password: String,
    #[schema(format = "email")]
    email: String,
    name: Option<String>,
    given_name: Option<String>,
    middle_name: Option<String>,
    family_name: Option<String>,
    nickname: Option<String>,
    profile: Option<String>,
    zoneinfo: Option<String>,
    locale: Option<String>,
    phone_number: Option<String>,
}

/// The new user.
#[derive(Serialize, ToSchema)]
pub(super) struct SignUpAnswer {
    id: String,
    username: String,
    created_at: String,
}

/// Makes a user of the caller's own, where self sign-up is switched on. Sign-ups share the hashing pool with
/// sign-ins, which bounds how many there can be.
#[utoipa::path(post, path = "/api/v1/signup", tag = "users", request_body = SignUpBody,
    responses((status = 201, description = "Signed up", body = SignUpAnswer), Refusals))]
pub(super) async fn sign_up(app: web::Data<App>, fields: Fields) -> Result<HttpResponse, Problem> {
    if !app.signup {
        return Err(FlowError::SignUpOff.into());
    }
    let user = flows::users::sign_up(&app, read(fields)?, app.clock.now()).await?;
    let answer = SignUpAnswer {
        id: user.id.to_string(),
        username: user.name.as_str().to_owned(),
        created_at: user.created_at.rfc3339(),
    };
    Ok(HttpResponse::Created().json(answer))
}

fn read(mut fields: Fields) -> Result<UserChange, Problem> {
    let had_name = fields.has("username");
    let typed = fields.required_text("username", LONGEST_NAME);
    let name = UserName::parse(&typed);
    if let (Err(bad), true, false) = (&name, had_name, typed.is_empty()) {
        fields.blame("username", bad.to_string());
    }
    // Whoever reads `sub` elsewhere must not take a stranger for the administrator.
    if user::key(&typed) == administrator::NAME {
        fields.blame("username", "is reserved; choose another one");
    }
    let password = secret(&mut fields, &typed);
    let email = fields.required_text("email", 254);
    if !email.is_empty() && !is_email(&email) {
        fields.blame("email", "is not a mail address");
    }
    let mut text = |name| fields.text(name, LONGEST_VALUE);
    let mut profile = Profile {
        formatted_name: text("name"),
        given_name: text("given_name"),
        middle_name: text("middle_name"),
        family_name: text("family_name"),
        nick_name: text("nickname"),
        profile_url: text("profile"),
        timezone: text("zoneinfo"),
        locale: text("locale"),
        emails: vec![Contact { value: email, kind: None, primary: true }],
        ..Profile::default()
    };
    let phone = text("phone_number");
    profile.phone_numbers =
        phone.map(|value| Contact { value, kind: None, primary: true }).into_iter().collect();
    fields.finish()?;

    let name = name.map_err(|bad| Problem::bad_request(bad.to_string()))?;
    Ok(UserChange { name, password: Some(password), active: true, profile })
}

/// A password may hold whatever a person can type, so it is not read as other texts are.
fn secret(fields: &mut Fields, user_name: &str) -> Secret {
    match fields.value("password") {
        Some(serde_json::Value::String(text)) => {
            if let Err(bad) = password::accept(&text, user_name) {
                fields.blame("password", bad.to_string());
            }
            return Secret::new(text);
        }
        Some(_) => fields.blame("password", "must be a string"),
        None => fields.blame("password", "is required"),
    }
    Secret::new("")
}
