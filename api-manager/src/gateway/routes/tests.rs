//! Which place a path leads to; with the fixtures that the other tests of the gateway share.

use shared_claims::clock::{Clock, UnixTime};
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_claims::signature::Algorithm;

use super::*;
use crate::backend_states::BackendStates;
use crate::domain::api::{self, Definition, Operation};
use crate::domain::application::KeyType;
use crate::domain::grant::{AssertionOrigin, Grant, Lineage};
use crate::domain::identity_provider::Replay;
use crate::domain::ids::GrantId;
use crate::domain::lifecycle::State;
use crate::domain::subscription::SubscriptionState;
use crate::gateway::clients::Clients;
use crate::gateway::limits::Buckets;
use crate::gateway::upstream::Upstreams;

const NOW: UnixTime = UnixTime(500);

/// An API at `/pets/1.0` with one operation for everything.
pub(crate) fn api() -> Api {
    Api {
        id: ApiId::generate(),
        name: "pets".to_owned(),
        context: "pets".to_owned(),
        version: "1.0".to_owned(),
        state: State::Published,
        owner: "publisher".to_owned(),
        definition: Definition {
            backends: api::Backends {
                production: vec!["http://pets.example/v1".into()],
                ..api::Backends::default()
            },
            operations: vec![Operation::new("*", "/*")],
            ..Definition::default()
        },
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
    }
}

pub(crate) fn provider(enabled: bool) -> IdentityProvider {
    IdentityProvider {
        id: IdentityProviderId::generate(),
        name: "https://idp.example".to_owned(),
        issuer: "https://idp.example".to_owned(),
        alias: "us".to_owned(),
        certificates: Vec::new(),
        jwks_uri: None,
        enabled,
        algorithms: vec![Algorithm::RS256],
        replay: Replay::SingleUse,
        max_assertion_lifetime: 86_400,
        scopes: None,
        outlive_assertion: false,
        management: false,
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
    }
}

/// A live grant about alice.
pub(crate) fn grant(application: ApplicationId, provider: IdentityProviderId) -> Grant {
    let id = GrantId::generate();
    Grant {
        id,
        access_digest: Digest::of(id.as_bytes()),
        refresh: None,
        consumer_key: "key".to_owned(),
        application_id: application,
        key_type: KeyType::Production,
        subject: "alice".to_owned(),
        scopes: ScopeSet::default(),
        issued_at: NOW,
        expires_at: NOW.plus(3_600),
        lineage: Lineage {
            assertion: Some(AssertionOrigin {
                identity_provider_id: provider,
                issuer: "https://idp.example".to_owned(),
                key_thumbprint: "thumbprint".to_owned(),
                jti: Some("jti".to_owned()),
                digest: Digest::of(b"assertion"),
            }),
            family: id,
            parent: None,
        },
        revoked_at: None,
    }
}

/// One API and what surrounds it.
pub(crate) struct World {
    pub(crate) api: Api,
    subscriptions: Vec<Terms>,
    providers: Vec<IdentityProvider>,
}

impl Default for World {
    fn default() -> Self {
        Self { api: api(), subscriptions: Vec::new(), providers: Vec::new() }
    }
}

impl World {
    pub(crate) fn provides(&mut self, provider: IdentityProvider) {
        self.providers.push(provider);
    }

    pub(crate) fn provider_id(&self) -> IdentityProviderId {
        self.providers[0].id
    }

    pub(crate) fn disables_provider(&mut self) {
        self.providers[0].enabled = false;
    }

    pub(crate) fn subscribes(&mut self, application: ApplicationId, state: SubscriptionState) {
        self.subscriptions.retain(|other| other.application_id != application);
        let (api_id, tier) = (self.api.id, "Gold".to_owned());
        self.subscriptions.push(Terms { application_id: application, api_id, tier, state });
    }

    pub(crate) fn table(&self) -> RouteTable {
        compile(Sources {
            apis: vec![self.api.clone()],
            subscriptions: self.subscriptions.clone(),
            identity_providers: self.providers.clone(),
            ..Sources::default()
        })
    }
}

