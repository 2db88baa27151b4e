//! An API as a publisher sends it.

use shared_claims::scope::{ScopeSet, is_scope_token};
use shared_server::fields::Fields;

use super::{backends, caching, security, transforms, transport};
use crate::domain::api::{
    Cors, Definition, Operation, OperationAuth, Timeouts, Visibility, cors, operation, place,
};
use crate::http::resource;

/// The most operations of one API.
const MOST_OPERATIONS: usize = 200;
/// The most tiers or tags of one API.
const MOST_WORDS: usize = 20;
/// The bounds of each timeout, in milliseconds.
const TIMEOUTS: std::ops::RangeInclusive<i64> = 100..=600_000;
/// What a caller may send back after reading it, and what is not changed by that.
const READ_ONLY: [&str; 5] = ["id", "state", "owner", "created_at", "updated_at"];

/// The members of the body. Where one is bad its value here is a stand-in: `Fields::finish` is asked before it is used.
pub(super) struct Form {
    pub(super) name: String,
    pub(super) context: Option<String>,
    pub(super) version: Option<String>,
    pub(super) definition: Definition,
}

/// Reads every member and notes what is wrong.
pub(super) fn read(fields: &mut Fields) -> Form {
    let name = resource::name(fields);
    let context = parsed(fields, "context", place::parse_context);
    let version = parsed(fields, "version", place::parse_version);
    let definition = definition(fields);
    fields.ignore(&READ_ONLY);
    Form { name, context, version, definition }
}

/// A version that must be there.
pub(super) fn required_version(fields: &mut Fields) -> Option<String> {
    if !fields.has("version") {
        fields.blame("version", "is required");
    }
    parsed(fields, "version", place::parse_version)
}

fn parsed(
    fields: &mut Fields,
    name: &'static str,
    parse: impl Fn(&str) -> Result<String, &'static str>,
) -> Option<String> {
    match parse(&fields.text(name, 1_000)?) {
        Ok(value) => Some(value),
        Err(fault) => {
            fields.blame(name, fault);
            None
        }
    }
}

fn definition(fields: &mut Fields) -> Definition {
    let backends = fields.object("backends", backends::read).unwrap_or_default();
    let definition = Definition {
        description: resource::description(fields),
        transport: transport::read(fields, &backends),
        backends,
        operations: operations(fields),
        tiers: tiers(fields),
        tags: distinct(fields, "tags"),
        visibility: fields
            .word("visibility", &[("public", Visibility::Public), ("private", Visibility::Private)])
            .unwrap_or(Visibility::Public),
        cors: fields.object("cors", read_cors),
        security: security::read(fields),
        backend_jwt: fields.flag("backend_jwt").unwrap_or(false),
        limit_tier: fields.text("limit_tier", 60),
        backend_jwt_header: transforms::assertion_header(fields),
        transforms: transforms::read(fields),
        max_tps: fields.integer("max_tps", 1..=1_000_000).and_then(|most| u32::try_from(most).ok()),
        timeouts: fields.object("timeouts", timeouts).unwrap_or_default(),
        forward_authorization: fields.flag("forward_authorization").unwrap_or(false),
        default_version: fields.flag("default_version").unwrap_or(false),
        mock: fields.flag("mock").unwrap_or(false),
        validate_requests: fields.flag("validate_requests").unwrap_or(false),
    };
    transforms::blame_taken(fields, &definition);
    definition
}

fn tiers(fields: &mut Fields) -> Vec<String> {
    let was_sent = fields.has("tiers");
    if !was_sent {
        fields.blame("tiers", "is required; name at least one tier, such as Unlimited");
    }
    let tiers = distinct(fields, "tiers");
    if was_sent && tiers.is_empty() {
        fields.blame("tiers", "must name at least one tier, such as Unlimited");
    }
    tiers
}

fn distinct(fields: &mut Fields, name: &'static str) -> Vec<String> {
    let words = fields.texts(name, MOST_WORDS, 60, false).unwrap_or_default();
    for (place, word) in words.iter().enumerate() {
        if words.iter().take(place).any(|earlier| earlier == word) {
            fields.blame(&format!("{name}[{place}]"), "is there twice");
        }
    }
    words
}

