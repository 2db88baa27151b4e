//! The pure parts of the hot paths, each by itself: no clock, no I/O, nothing but the decision.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be prepared ends")]

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_manager::backend_states::BackendStates;
use api_manager::domain::api::{Api, Backends, Definition, Operation};
use api_manager::domain::application::KeyType;
use api_manager::domain::by_grant::ByGrant;
use api_manager::domain::grant::{AssertionOrigin, Grant, Lineage};
use api_manager::domain::identity_provider::{Draft, IdentityProvider};
use api_manager::domain::ids::{ApiId, ApplicationId, GrantId, IdentityProviderId};
use api_manager::domain::lifecycle::State;
use api_manager::domain::principal::Principal;
use api_manager::domain::subscription::{SubscriptionState, Terms};
use api_manager::gateway::admission::{Token, admit};
use api_manager::gateway::clients::Clients;
use api_manager::gateway::credentials::CalledFrom;
use api_manager::gateway::limits::Buckets;
use api_manager::gateway::path::canonical;
use api_manager::gateway::route::Parts;
use api_manager::gateway::routes::{RouteTable, Sources};
use api_manager::gateway::upstream::Upstreams;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use serde_json::json;
use shared_claims::claims::ClaimSet;
use shared_claims::clock::{Clock, UnixTime};
use shared_claims::opaque::{OpaqueToken, presented};
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// A table of so many APIs, `/api-0/1.0` and so on, to all of which one application has subscribed.
struct World {
    table: RouteTable,
    caller: Principal,
}

fn provider() -> IdentityProvider {
    let draft = Draft {
        name: "https://idp.example".to_owned(),
        alias: "client-1".to_owned(),
        jwks_uri: Some("https://idp.example/jwks".to_owned()),
        ..Draft::default()
    };
    IdentityProvider::register(IdentityProviderId::generate(), draft.check(false, NOW).unwrap(), NOW)
}

fn api(number: usize) -> Api {
    let operations =
        [("GET", "/cats"), ("GET", "/cats/{id}"), ("GET", "/cats/{id}/toys/*"), ("POST", "/cats")];
    Api {
        id: ApiId::generate(),
        name: format!("api {number}"),
        context: format!("api-{number}"),
        version: "1.0".to_owned(),
        state: State::Published,
        owner: "publisher".to_owned(),
        definition: Definition {
            backends: Backends { production: vec!["http://backend.example".into()], ..Backends::default() },
            operations: operations.map(|(method, path)| Operation::new(method, path)).into(),
            ..Definition::default()
        },
        created_at: NOW,
        updated_at: NOW,
        revision: 1,
    }
}

impl World {
    fn of(apis: usize) -> Self {
        let (provider, application) = (provider(), ApplicationId::generate());
        let apis: Vec<Api> = (0..apis).map(api).collect();
        let subscriptions = apis.iter().map(|api| Terms {
            application_id: application,
            api_id: api.id,
            tier: "Gold".to_owned(),
            state: SubscriptionState::Active,
        });
        let caller = Principal::Grant(ByGrant::of(&grant(application, provider.id)));
        let sources = Sources {
            subscriptions: subscriptions.collect(),
            apis,
            identity_providers: vec![provider],
            ..Sources::default()
        };
        let settings = api_manager::Settings::for_tests(Path::new("/nowhere"));
        let clients = Clients::new(1, settings.outbound(Duration::from_secs(1))).unwrap();
        let upstreams = Upstreams::new(Arc::new(BackendStates::new(Clock::System)));
        let buckets = Buckets::new(Clock::System);
        let parts = Parts { clients: &clients, buckets: &buckets, upstreams: &upstreams };
        let table = RouteTable::compile(sources, &parts);
        Self { table, caller }
    }
}

fn grant(application: ApplicationId, provider: IdentityProviderId) -> Grant {
    let id = GrantId::generate();
    let origin = AssertionOrigin {
        identity_provider_id: provider,
        issuer: "https://idp.example".to_owned(),
        key_thumbprint: "thumbprint".to_owned(),
        jti: Some("jti".to_owned()),
        digest: Digest::of(b"assertion"),
    };
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
        lineage: Lineage { assertion: Some(origin), family: id, parent: None },
        revoked_at: None,
    }
}

fn route_match(criterion: &mut Criterion) {
    for apis in [1, 5_000] {
        let world = World::of(apis);
        let path = format!("/api-{}/1.0/cats/7/toys/ball", apis - 1);
        criterion.bench_function(&format!("route match, {apis} APIs"), |bencher| {
            bencher.iter(|| {
                let path = canonical(black_box(&path)).unwrap();
                let found = world.table.find(&path).unwrap();
                found.route.operations.find(&Method::GET, found.rest).map(|declared| declared.is_open).ok()
            });
        });
    }
}

fn admission(criterion: &mut Criterion) {
    let world = World::of(1);
    let found = world.table.find("/api-0/1.0/cats").unwrap();
    let operation = &found.route.operations.find(&Method::GET, found.rest).unwrap().operation;
    let from = CalledFrom { peer: IpAddr::from([192, 0, 2, 1]), page: None };
    criterion.bench_function("admission", |bencher| {
        bencher.iter(|| {
            let token = Token::Known(black_box(&world.caller), &from);
            admit(&world.table, found.route, operation, token, black_box(NOW)).is_ok()
        });
    });
}

fn claims(criterion: &mut Criterion) {
    let provider = provider();
    let members = json!({
        "iss": "https://idp.example", "sub": "alice", "aud": ["client-1"], "iat": NOW.0, "exp": NOW.0 + 600, "jti": "1",
    });
    let claims = ClaimSet::from(members.as_object().unwrap().clone());
    let digest = Digest::of(b"signed part");
    criterion.bench_function("claims", |bencher| {
        bencher.iter(|| provider.accept(black_box(&claims), digest, black_box(NOW)).is_ok());
    });
}

fn token(criterion: &mut Criterion) {
    let token = OpaqueToken::generate().unwrap();
    let junk = token.expose().to_uppercase();
    criterion.bench_function("token parse and digest", |bencher| {
        bencher.iter(|| presented(black_box(token.expose().as_bytes())));
    });
    criterion.bench_function("token that is none", |bencher| {
        bencher.iter(|| presented(black_box(junk.as_bytes())));
    });
}

criterion_group!(pure, route_match, admission, claims, token);
criterion_main!(pure);
