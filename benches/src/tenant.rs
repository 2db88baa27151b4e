//! What a scenario needs inside an API manager: trust, an API, an application that may call it, and tokens.

use e2e::actors::{Administrator, Api, Application, Developer, JWT_BEARER, Publisher};
use e2e::client::Http;
use e2e::idp::{Idp, KeyKind};
use serde_json::{Value, json};
use shared_claims::clock::Clock;

use crate::server::Server;

/// How long everything lives that is made here: longer than any run.
const LIFE: i64 = 86_400;
/// The tier of the application and of its subscriptions: a limit that is enforced and never reached.
const TIER: &str = "Measured";

/// Somebody's trust, API and application.
pub struct Tenant {
    /// Who administers.
    pub administrator: Administrator,
    /// Who publishes.
    pub publisher: Publisher,
    /// Who subscribes.
    pub developer: Developer,
    /// The trusted provider.
    pub idp: Idp,
    /// The application, with keys.
    pub application: Application,
    /// The API `/measured/1.0`.
    pub api: Api,
}

impl Tenant {
    /// Makes it all by REST: a provider with a key of P-256, the API `/measured/1.0` with `GET /*` in front of `backend`, and
    /// an application that is subscribed to it, both on a tier whose limit is enforced and never reached.
    pub async fn settle(server: &Server, backend: &str) -> Self {
        Self::settle_with(server, backend, KeyKind::P256).await
    }

    /// The same with a provider who signs with another kind of key.
    pub async fn settle_with(server: &Server, backend: &str, kind: KeyKind) -> Self {
        let (http, places) = (Http::new(), server.places());
        let administrator = Administrator::new(&http, &places);
        let publisher = Publisher::new(&http, &places);
        let developer = Developer::new(&http, &places);

        let idp = Idp::with_key("https://idp.example", "measured", kind, &Clock::System);
        administrator.trusts_with(&idp, &json!({ "max_assertion_lifetime": LIFE })).await;
        let tier = json!({ "name": TIER, "requests": 1_000_000_000, "per_seconds": 1 });
        let _ = administrator.posts("tiers", &tier).await.expect(201);
        let application = json!({ "name": "measured", "tier": TIER, "access_token_lifetime": LIFE });
        let application = developer.registers_with(&application, &[JWT_BEARER, "client_credentials"]).await;
        let mut tenant = Self {
            administrator,
            publisher,
            developer,
            idp,
            application,
            api: Api { id: String::new(), context: String::new() },
        };
        tenant.api = tenant.publishes("measured", backend).await;
        tenant
    }

    /// Publishes one more API `/{context}/1.0` with `GET /*` and subscribes the application to it.
    pub async fn publishes(&self, context: &str, backend: &str) -> Api {
        self.publishes_with(context, backend, &json!([{ "method": "GET", "path": "/*" }])).await
    }

    /// The same with other operations.
    pub async fn publishes_with(&self, context: &str, backend: &str, operations: &Value) -> Api {
        let members = json!({ "operations": operations, "tiers": [TIER] });
        let api = self.publisher.publishes_with(context, backend, &members).await;
        let body = json!({ "application_id": self.application.id, "api_id": api.id, "tier": TIER });
        let _ = self.developer.posts("subscriptions", &body).await.expect(201);
        api
    }

    /// An assertion for a subject that can be exchanged all day.
    #[must_use]
    pub fn assertion(&self, subject: &str) -> String {
        let claims = self.idp.claims(subject);
        // A little less than the most that is allowed, for `exp` is compared with the server's clock.
        self.idp.sign(&claims.with("exp", Clock::System.now().0 + LIFE - 60))
    }

    /// One opaque token.
    ///
    /// # Panics
    /// The exchange is refused.
    pub async fn token(&self) -> String {
        self.application.exchanges(&self.assertion("alice")).await.token()
    }

    /// So many opaque tokens, each bought with an assertion of its own at the token endpoint, each for a subject of its own.
    ///
    /// # Panics
    /// An exchange is refused.
    pub async fn tokens(&self, count: usize) -> Vec<String> {
        const AT_ONCE: usize = 32;
        let mut tokens = Vec::with_capacity(count);
        while tokens.len() < count {
            let group = AT_ONCE.min(count - tokens.len());
            let exchanges: Vec<_> = (0..group)
                .map(|place| {
                    let assertion = self.assertion(&format!("person-{}", tokens.len() + place));
                    let application = self.application.clone();
                    tokio::spawn(async move { application.exchanges(&assertion).await.token() })
                })
                .collect();
            for exchange in exchanges {
                tokens.push(exchange.await.expect("an exchange does not panic"));
            }
        }
        tokens
    }
}
