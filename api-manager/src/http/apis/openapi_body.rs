//! What a request says of an OpenAPI document: the document or where it is, and the choices in the query.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, web};
use serde_json::{Map, Value, json};
use shared_claims::field_error::FieldError;
use shared_server::fields::{Fields, bounded_body};
use shared_server::problem::Problem;

use crate::app::App;
use crate::domain::openapi::import::Choices;
use crate::domain::openapi::{Document, LONGEST, Syntax};
use crate::flows;

/// What the query of an import may say.
const CHOICES: [&str; 7] = ["scopes", "context", "version", "name", "tiers", "backend", "sandbox_backend"];
/// The longest URL of a document, in characters.
const LONGEST_URL: usize = 2_000;

/// A body in JSON or YAML.
#[derive(Debug)]
pub(in crate::http) struct Sent {
    body: Vec<u8>,
    syntax: Syntax,
}

impl FromRequest for Sent {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let syntax = content_type(request).as_deref().and_then(syntax_of);
        let mut payload = payload.take();
        Box::pin(async move {
            let Some(syntax) = syntax else {
                let detail = "send Content-Type: application/json or application/yaml";
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
            };
            Ok(Self { body: bounded_body(&mut payload, LONGEST).await?, syntax })
        })
    }
}

fn content_type(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn syntax_of(media: &str) -> Option<Syntax> {
    match media {
        "application/json" => Some(Syntax::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Syntax::Yaml),
        "application/vnd.oai.openapi" => Some(Syntax::Yaml),
        _ if !media.starts_with("application/") => None,
        _ if media.ends_with("+json") => Some(Syntax::Json),
        _ if media.ends_with("+yaml") => Some(Syntax::Yaml),
        _ => None,
    }
}

/// The document that was sent, or that is where the body says; the inner error is what is wrong with it.
///
/// # Errors
/// A [`Problem`]: it cannot or may not be fetched.
pub(super) async fn document(app: &App, sent: Sent) -> Result<Result<Document, FieldError>, Problem> {
    let document = read(sent.body, sent.syntax).await?;
    let Some(url) = document.as_ref().ok().and_then(elsewhere) else { return Ok(document) };
    let url = url?;
    let fetched = flows::fetch_openapi::fetch_openapi(app, &url).await?.to_vec();
    let is_json = fetched.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    read(fetched, if is_json { Syntax::Json } else { Syntax::Yaml }).await
}

/// Away from the threads that answer requests: a long one takes its time.
async fn read(body: Vec<u8>, syntax: Syntax) -> Result<Result<Document, FieldError>, Problem> {
    web::block(move || Document::read(&body, syntax)).await.map_err(|error| Problem::fault(&error))
}

/// The URL of a body that is no document but says where one is.
fn elsewhere(document: &Document) -> Option<Result<String, Problem>> {
    let root = document.root();
    if root.get("url").is_none() || root.get("openapi").is_some() {
        return None;
    }
    let read = || {
        let mut fields = Fields::read(root.to_string().as_bytes())?;
        let url = fields.required_text("url", LONGEST_URL);
        fields.finish().map(|()| url)
    };
    Some(read())
}

/// What the query chooses; `all` says whether members of the API may be chosen too.
///
/// # Errors
/// A [`Problem`] that names every parameter that is wrong.
pub(super) fn choices(request: &HttpRequest, all: bool) -> Result<Choices, Problem> {
    let unreadable = |_| Problem::bad_request("the query cannot be read");
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(unreadable)?
        .into_inner();
    let known = if all { &CHOICES[..] } else { &CHOICES[..1] };
    let mut choices = Choices::default();
    let mut errors = Vec::new();
    let mut seen: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let repeats = name == "backend" || name == "sandbox_backend";
        if !known.contains(&name.as_str()) {
            let detail = format!("is no parameter of this request; the parameters are: {}", known.join(", "));
            errors.push(FieldError::new(shared_claims::oauth::printable(&name), detail));
        } else if repeats {
            let list = seen.entry(name).or_insert_with(|| json!([]));
            list.as_array_mut().into_iter().for_each(|list| list.push(value.clone().into()));
        } else if name == "scopes" && value != "any" {
            errors.push(FieldError::new(name, "must be: any"));
        } else if seen.insert(name.clone(), value.into()).is_some() {
            errors.push(FieldError::new(name, "is there twice"));
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    choices.any_scope = seen.contains_key("scopes");
    for member in ["context", "version", "name"] {
        choices.members.extend(seen.remove(member).map(|value| (member.to_owned(), value)));
    }
    if let Some(tiers) = seen.get("tiers").and_then(Value::as_str) {
        choices.members.insert("tiers".to_owned(), tiers.split(',').map(str::trim).collect());
    }
    if seen.contains_key("backend") || seen.contains_key("sandbox_backend") {
        let list = |name: &str| seen.get(name).cloned().unwrap_or_else(|| json!([]));
        let backends = json!({"production": list("backend"), "sandbox": list("sandbox_backend")});
        choices.members.insert("backends".to_owned(), backends);
    }
    Ok(choices)
}

/// Whether `Accept` likes YAML better than JSON (RFC 9110, section 12.5.1).
pub(super) fn prefers_yaml(request: &HttpRequest) -> bool {
    let ranges = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let (mut json, mut yaml) = (None, None);
    for range in ranges.flat_map(|value| value.split(',')) {
        let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let weight = weight.and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
        match syntax_of(&media.trim().to_ascii_lowercase()) {
            Some(Syntax::Json) => json = Some(weight),
            Some(Syntax::Yaml) => yaml = Some(weight),
            None => {}
        }
    }
    yaml.is_some_and(|yaml| yaml > 0.0 && json.is_none_or(|json| yaml > json))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn yaml_is_sent_to_those_who_like_it_better() {
        let prefers = |accept: &str| {
            prefers_yaml(&TestRequest::default().insert_header((header::ACCEPT, accept)).to_http_request())
        };
        for yaml in
            ["application/yaml", "text/yaml, */*;q=0.1", "application/json;q=0.5, application/yaml;q=0.6"]
        {
            assert!(prefers(yaml), "{yaml}");
        }
        for json in
            ["", "*/*", "application/json", "application/json, application/yaml", "application/yaml;q=0"]
        {
            assert!(!prefers(json), "{json}");
        }
    }

    #[test]
    fn a_misspelt_choice_is_not_lost() {
        let chosen =
            |query: &str, all| choices(&TestRequest::with_uri(&format!("/?{query}")).to_http_request(), all);
        let good =
            chosen("context=pets&tiers=Gold,Silver&backend=https://a&backend=https://b&scopes=any", true);
        let good = good.unwrap();
        assert!(good.any_scope);
        let expected = json!({"context": "pets", "tiers": ["Gold", "Silver"],
            "backends": {"production": ["https://a", "https://b"], "sandbox": []}});
        assert_eq!(Value::Object(good.members), expected);
        for bad in ["contxt=pets", "scopes=all", "context=a&context=b"] {
            assert_eq!(chosen(bad, true).unwrap_err().status(), 422, "{bad}");
        }
        assert_eq!(chosen("context=pets", false).unwrap_err().status(), 422);
    }
}
