//! The bootstrap administrator: made at the first start, kept as a hash, let in by Basic.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use diesel::prelude::*;
use shared_claims::credentials::Basic;
use shared_claims::secret::{Digest, Secret, constant_time_eq};

use crate::database::{AnyConnection, Database, StorageError};
use crate::hashing::{HashingError, HashingPool};

/// The administrator's user name.
pub const NAME: &str = "admin";

mod schema {
    #![allow(missing_docs, reason = "diesel's macro writes items that cannot carry comments")]
    diesel::table! {
        administrators (name) {
            name -> Text,
            password_hash -> Text,
        }
    }
}
use schema::administrators;

/// Checks the administrator's password. A password that was right is remembered as a digest, so that management by
/// Basic costs one Argon2 run, not one a request.
#[derive(Clone)]
pub struct Administrator {
    password_hash: Arc<str>,
    remembered: Arc<ArcSwapOption<Digest>>,
    pool: HashingPool,
}

/// Why the administrator could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Hashing failed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// No random password could be made.
    #[error(transparent)]
    Randomness(#[from] shared_claims::secret::NoRandomness),
}

impl Administrator {
    /// Loads the administrator, or makes one at the first start. `given` (the setting `admin_password`) replaces a
    /// kept password that differs. The second value is the password that was just made up, to be shown once.
    ///
    /// # Errors
    /// [`AdministratorError`].
    pub async fn load_or_create(
        database: &Database,
        pool: HashingPool,
        given: Option<Secret>,
    ) -> Result<(Self, Option<Secret>), AdministratorError> {
        let kept = database.read(find).await?;
        let (hash, made) = match (kept, given) {
            (Some(hash), None) => (hash, None),
            (Some(hash), Some(given)) if pool.verify(given.clone(), Some(hash.clone())).await? => {
                (hash, None)
            }
            (_, Some(given)) => (replace(database, pool.hash(given).await?).await?, None),
            (None, None) => {
                let password = Secret::generate()?;
                let hash = pool.hash(password.clone()).await?;
                let kept = insert_first(database, hash.clone()).await?;
                // Another node may have been first; then its password holds and this one is forgotten.
                let made = (kept == hash).then_some(password);
                (kept, made)
            }
        };
        Ok((Self { password_hash: hash.into(), remembered: Arc::default(), pool }, made))
    }

    /// Whether these credentials are the administrator's.
    ///
    /// # Errors
    /// [`HashingError::Busy`] where too many passwords wait.
    pub async fn verify(&self, basic: &Basic) -> Result<bool, HashingError> {
        for pair in basic.readings() {
            let is_named = constant_time_eq(&pair.name, NAME);
            let digest = pair.secret.digest();
            if is_named && self.remembered.load().as_deref() == Some(&digest) {
                return Ok(true);
            }
            let hash = is_named.then(|| self.password_hash.to_string());
            if self.pool.verify(pair.secret.clone(), hash).await? {
                self.remembered.store(Some(Arc::new(digest)));
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn find(connection: &mut AnyConnection) -> Result<Option<String>, StorageError> {
    let row = administrators::table.find(NAME).select(administrators::password_hash);
    Ok(row.get_result(connection).optional()?)
}

/// Keeps `hash`, whatever was kept before. Of nodes that start together each finds none and inserts: all but one replace the
/// hash of the first then, which is the same password's.
async fn replace(database: &Database, hash: String) -> Result<String, StorageError> {
    if insert_first(database, hash.clone()).await? == hash {
        return Ok(hash);
    }
    let write = move |connection: &mut AnyConnection| {
        let row = diesel::update(administrators::table.find(NAME));
        row.set(administrators::password_hash.eq(&hash)).execute(connection)?;
        Ok(hash)
    };
    database.write(write).await
}

/// Keeps `hash` unless there is one already; answers the one that is kept.
async fn insert_first(database: &Database, hash: String) -> Result<String, StorageError> {
    let inserted = database.write(move |connection| insert(connection, &hash).map(|()| hash)).await;
    match inserted {
        Err(StorageError::Duplicate) => {
            let kept = database.read(find).await?;
            kept.ok_or_else(|| StorageError::Fault("the administrator vanished".to_owned()))
        }
        other => other,
    }
}

fn insert(connection: &mut AnyConnection, hash: &str) -> Result<(), StorageError> {
    let row = (administrators::name.eq(NAME), administrators::password_hash.eq(hash));
    diesel::insert_into(administrators::table).values(row).execute(connection)?;
    Ok(())
}
