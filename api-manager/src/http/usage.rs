//! `GET /api/v1/usage`: what was called, how often, and what it cost.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use shared_claims::clock::UnixTime;
use shared_claims::field_error::FieldError;
use shared_server::listing::Listing;
use shared_server::problem::Problem;
use utoipa::{OpenApi, ToSchema};

use super::caller::Caller;
use super::resource::listed;
use super::resource_at;
use crate::app::App;
use crate::domain::actor::Right;
use crate::domain::ids::{ApiId, ApplicationId};
use crate::domain::usage::{Group, Grouping, Period, Query};
use crate::flows::browse_usage::browse_usage;

const READERS: [Right; 4] = [Right::ViewApis, Right::Subscribe, Right::CreateApis, Right::PublishApis];
const PARAMETERS: [&str; 8] = ["from", "to", "by", "group", "api_id", "application_id", "limit", "after"];
/// The most groups of one page, and where not said.
const MOST: i64 = 1_000;
const USUAL: i64 = 100;
/// The farthest that pages go.
const FARTHEST: i64 = 1_000_000;

/// The route and its description.
#[derive(OpenApi)]
#[openapi(paths(list), components(schemas(UsageReply)))]
pub struct Docs;

/// Mounts the route.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(resource_at("/api/v1/usage", "GET").route(web::get().to(list)));
}

/// The sums of one group; members that it is not grouped by are null.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
struct UsageReply {
    /// When the minute or day began; RFC 3339, UTC.
    starts_at: String,
    /// Empty where no API was reached.
    api_id: Option<String>,
    /// Empty where no application was known.
    application_id: Option<String>,
    /// Method and path as declared; empty where no operation was found.
    #[schema(example = "GET /pets/{id}")]
    operation: Option<String>,
    status: Option<i64>,
    calls: i64,
    /// Answers of 400 and above, and those that broke off.
    errors: i64,
    /// What backends took until the heads of their answers, summed over the calls.
    backend_ms: f64,
    /// What the gateway itself took until the heads of the answers, summed over the calls.
    gateway_ms: f64,
    /// Of request bodies.
    bytes_in: i64,
    /// Of the answers' bodies.
    bytes_out: i64,
}

/// Calls by minute (kept two days) or day (kept 400): of the caller's APIs and applications; administrators see all.
#[utoipa::path(get, path = "/api/v1/usage", tag = "Gateway", params(
    ("from" = Option<String>, Query, description = "RFC 3339; an hour, or 30 days, before `to` where not said"),
    ("to" = Option<String>, Query, description = "RFC 3339, not included; now where not said. At most a day of minutes, or 400 days"),
    ("by" = Option<String>, Query, description = "`minute` or `day` (default)"),
    ("group" = Option<String>, Query, description = "any of `api`, `application`, `operation`, `status`, with commas; `api` where not said"),
    ("api_id" = Option<String>, Query), ("application_id" = Option<String>, Query),
    ("limit" = Option<u32>, Query, description = "1 to 1000; 100 where not said"),
    ("after" = Option<String>, Query, description = "`next` of the page before"),
), responses((status = 200, body = Listing<UsageReply>)))]
async fn list(app: web::Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let actor = caller.with_any(&READERS)?;
    let query = parse(request.query_string(), app.clock.now())?;
    let (grouping, skip, limit) = (query.grouping, query.skip, query.rows);
    // One more than wanted shows whether there is a next page.
    let mut found = browse_usage(&app, actor, Query { rows: limit + 1, ..query }).await?;
    let most = usize::try_from(limit).unwrap_or_default();
    let next = (found.len() > most).then(|| (skip + limit).to_string());
    found.truncate(most);
    let items = found.into_iter().map(|group| UsageReply::of(group, grouping)).collect();
    Ok(listed(&Listing { items, next }))
}

impl UsageReply {
    fn of(group: Group, grouping: Grouping) -> Self {
        let Group { starts_at, api, application, operation, status, totals } = group;
        #[expect(clippy::cast_precision_loss, reason = "a sum that long is not read to the microsecond")]
        let milliseconds = |microseconds: i64| microseconds as f64 / 1_000.0;
        Self {
            starts_at: starts_at.rfc3339(),
            api_id: grouping.api.then_some(api),
            application_id: grouping.application.then_some(application),
            operation: grouping.operation.then_some(operation),
            status: grouping.status.then_some(status),
            calls: totals.calls,
            errors: totals.errors,
            backend_ms: milliseconds(totals.backend_us),
            gateway_ms: milliseconds(totals.gateway_us),
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
        }
    }
}

