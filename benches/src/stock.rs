//! What REST would take hours to make, written by the API manager's own storage into the database of a server that is
//! stopped: copies of what was made by REST.

mod over;

use api_manager::domain::api::Api;
use api_manager::domain::grant::Grant;
use api_manager::domain::ids::{ApiId, ApplicationId, GrantId, SubscriptionId};
use api_manager::domain::subscription::Subscription;
use api_manager::storage::{apis, applications, grants, subscriptions};
use shared_claims::clock::Clock;
use shared_claims::opaque::OpaqueToken;
use shared_claims::secret::Digest;
use shared_server::database::{Database, DatabaseUrl, StorageError};

use crate::server::Server;

pub use over::tokens_that_are_over;

/// Rows of one transaction.
const BATCH: usize = 20_000;

/// Writes `count` grants like that of `token`, each with a token and an assertion of its own; the plain
/// tokens. The server has to be stopped.
///
/// # Panics
/// The token is unknown, or the database fails.
pub async fn tokens(server: &Server, token: &str, count: usize) -> Vec<String> {
    let database = open(server);
    let (digest, now) = (Digest::of(token.as_bytes()), Clock::System.now());
    let found =
        database.read(move |connection| grants::find_by_access_digest(connection, &digest, now)).await;
    let template = found.expect("the grant can be read").expect("the token is known");
    // In the order of the index that finds them: at random, each row would be a page of its own to write.
    let fresh = || OpaqueToken::generate().expect("the system has random bytes");
    let mut tokens: Vec<OpaqueToken> = (0..count).map(|_| fresh()).collect();
    tokens.sort_by_cached_key(|token| *token.digest().as_bytes());
    for batch in tokens.chunks(BATCH) {
        let grants: Vec<Grant> = batch.iter().map(|token| like(&template, token)).collect();
        let written = database
            .write(move |connection| grants.iter().try_for_each(|grant| grants::insert(connection, grant)));
        written.await.expect("grants can be written");
    }
    tokens.iter().map(|token| token.expose().to_owned()).collect()
}

fn like(template: &Grant, token: &OpaqueToken) -> Grant {
    let mut grant = template.clone();
    grant.id = GrantId::generate();
    grant.access_digest = token.digest();
    grant.lineage.family = grant.id;
    grant.subject = format!("person-{}", grant.id);
    if let Some(origin) = &mut grant.lineage.assertion {
        origin.jti = Some(grant.id.to_string());
        origin.digest = Digest::of(grant.id.as_bytes());
    }
    grant
}

/// Writes `count` published APIs like that of `id` at `/{context}-{number}/1.0`, to which whoever has subscribed to that one
/// is subscribed too; the first segments of their paths. The server has to be stopped.
///
/// # Panics
/// The API is unknown, or the database fails.
pub async fn apis(server: &Server, id: &str, count: usize) -> Vec<String> {
    let database = open(server);
    let id = ApiId::parse(id).expect("an id of an API");
    let found = database.read(move |connection| apis::find(connection, id)).await;
    let template: Api = found.expect("the API can be read").expect("the API is there");
    let narrow = subscriptions::Narrow { api: Some(id), ..subscriptions::Narrow::default() };
    let subscribed =
        database.read(move |connection| subscriptions::list(connection, &narrow, "", 1_000)).await;
    let subscribed: Vec<Subscription> = subscribed.expect("subscriptions can be read");
    let written = database.write(move |connection| {
        let mut contexts = Vec::with_capacity(count);
        for number in 0..count {
            let mut api = template.clone();
            api.id = ApiId::generate();
            api.context = format!("{}-{number}", template.context);
            api.name = format!("{} {number}", template.name);
            apis::insert(connection, &api)?;
            for one in &subscribed {
                let copy = Subscription { id: SubscriptionId::generate(), api_id: api.id, ..one.clone() };
                subscriptions::insert(connection, &copy)?;
            }
            contexts.push(api.context);
        }
        Ok::<_, StorageError>(contexts)
    });
    written.await.expect("APIs can be written")
}

/// Writes `count` applications like that of `id`, each subscribed to what that one has subscribed to first. The server has
/// to be stopped.
///
/// # Panics
/// The application is unknown, or the database fails.
pub async fn applications(server: &Server, id: &str, count: usize) {
    let database = open(server);
    let id = ApplicationId::parse(id).expect("an id of an application");
    let found = database.read(move |connection| applications::find(connection, id)).await;
    let template = found.expect("the application can be read").expect("the application is there");
    let narrow = subscriptions::Narrow { application: Some(id), ..subscriptions::Narrow::default() };
    let subscribed =
        database.read(move |connection| subscriptions::list(connection, &narrow, "", 1_000)).await;
    let subscribed = subscribed.expect("subscriptions can be read");
    let written = database.write(move |connection| {
        for number in 0..count {
            let mut application = template.clone();
            application.id = ApplicationId::generate();
            application.name = format!("{} {number}", template.name);
            applications::insert(connection, &application)?;
            if let Some(one) = subscribed.get(number % subscribed.len()) {
                let (id, application_id) = (SubscriptionId::generate(), application.id);
                subscriptions::insert(connection, &Subscription { id, application_id, ..one.clone() })?;
            }
        }
        Ok::<_, StorageError>(())
    });
    written.await.expect("applications can be written");
}

fn open(server: &Server) -> Database {
    Database::open(&DatabaseUrl::Sqlite(server.database()), 1).expect("the database opens")
}
