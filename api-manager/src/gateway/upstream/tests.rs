//! Which backend gets the next request.

use http::Method;
use shared_claims::clock::Clock;

use super::attempts::{Attempts, Failure};
use super::*;
use crate::gateway::routes::tests::api;

struct Case {
    clock: Clock,
    upstreams: Upstreams,
    api: Api,
}

impl Case {
    fn of(weights: &[u8]) -> Self {
        let clock = Clock::manual(shared_claims::clock::UnixTime(1_000));
        let mut api = api();
        let backends = weights.iter().enumerate();
        api.definition.backends.production = backends
            .map(|(place, weight)| Backend { url: format!("http://{place}.example"), weight: *weight })
            .collect();
        let upstreams = Upstreams::new(Arc::new(BackendStates::new(clock.clone())));
        Self { clock, upstreams, api }
    }

    /// Whose backends are ejected for ten seconds by their first failure.
    fn ejecting(weights: &[u8]) -> Self {
        let mut case = Self::of(weights);
        case.api.definition.backends.ejection = Ejection { failures: 1, seconds: 10 };
        case
    }

    fn upstream(&self) -> Upstream {
        self.upstreams.compile(&self.api, KeyType::Production)
    }
}

/// The places that so many requests get which end at once.
fn turns(upstream: &Upstream, count: usize) -> Vec<usize> {
    (0..count).map(|_| upstream.pick(Set::default()).ok().flatten().unwrap().0).collect()
}

fn refused(upstream: &Upstream) -> NoBackend {
    upstream.pick(Set::default()).map(|_| ()).unwrap_err()
}

#[test]
fn turns_follow_the_weights_and_go_on_in_the_next_table() {
    let case = Case::of(&[2, 1, 0]);

    assert_eq!(turns(&case.upstream(), 4), [0, 1, 0, 0]);
    assert_eq!(turns(&case.upstream(), 2), [1, 0]);
}

#[test]
fn what_others_are_owed_is_theirs_when_one_drops_out() {
    let case = Case::of(&[1, 1, 1]);
    let upstream = case.upstream();
    upstream.all[1].state.set_unhealthy(true, 0);

    let turns = turns(&upstream, 100);

    assert_eq!(turns.iter().filter(|place| **place == 0).count(), 50);
    assert!(!turns.contains(&1));
}

#[test]
fn the_least_busy_gets_the_next_by_its_weight() {
    let mut case = Case::of(&[3, 1]);
    case.api.definition.backends.balance = Balance::LeastConnections;
    let upstream = case.upstream();

    let held: Vec<_> = (0..8).map(|_| upstream.pick(Set::default()).ok().flatten().unwrap()).collect();

    assert_eq!(held.iter().filter(|(place, _)| *place == 0).count(), 6);
    let (busy, idle): (Vec<_>, Vec<_>) = held.into_iter().partition(|(place, _)| *place == 0);
    drop(idle);
    assert_eq!(turns(&upstream, 3), [1, 1, 1]);
    drop(busy);
}

#[test]
fn all_that_are_ejected_are_used_rather_than_none() {
    let case = Case::ejecting(&[1, 1]);
    let upstream = case.upstream();

    upstream.failed(0);
    assert_eq!(turns(&upstream, 2), [1, 1]);
    upstream.failed(1);
    assert_eq!(turns(&upstream, 2), [0, 1]);
}

#[test]
fn an_ejection_ends() {
    let case = Case::ejecting(&[1, 1]);
    let upstream = case.upstream();
    upstream.failed(0);
    assert_eq!(turns(&upstream, 2), [1, 1]);

    case.clock.advance(10);

    assert_eq!(turns(&upstream, 2), [0, 1]);
}

#[test]
fn where_the_others_are_busy_the_one_that_closed_a_kept_connection_is_asked_again() {
    let mut case = Case::of(&[1, 1]);
    case.api.definition.backends.circuit_breaker.max_requests = Some(1);
    let upstream = case.upstream();
    let mut attempts = Attempts::new(&upstream, &Method::GET, false);
    let first = attempts.first().unwrap();
    let _other = upstream.pick(Set::default()).unwrap().unwrap();
    let place = first.place;
    drop(first);

    let next = attempts.next(Failure::Unanswered, true).unwrap();

    assert_eq!(next.place, place);
    drop(next);
    assert!(attempts.next(Failure::Unsent, true).is_none(), "where there is no connection there is none");
}

#[test]
fn one_backend_alone_is_never_ejected() {
    let case = Case::ejecting(&[1]);
    let upstream = case.upstream();
    upstream.failed(0);
    assert!(!upstream.all[0].state.is_ejected(upstream.ticker.now()));
}

#[test]
fn unhealthy_and_drained_backends_get_nothing_even_where_there_is_no_other() {
    assert_eq!(refused(&Case::of(&[0]).upstream()), NoBackend::Unavailable);
    let upstream = Case::of(&[1, 0]).upstream();
    upstream.all[0].state.set_unhealthy(true, 0);
    assert_eq!(refused(&upstream), NoBackend::Unavailable);
}

#[test]
fn what_one_cannot_take_another_does_until_all_are_full() {
    let mut case = Case::of(&[1, 1]);
    case.api.definition.backends.circuit_breaker.max_requests = Some(1);
    let upstream = case.upstream();

    let first = upstream.pick(Set::default()).unwrap().unwrap();
    let second = upstream.pick(Set::default()).unwrap().unwrap();
    assert_eq!((first.0, second.0), (0, 1));
    assert_eq!(refused(&upstream), NoBackend::Busy);
    drop(first);
    assert_eq!(turns(&upstream, 2), [0, 0]);
}