/// Reads the whole query and names everything that is wrong with it.
fn parse(query: &str, now: UnixTime) -> Result<Query, Problem> {
    let unreadable = |_| Problem::bad_request("the query cannot be read");
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(unreadable)?.into_inner();
    let mut asked = Asked { pairs, errors: Vec::new() };
    asked.blame_unknown();
    let period = asked.read("by", "must be minute or day", |text| {
        Period::ALL.into_iter().find(|period| period.as_str() == text)
    });
    let period = period.unwrap_or(Period::Day);
    let moment = "must be a moment as in 2026-01-31T12:00:00Z (RFC 3339)";
    let to = asked.read("to", moment, UnixTime::parse_rfc3339).unwrap_or(now.plus(1));
    let usual = match period {
        Period::Minute => 3_600,
        Period::Day => 30 * 86_400,
    };
    let from = asked.read("from", moment, UnixTime::parse_rfc3339).unwrap_or(to.minus(usual));
    let words = "must be some of api, application, operation and status, with commas between";
    let grouping =
        asked.read("group", words, grouping).unwrap_or(Grouping { api: true, ..Grouping::default() });
    let id = "must be an id: a UUID in lower case with hyphens";
    let api = asked.read("api_id", id, ApiId::parse);
    let application = asked.read("application_id", id, ApplicationId::parse);
    let number = |bounds: std::ops::RangeInclusive<i64>| {
        move |text: &str| text.parse::<i64>().ok().filter(|number| bounds.contains(number))
    };
    let rows = asked.read("limit", "must be a whole number from 1 to 1000", number(1..=MOST));
    let skip = asked.read("after", "must be the next of the page before", number(0..=FARTHEST));
    if from >= to {
        asked.blame("from", "must be before to");
    } else if to.since(from) > period.longest_range() {
        let longest = match period {
            Period::Minute => "at most a day before to, with by=minute",
            Period::Day => "at most 400 days before to",
        };
        asked.blame("from", &format!("must be {longest}"));
    }
    if !asked.errors.is_empty() {
        return Err(Problem::fields(asked.errors));
    }
    // A period that began before `from` holds moments of it.
    let from = period.start_of(from);
    let (rows, skip) = (rows.unwrap_or(USUAL), skip.unwrap_or(0));
    Ok(Query { period, from, to, grouping, api, application, owner: None, skip, rows })
}

fn grouping(text: &str) -> Option<Grouping> {
    let mut grouping = Grouping::default();
    for word in text.split(',') {
        let member = match word {
            "api" => &mut grouping.api,
            "application" => &mut grouping.application,
            "operation" => &mut grouping.operation,
            "status" => &mut grouping.status,
            _ => return None,
        };
        *member = true;
    }
    Some(grouping)
}

struct Asked {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Asked {
    fn blame(&mut self, name: &str, detail: &str) {
        self.errors.push(FieldError::new(name, detail));
    }

    fn blame_unknown(&mut self) {
        let unknown = self.pairs.iter().filter(|(name, _)| !PARAMETERS.contains(&name.as_str())).take(20);
        let unknown: Vec<String> = unknown.map(|(name, _)| shared_claims::oauth::printable(name)).collect();
        for name in unknown {
            self.blame(&name, &format!("is not a parameter; the parameters are: {}", PARAMETERS.join(", ")));
        }
    }

    fn read<T>(&mut self, name: &str, fault: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut values =
            self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let (first, second) = (values.next()?, values.next());
        let read = if second.is_some() { None } else { parse(first) };
        if read.is_none() {
            self.blame(name, fault);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_030);

    fn blamed(query: &str) -> Vec<String> {
        parse(query, NOW).unwrap_err().errors().iter().map(|error| error.field.clone()).collect()
    }

    #[test]
    fn every_bad_parameter_is_named_at_once() {
        let query = "from=x&to=y&by=hour&group=api,colour&api_id=1&application_id=2&limit=0&after=-1&extra=1";
        let mut blamed = blamed(query);
        blamed.sort();
        assert_eq!(
            blamed,
            ["after", "api_id", "application_id", "by", "extra", "from", "group", "limit", "to"]
        );
        assert_eq!(super::tests::blamed("by=day&by=day"), ["by"]);
    }

    #[test]
    fn ranges_are_bounded_and_begin_with_a_whole_period() {
        assert_eq!(blamed("by=minute&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:01Z"), ["from"]);
        assert_eq!(blamed("from=2025-01-01T00:00:00Z&to=2026-12-01T00:00:00Z"), ["from"]);
        assert_eq!(blamed("from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z"), ["from"]);
        let query = parse("by=minute", NOW).unwrap();
        assert_eq!((query.from.0, query.to.0), (1_799_996_400, 1_800_000_031));
        assert!(query.grouping.api && query.rows == 100 && query.skip == 0);
        assert!(parse("", NOW).is_ok());
    }
}
