//! What the last exchanges read of clients and providers, kept so that the next need not read it again.
//!
//! Nothing here is believed: the transaction that grants on a kept fact proves that it still holds, and what speaks
//! against a caller is read anew before it is said.

use std::sync::Arc;

use shared_claims::scope::ScopeSet;

use crate::domain::application::Client;
use crate::domain::identity_provider::IdentityProvider;

/// Entries of one kind; past it all are forgotten, which costs each one read.
const MOST: usize = 10_000;

/// What a consumer key stands for.
#[derive(Debug)]
pub struct ClientFacts {
    /// The key, which its revision proves, and its application, which `routes` does.
    pub client: Client,
    /// Every scope that the APIs declare to which it subscribes; `routes` proves them.
    pub declared: ScopeSet,
    /// The counter that moves with applications, subscriptions and APIs, from before they were read.
    pub routes: i64,
}

/// The kept facts; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Facts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    clients: papaya::HashMap<String, Arc<ClientFacts>>,
    /// By issuer; a provider's revision proves it.
    providers: papaya::HashMap<String, Arc<IdentityProvider>>,
}

impl Facts {
    /// What was last read of a consumer key.
    #[must_use]
    pub fn client(&self, consumer_key: &str) -> Option<Arc<ClientFacts>> {
        self.0.clients.pin().get(consumer_key).cloned()
    }

    /// What was last read of an issuer.
    #[must_use]
    pub fn provider(&self, issuer: &str) -> Option<Arc<IdentityProvider>> {
        self.0.providers.pin().get(issuer).cloned()
    }

    /// Keeps what was just read.
    pub fn keep(&self, client: Arc<ClientFacts>, provider: Arc<IdentityProvider>) {
        let (clients, providers) = (self.0.clients.pin(), self.0.providers.pin());
        if clients.len() >= MOST {
            clients.clear();
        }
        if providers.len() >= MOST {
            providers.clear();
        }
        clients.insert(client.client.key.consumer_key.clone(), client);
        providers.insert(provider.issuer.clone(), provider);
    }
}
