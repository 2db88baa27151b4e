//! Deny rules keep callers away at once, on every node, and end what is live.

use std::time::Duration;

use api_manager::domain::deny::{AddressRange, Conditions, DenyRule, Draft, Subject};
use api_manager::storage::deny_rules;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::backend::Backend;
use super::websocket::{frame, parrot, rest, says};
use super::{Answer, NOW, World, api, grant, grant_for_alice, operation};

const DENIED: (u16, &str) = (403, "900805");

fn rule(conditions: Conditions) -> DenyRule {
    let draft = Draft { conditions, enabled: true, reason: "secret reason".to_owned(), expires_at: None };
    draft.into_rule(NOW)
}

fn by_address(range: &str) -> Conditions {
    Conditions { addresses: Some(AddressRange::parse(range).unwrap()), ..Conditions::default() }
}

fn by_subject(name: &str, issuer: Option<&str>) -> Conditions {
    let subject = Subject { name: name.to_owned(), issuer: issuer.map(str::to_owned) };
    Conditions { subject: Some(subject), ..Conditions::default() }
}

fn is_denied(answer: &Answer) -> bool {
    let (status, code) = answer.refusal();
    (status, &*code) == DENIED
}

impl World {
    async fn denies(&self, conditions: Conditions) -> DenyRule {
        let rule = rule(conditions);
        let row = rule.clone();
        self.changes(move |connection| deny_rules::insert(connection, &row)).await;
        rule
    }

    async fn allows_again(&self, rule: DenyRule) {
        self.changes(move |connection| deny_rules::delete(connection, rule.id, rule.revision)).await;
    }
}

#[tokio::test]
async fn a_denied_address_is_403_with_900805_until_the_rule_goes() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;

    let rule = world.denies(by_address("127.0.0.0/8")).await;
    let answer = world.calls("/pets/1.0/", &token).await;

    assert_eq!(answer.refusal(), (403, "900805".to_owned()));
    assert!(answer.text.contains("Message blocked") && !answer.text.contains("secret reason"), "{answer:?}");
    assert_eq!(backend.hits(), 0);
    // Before credentials are looked at: guessing tokens costs a denied address's owner the database nothing.
    let asked = world.gateway.grants_asked();
    assert!(is_denied(&world.calls("/pets/1.0/", "0e5a2d4c-0000-4000-8000-000000000000").await));
    assert_eq!(world.gateway.grants_asked(), asked);

    world.allows_again(rule).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, StatusCode::OK);
    world.denies(by_address("203.0.113.0/24")).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_caller_says_of_its_address_counts_for_nothing() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    world.denies(by_address("203.0.113.0/24")).await;
    let mut request = world.request(http::Method::GET, "/pets/1.0/", &token);
    request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
    request.headers_mut().insert("forwarded", "for=203.0.113.9".parse().unwrap());

    assert_eq!(world.sends(request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_application_a_subject_and_an_api_are_denied_and_their_neighbours_are_not() {
    let backend = Backend::echo().await;
    let (world, pets, other_token) = World::with_pets(&backend.url).await;
    let mut cats = api("cats", &backend.url);
    let mut open = operation("GET", "/open");
    open.auth = api_manager::domain::api::OperationAuth::None;
    cats.definition.operations.push(open);
    let cats = world.publishes(cats).await;
    let provider = world.trusts("https://idp.example").await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    world.subscribes(application, &cats).await;
    let own = world.issues(grant(application)).await;
    let alice = world.issues(grant_for_alice(application, &provider)).await;
    let denied = async |path: &str, token: &str| is_denied(&world.calls(path, token).await);

    let rule = world.denies(Conditions { application: Some(application), ..Conditions::default() }).await;
    assert!(denied("/pets/1.0/", &own).await && denied("/cats/1.0/", &alice).await);
    assert!(!denied("/pets/1.0/", &other_token).await && !denied("/cats/1.0/open", &own).await);
    world.allows_again(rule).await;

    let rule = world.denies(by_subject("alice", Some("https://idp.example"))).await;
    assert!(denied("/pets/1.0/", &alice).await && !denied("/pets/1.0/", &own).await);
    world.allows_again(rule).await;
    let rule = world.denies(by_subject("alice", Some("https://other.example"))).await;
    assert!(!denied("/pets/1.0/", &alice).await);
    world.allows_again(rule).await;
    let rule = world.denies(by_subject("alice", None)).await;
    assert!(denied("/pets/1.0/", &alice).await);
    world.allows_again(rule).await;

    let rule = world.denies(Conditions { api: Some(cats.id), ..Conditions::default() }).await;
    assert!(denied("/cats/1.0/", &own).await && denied("/cats/1.0/open", "").await);
    assert!(!denied("/pets/1.0/", &own).await);
    world.allows_again(rule).await;

    let both = Conditions { application: Some(application), api: Some(cats.id), ..by_address("127.0.0.1") };
    world.denies(both).await;
    assert!(denied("/cats/1.0/", &own).await && !denied("/pets/1.0/", &own).await);
}

#[tokio::test]
async fn a_rule_ends_at_its_time_and_a_disabled_one_denies_nobody() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    let mut passing = rule(by_address("127.0.0.1"));
    passing.expires_at = Some(NOW.plus(60));
    let mut disabled = rule(by_address("127.0.0.1"));
    disabled.enabled = false;
    world
        .changes(move |connection| {
            deny_rules::insert(connection, &passing)?;
            deny_rules::insert(connection, &disabled)
        })
        .await;

    assert!(is_denied(&world.calls("/pets/1.0/", &token).await));
    world.app.clock.advance(60);
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rule_made_on_another_node_holds_within_a_second() {
    let backend = Backend::echo().await;
    let (world, _, token) = World::with_pets(&backend.url).await;
    assert_eq!(world.calls("/pets/1.0/", &token).await.status, StatusCode::OK);
    let rule = rule(by_address("127.0.0.1"));

    world.changes_elsewhere(move |connection| deny_rules::insert(connection, &rule)).await;

    let began = Instant::now();
    let denied = async { while !is_denied(&world.calls("/pets/1.0/", &token).await) {} };
    timeout(Duration::from_secs(10), denied).await.unwrap();
    // The backlog of a test machine is allowed for.
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
}

/// Whether the WebSocket is closed with 1008.
async fn is_closed(socket: &mut TcpStream) -> bool {
    let heard = rest(socket).await;
    heard.first() == Some(&0x88) && heard.get(2..4) == Some(&[0x03, 0xf0])
}

#[tokio::test]
async fn live_connections_end_when_their_caller_or_address_is_denied() {
    let backend = parrot().await;
    let (world, pets, bystander) = World::with_pets(&backend.url).await;
    let application = world.application().await;
    world.subscribes(application, &pets).await;
    let token = world.issues(grant(application)).await;
    let mut other = world.opens("/pets/1.0/", &bystander).await;
    let mut socket = world.opens("/pets/1.0/", &token).await;
    says(&mut socket, &frame(0x81, b"hello")).await;

    world.denies(Conditions { application: Some(application), ..Conditions::default() }).await;
    assert!(is_closed(&mut socket).await);
    says(&mut other, &frame(0x81, b"still here")).await;

    world.denies(by_address("127.0.0.1")).await;
    assert!(is_closed(&mut other).await);
}
