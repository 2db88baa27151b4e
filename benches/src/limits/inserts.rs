//! The durable insert of an exchange's two rows, by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use api_manager::bootstrap::MIGRATIONS;
use api_manager::domain::application::KeyType;
use api_manager::domain::grant::{AssertionOrigin, Grant, Lineage};
use api_manager::domain::ids::{ApplicationId, GrantId, IdentityProviderId};
use api_manager::storage::{grants, used_assertions};
use shared_claims::clock::Clock;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::{Digest, random};
use shared_server::database::{Database, DatabaseUrl, StorageError};
use uuid::Uuid;

use super::{Cost, process_cpu};

const ISSUER: &str = "https://idp.example";
/// Until when the rows are kept: longer than any run.
const LIFE: i64 = 3_600;

/// The two rows of an exchange on a database of its own, by the statements of the API manager on its schema.
#[derive(Debug)]
pub struct Inserts {
    database: Database,
    provider: IdentityProviderId,
    application: ApplicationId,
}

impl Inserts {
    /// An empty database in that folder.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn on_sqlite(folder: &Path) -> Self {
        let url = DatabaseUrl::Sqlite(folder.join("inserts.db"));
        let database = Database::open_and_migrate(&url, 2, MIGRATIONS).await.expect("a database");
        Self { database, provider: IdentityProviderId::generate(), application: ApplicationId::generate() }
    }

    /// For that long, so many pairs a durable commit: what a pair takes, of every thread of this process.
    ///
    /// # Panics
    /// The rows are not kept.
    pub async fn turn(&self, group: usize, lasts: Duration) -> Cost {
        let (began, mut cost) = (Instant::now(), Cost::default());
        while began.elapsed() < lasts {
            let rows: Vec<Grant> = (0..group).map(|_| self.record()).collect();
            let (turn, before) = (Instant::now(), process_cpu());
            let written = self.database.write_in_one_statement(move |connection| {
                rows.iter().try_for_each(|grant| {
                    let (until, now) = (grant.expires_at, grant.issued_at);
                    used_assertions::enter(connection, ISSUER, &grant.access_digest, until, now)?;
                    grants::insert(connection, grant)
                })
            });
            written.await.unwrap_or_else(|why: StorageError| panic!("the rows are not kept: {why}"));
            cost += Cost { spent: process_cpu() - before, lasted: turn.elapsed(), calls: group };
        }
        cost
    }

    /// A grant as an exchange makes it.
    fn record(&self) -> Grant {
        let (id, now) = (GrantId::generate(), Clock::System.now());
        let random = || Digest::of(&random::<16>().expect("random bytes"));
        let origin = AssertionOrigin {
            identity_provider_id: self.provider,
            issuer: ISSUER.to_owned(),
            key_thumbprint: "mJ0aOPfBWJ0N2Z4Sz1R4OWnQAwHkbk1SvcQrGxJmB2s".to_owned(),
            jti: Some(Uuid::now_v7().to_string()),
            digest: random(),
        };
        Grant {
            id,
            access_digest: random(),
            refresh: None,
            consumer_key: "f8d0b3a67c7b4b0e9c3fd8a0e1d2c3b4".to_owned(),
            application_id: self.application,
            key_type: KeyType::Production,
            subject: format!(
                "person-{}",
                random().as_bytes().iter().map(|byte| u32::from(*byte)).sum::<u32>()
            ),
            scopes: ScopeSet::parse("default").expect("a scope"),
            issued_at: now,
            expires_at: now.plus(LIFE),
            lineage: Lineage { assertion: Some(origin), family: id, parent: None },
            revoked_at: None,
        }
    }
}