fn with_parts<T>(work: impl FnOnce(&Parts<'_>) -> T) -> T {
    let settings = crate::settings::Settings::for_tests(std::path::Path::new("/nowhere"));
    let clients = Clients::new(1, settings.outbound(std::time::Duration::from_secs(1))).unwrap();
    let upstreams = Upstreams::new(Arc::new(BackendStates::new(Clock::System)));
    let buckets = Buckets::new(Clock::System);
    work(&Parts { clients: &clients, buckets: &buckets, upstreams: &upstreams })
}

fn compile(sources: Sources) -> RouteTable {
    with_parts(|parts| RouteTable::compile(sources, parts))
}

fn table(places: &[(&str, &str, bool)]) -> RouteTable {
    let apis = places.iter().map(|(context, version, default_version)| {
        let mut api = api();
        (api.context, api.version) = ((*context).to_owned(), (*version).to_owned());
        api.definition.default_version = *default_version;
        api.definition.backends.production =
            vec![format!("http://{}.example", version.replace('.', "-")).into()];
        api
    });
    compile(Sources { apis: apis.collect(), ..Sources::default() })
}

fn found(table: &RouteTable, path: &str) -> Option<(String, String)> {
    table.find(path).map(|found| (found.prefix.to_owned(), found.rest.to_owned()))
}

fn at(prefix: &str, rest: &str) -> Option<(String, String)> {
    Some((prefix.to_owned(), rest.to_owned()))
}

#[test]
fn an_api_is_matched_on_whole_segments() {
    let table = table(&[("a", "1", false)]);
    assert_eq!(found(&table, "/a/1/x/y"), at("/a/1", "/x/y"));
    assert_eq!(found(&table, "/a/1"), at("/a/1", ""));
    assert_eq!(found(&table, "/a/1/"), at("/a/1", "/"));
    for path in ["/a", "/a/", "/ab/1", "/a/10", "/A/1", "/x/a/1", "/", ""] {
        assert_eq!(found(&table, path), None, "{path}");
    }
}

#[test]
fn the_longest_place_wins() {
    let table = table(&[("a", "1", false), ("a/1", "2", false), ("a/1/2/3", "4", false)]);
    assert_eq!(found(&table, "/a/1/2/x"), at("/a/1/2", "/x"));
    assert_eq!(found(&table, "/a/1/2/3/4/5"), at("/a/1/2/3/4", "/5"));
    assert_eq!(found(&table, "/a/1/2/3/5"), at("/a/1/2", "/3/5"));
    assert_eq!(found(&table, "/a/1/3"), at("/a/1", "/3"));
}

#[test]
fn a_default_version_answers_without_its_version_but_never_for_another() {
    let table = table(&[("a", "1", false), ("a", "2", true), ("b", "1", true), ("b/1", "1", false)]);
    assert_eq!(found(&table, "/a/x"), at("/a", "/x"));
    assert_eq!(found(&table, "/a/1/x"), at("/a/1", "/x"));
    assert_eq!(found(&table, "/b/1/x"), at("/b/1", "/x"));
    assert_eq!(found(&table, "/b/1/1/x"), at("/b/1/1", "/x"));
}

#[test]
fn an_empty_table_finds_nothing() {
    assert_eq!(found(&RouteTable::default(), "/a/1"), None);
}

#[test]
fn one_of_ten_thousand_apis_is_found_and_none_where_the_path_is_deep() {
    let places: Vec<(String, String)> =
        (0..10_000).map(|n| (format!("api{n}/sub"), "1.0".to_owned())).collect();
    let places: Vec<(&str, &str, bool)> =
        places.iter().map(|(c, v)| (c.as_str(), v.as_str(), false)).collect();
    let table = table(&places);
    assert_eq!(table.len(), 10_000);
    assert_eq!(found(&table, "/api9999/sub/1.0/x"), at("/api9999/sub/1.0", "/x"));
    assert_eq!(found(&table, &"/x".repeat(5_000)), None);
}

/// What a table makes of every path that matters to [`a_table_that_was_changed_step_by_step_is_what_one_of_everything_is`].
fn answers(table: &RouteTable, applications: &[ApplicationId]) -> Vec<String> {
    let paths = ["/a/x", "/a/1/x", "/a/2/x", "/a/3/x", "/b/x", "/b/1/x", "/c/1/x"];
    let mut answers: Vec<String> = paths
        .iter()
        .map(|path| {
            let found = table.find(path).map(|found| (found.prefix, found.route.id, found.route.revision));
            format!("{path} {found:?}")
        })
        .collect();
    for id in applications {
        let rights = table.routes().filter_map(|route| {
            let right = table.subscriber(*id)?.at(route.id)?;
            Some((route.id, right.state, right.tier.name.to_string()))
        });
        let mut rights: Vec<_> = rights.collect();
        rights.sort_by_key(|(api, ..)| *api);
        answers.push(format!("{rights:?}"));
    }
    answers.push(format!("{} {}", table.len(), table.asks_for_certificates()));
    answers
}

#[test]
fn a_table_that_was_changed_step_by_step_is_what_one_of_everything_is() {
    let place = |context: &str, version: &str, default_version: bool, seconds: i64| {
        let mut api = api();
        (api.context, api.version) = (context.to_owned(), version.to_owned());
        api.definition.default_version = default_version;
        api.created_at = UnixTime(seconds);
        api
    };
    let mut apis = vec![
        place("a", "1", true, 1),
        place("a", "2", true, 2),
        place("b", "1", false, 3),
        place("c", "1", true, 4),
    ];
    let applications = [ApplicationId::generate(), ApplicationId::generate()];
    let mut terms: Vec<Terms> = Vec::new();
    let everything = |apis: &[Api], terms: &[Terms]| {
        compile(Sources { apis: apis.to_vec(), subscriptions: terms.to_vec(), ..Sources::default() })
    };
    let mut table = everything(&apis, &terms);

    // Each step changes what storage would hold, and says of what a gateway would hear that it has changed.
    type Step<'s> = (&'s str, Box<dyn Fn(&mut Vec<Api>, &mut Vec<Terms>) -> Vec<ApiId> + 's>);
    let of = |application: usize, api: &Api, state| Terms {
        application_id: applications[application],
        api_id: api.id,
        tier: "Gold".to_owned(),
        state,
    };
    let steps: Vec<Step<'_>> = vec![
        (
            "a revision",
            Box::new(|apis, _| {
                apis[2].revision = 7;
                vec![apis[2].id]
            }),
        ),
        (
            "the default leaves service",
            Box::new(|apis, _| {
                apis[1].state = State::Retired;
                vec![apis[1].id]
            }),
        ),
        (
            "a newer default",
            Box::new(|apis, _| {
                apis.push(place("a", "3", true, 9));
                vec![apis[4].id]
            }),
        ),
        (
            "b answers without its version, and takes certificates",
            Box::new(|apis, _| {
                apis[2].definition.default_version = true;
                apis[2].definition.security =
                    crate::domain::scheme::Schemes::of(&crate::domain::scheme::Scheme::ALL);
                vec![apis[2].id]
            }),
        ),
        (
            "somebody subscribes",
            Box::new(|apis, terms| {
                terms.push(of(0, &apis[0], SubscriptionState::Active));
                terms.push(of(0, &apis[2], SubscriptionState::Active));
                terms.push(of(1, &apis[0], SubscriptionState::Active));
                Vec::new()
            }),
        ),
        (
            "is blocked, and ends another subscription",
            Box::new(|apis, terms| {
                terms[0].state = SubscriptionState::Blocked;
                terms.remove(2);
                vec![apis[0].id]
            }),
        ),
        (
            "two go at once",
            Box::new(|apis, _| {
                let gone: Vec<ApiId> = apis.drain(2..4).map(|api| api.id).collect();
                gone
            }),
        ),
    ];
    for (name, step) in steps {
        let changed = step(&mut apis, &mut terms);
        let delta = Delta {
            revision: table.revision + 1,
            apis: changed.into_iter().map(|id| (id, apis.iter().find(|api| api.id == id).cloned())).collect(),
            applications: applications
                .iter()
                .map(|id| {
                    (*id, None, terms.iter().filter(|one| one.application_id == *id).cloned().collect())
                })
                .collect(),
            ..Delta::default()
        };
        table = with_parts(|parts| table.changed(delta, parts));
        assert_eq!(
            answers(&table, &applications),
            answers(&everything(&apis, &terms), &applications),
            "{name}"
        );
    }
}
