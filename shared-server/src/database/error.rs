//! What can go wrong with the database, told apart by what a caller does about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the storage. Every variant but the first two is our fault, not the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// A unique index refused the row: it is there already.
    #[error("the row is there already")]
    Duplicate,
    /// A foreign key refused: something still refers to the row, or the row that it refers to is gone.
    #[error("the row is in use, or what it refers to is gone")]
    InUse,
    /// Too many are waiting, or the database is locked: come back in a moment.
    #[error("the database is busy")]
    Busy,
    /// The database cannot be reached; the cause is for the log.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Anything else; the cause is for the log.
    #[error("the database failed: {0}")]
    Fault(String),
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(kind, information) => match kind {
                DatabaseErrorKind::UniqueViolation => Self::Duplicate,
                DatabaseErrorKind::ForeignKeyViolation => Self::InUse,
                DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::ReadOnlyTransaction => {
                    Self::Busy
                }
                DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
                    Self::Unavailable(information.message().to_owned())
                }
                _ if is_locked(information.message()) => Self::Busy,
                _ if is_gone(information.message()) => Self::Unavailable(information.message().to_owned()),
                _ => Self::Fault(error.to_string()),
            },
            DieselError::BrokenTransactionManager => Self::Unavailable(error.to_string()),
            _ => Self::Fault(error.to_string()),
        }
    }
}

/// Diesel has no kind for these; the texts are those of SQLite and libpq.
fn is_locked(message: &str) -> bool {
    [
        "database is locked",
        "database table is locked",
        "lock timeout",
        "statement timeout",
        "deadlock detected",
    ]
    .iter()
    .any(|text| message.contains(text))
}

fn is_gone(message: &str) -> bool {
    [
        "server closed the connection",
        "no connection to the server",
        "could not connect",
        "connection to server",
        "terminating connection",
        "the database system is",
        "could not receive data",
    ]
    .iter()
    .any(|text| message.contains(text))
}
