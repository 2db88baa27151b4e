//! What need not be found out anew for each request: clients that were read a moment ago, and what tokens say whose
//! signature was verified before. Never a verdict: who may do what, and whether a token is good, is decided each time.
//!
//! A change that this server makes counts at once: it ends everything that was read before it. One that the command line
//! makes counts within a second, for nothing is kept beyond the second in which it was read. On PostgreSQL, where other
//! nodes change clients too, nothing is kept at all: there a change counts on every node at once. What a token says does not change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;

use crate::domain::client::{Client, ClientId};
use crate::flows::live_token::AccessToken;

/// Past this many clients all are forgotten, which costs each one read.
const MOST: usize = 10_000;
/// Past this many tokens all are forgotten, which costs each one verification. Two or three KiB each.
const MOST_TOKENS: usize = 2_000;

/// What is kept; clones share it.
#[derive(Clone)]
pub struct Facts(Arc<Inner>);

struct Inner {
    keeps: bool,
    changes: AtomicU64,
    clients: papaya::HashMap<ClientId, Kept>,
    /// By the digest of the whole token, signature included.
    tokens: papaya::HashMap<Digest, Arc<AccessToken>>,
}

struct Kept {
    client: Arc<Client>,
    seen: Seen,
}

/// When something was read: the second, and after how many changes. Taken before the read, so that a change in between
/// is not missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    second: UnixTime,
    changes: u64,
}

impl Facts {
    /// Keeps clients, unless other servers may change them.
    #[must_use]
    pub fn new(is_shared: bool) -> Self {
        Self(Arc::new(Inner {
            keeps: !is_shared,
            changes: AtomicU64::new(0),
            clients: papaya::HashMap::new(),
            tokens: papaya::HashMap::new(),
        }))
    }

    /// What the token with this digest says, where its signature was verified before.
    #[must_use]
    pub fn token(&self, digest: &Digest) -> Option<Arc<AccessToken>> {
        self.0.tokens.pin().get(digest).cloned()
    }

    /// Keeps what a token says whose signature was just verified.
    pub fn keep_token(&self, digest: Digest, token: &Arc<AccessToken>) {
        let tokens = self.0.tokens.pin();
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        tokens.insert(digest, Arc::clone(token));
    }

    /// The client, where what was read of it still counts.
    #[must_use]
    pub fn client(&self, id: ClientId, now: UnixTime) -> Option<Arc<Client>> {
        let seen = self.before_reading(now);
        let clients = self.0.clients.pin();
        clients.get(&id).filter(|kept| kept.seen == seen).map(|kept| Arc::clone(&kept.client))
    }

    /// To be called before a client is read that is to be kept.
    #[must_use]
    pub fn before_reading(&self, now: UnixTime) -> Seen {
        Seen { second: now, changes: self.0.changes.load(Ordering::Acquire) }
    }

    /// Keeps a client that was just read.
    pub fn keep(&self, client: &Arc<Client>, seen: Seen) {
        if !self.0.keeps {
            return;
        }
        let clients = self.0.clients.pin();
        if clients.len() >= MOST {
            clients.clear();
        }
        clients.insert(client.id, Kept { client: Arc::clone(client), seen });
    }

    /// To be called when a change of a client has been committed, before anybody hears of it.
    pub fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::tests::client;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn kept(facts: &Facts, seen: Seen) -> ClientId {
        let client = Arc::new(client(""));
        facts.keep(&client, seen);
        client.id
    }

    #[test]
    fn what_was_read_counts_for_the_rest_of_its_second_and_no_longer() {
        let facts = Facts::new(false);
        let id = kept(&facts, facts.before_reading(NOW));
        assert_eq!(facts.client(id, NOW).unwrap().id, id);
        assert!(facts.client(id, NOW.plus(1)).is_none() && facts.client(id, NOW.minus(1)).is_none());
    }

    #[test]
    fn a_change_ends_what_was_read_before_it_even_where_it_is_kept_after_it() {
        let facts = Facts::new(false);
        let seen = facts.before_reading(NOW);
        let id = kept(&facts, seen);
        facts.changed();
        assert!(facts.client(id, NOW).is_none());
        let late = kept(&facts, seen);
        assert!(facts.client(late, NOW).is_none());
    }

    #[test]
    fn nothing_is_kept_where_other_nodes_change_clients() {
        let facts = Facts::new(true);
        let id = kept(&facts, facts.before_reading(NOW));
        assert!(facts.client(id, NOW).is_none());
    }

    #[test]
    fn the_kept_clients_are_bounded() {
        let facts = Facts::new(false);
        for _ in 0..=MOST {
            kept(&facts, facts.before_reading(NOW));
        }
        assert!(facts.0.clients.pin().len() <= MOST);
    }
}