/// Where no operations are sent, everything may be called, with a token.
fn operations(fields: &mut Fields) -> Vec<Operation> {
    let was_sent = fields.has("operations");
    let operations = fields.objects("operations", MOST_OPERATIONS, read_operation);
    let Some(operations) = operations else {
        return if was_sent { Vec::new() } else { vec![Operation::new("*", "/*")] };
    };
    if operations.is_empty() {
        fields.blame("operations", "must name at least one; leave it out to allow every method and path");
    }
    for (place, member, fault) in operation::faults(&operations) {
        fields.blame(&format!("operations[{place}].{member}"), fault);
    }
    operations
}

fn read_operation(fields: &mut Fields) -> Operation {
    let method = fields.required_text("method", 20);
    let method = operation::parse_method(&method).unwrap_or_else(|fault| {
        if !method.is_empty() {
            fields.blame("method", fault);
        }
        method
    });
    let path = fields.required_text("path", 1_000);
    let path = operation::parse_path(&path).unwrap_or_else(|fault| {
        if !path.is_empty() {
            fields.blame("path", fault);
        }
        path
    });
    let scopes = fields.texts("scopes", operation::MOST_SCOPES, 255, false).unwrap_or_default();
    blame_each(fields, "scopes", &scopes, |scope| {
        if is_scope_token(scope) {
            Ok(())
        } else {
            Err("must be printable ASCII without spaces, quotes and backslashes")
        }
    });
    let auth = OperationAuth::ALL.map(|auth| (auth.as_str(), auth));
    let auth = fields.word("auth", &auth).unwrap_or(OperationAuth::Token);
    let tier = fields.text("tier", 60);
    let rewrite = transforms::rewrite(fields, &path);
    let scopes = ScopeSet::from_tokens(scopes).unwrap_or_default();
    let (transforms, cache) = (transforms::read(fields), caching::read(fields));
    let operation = Operation { method, path, scopes, auth, tier, rewrite, transforms, cache };
    if let Some(fault) =
        crate::domain::api::caching::fault(&operation).filter(|_| !fields.is_blamed("method"))
    {
        fields.blame("cache", fault);
    }
    operation
}

fn read_cors(fields: &mut Fields) -> Cors {
    let before = fields.has("allow_origins");
    let allow_origins = fields.texts("allow_origins", 50, 300, false).unwrap_or_default();
    blame_each(fields, "allow_origins", &allow_origins, |origin| cors::parse_origin(origin).map(drop));
    let allow_headers = fields.texts("allow_headers", 50, 100, false).unwrap_or_default();
    blame_each(fields, "allow_headers", &allow_headers, |header| cors::parse_header(header).map(drop));
    let allow_credentials = fields.flag("allow_credentials").unwrap_or(false);
    let cors = Cors { allow_origins, allow_headers, allow_credentials };
    for (member, fault) in cors.faults() {
        // A list that could not be read has been blamed for that already.
        if member != "allow_origins" || !before || cors.allow_origins.is_empty() {
            fields.blame(member, fault);
        }
    }
    cors
}

fn timeouts(fields: &mut Fields) -> Timeouts {
    let default = Timeouts::default();
    let mut read = |name, default| {
        fields
            .integer(name, TIMEOUTS)
            .and_then(|milliseconds| u32::try_from(milliseconds).ok())
            .unwrap_or(default)
    };
    Timeouts {
        connect: read("connect", default.connect),
        first_byte: read("first_byte", default.first_byte),
        idle: read("idle", default.idle),
    }
}

fn blame_each(
    fields: &mut Fields,
    name: &str,
    values: &[String],
    check: impl Fn(&str) -> Result<(), &'static str>,
) {
    for (place, value) in values.iter().enumerate() {
        if let Err(fault) = check(value) {
            fields.blame(&format!("{name}[{place}]"), fault);
        }
    }
}
