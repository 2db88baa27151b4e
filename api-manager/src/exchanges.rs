//! The way of exchanges on kept facts to the database: those that come at the same time share a commit.

use shared_server::database::batches::Batches;
use shared_server::database::{Database, StorageError};

use crate::storage::grants::{Exchange, Outcome, insert_proven};

/// Keeps exchanges. On SQLite the one writer joins them, on PostgreSQL they are joined here.
#[derive(Debug)]
pub struct Exchanges {
    database: Database,
    batches: Option<Batches<Exchange, Outcome>>,
}

impl Exchanges {
    /// For this database.
    #[must_use]
    pub fn on(database: &Database) -> Self {
        let batches = database.is_postgres().then(|| Batches::new(database.clone(), insert_proven));
        Self { database: database.clone(), batches }
    }

    /// Keeps what is proven and not claimed yet, and returns once it is durable.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn keep(&self, exchange: Exchange) -> Result<Outcome, StorageError> {
        match &self.batches {
            Some(batches) => batches.join(exchange).await,
            None => {
                let work = move |connection: &mut _| insert_proven(connection, &[exchange]);
                let outcomes = self.database.write_in_one_statement(work).await?;
                outcomes
                    .first()
                    .copied()
                    .ok_or_else(|| StorageError::Fault("an exchange has no outcome".to_owned()))
            }
        }
    }
}
