//! Users are made, changed and deleted: by an administrator, a provisioning client, or themselves at sign-up.

use shared_claims::clock::UnixTime;
use shared_claims::secret::Secret;
use shared_server::database::StorageError;

use super::password::name_digest;
use super::{FlowError, audit};
use crate::app::App;
use crate::domain::profile::Profile;
use crate::domain::user::{User, UserId, UserName, key};
use crate::storage::{refresh_tokens, sign_in_failures, users};

/// What a caller says about a user; the password is set only where there is one.
pub struct UserChange {
    /// The name.
    pub name: UserName,
    /// A new password, checked by `domain::password` already.
    pub password: Option<Secret>,
    /// Whether the user may sign in.
    pub active: bool,
    /// Everything else.
    pub profile: Profile,
}

/// Makes a user.
///
/// # Errors
/// [`FlowError::NameTaken`]: somebody has, or once had, the name.
pub async fn create(app: &App, by: &str, change: UserChange, now: UnixTime) -> Result<User, FlowError> {
    let user = new_user(&app.hashing, change, now).await?;

    let kept = user.clone();
    app.database.write(move |db| users::insert(db, &kept)).await.map_err(|error| match error {
        StorageError::Duplicate => FlowError::NameTaken,
        other => FlowError::Storage(other),
    })?;

    audit::record(by, "user.create", &user.id.to_string(), user.name.as_str());
    Ok(user)
}

/// A user with a hashed password, not kept yet.
///
/// # Errors
/// [`FlowError::Hashing`].
pub async fn new_user(
    hashing: &shared_server::hashing::HashingPool,
    change: UserChange,
    now: UnixTime,
) -> Result<User, FlowError> {
    let password_hash = match change.password {
        Some(password) => Some(hashing.hash(password).await?),
        None => None,
    };
    Ok(User {
        id: UserId::generate(),
        name: change.name,
        password_hash,
        active: change.active,
        profile: change.profile,
        sessions_ended_at: UnixTime(0),
        created_at: now,
        updated_at: now,
        revision: 1,
    })
}

/// A person makes their own user, where that is switched on.
///
/// # Errors
/// [`FlowError::SignUpOff`], [`FlowError::NameTaken`].
pub async fn sign_up(app: &App, change: UserChange, now: UnixTime) -> Result<User, FlowError> {
    if !app.signup {
        return Err(FlowError::SignUpOff);
    }
    create(app, "signup", change, now).await
}

/// The user.
///
/// # Errors
/// [`FlowError::NotFound`], also for a deleted one.
pub async fn find(app: &App, id: UserId) -> Result<User, FlowError> {
    app.database.read(move |db| users::find(db, id)).await?.ok_or(FlowError::NotFound)
}

/// Which users are looked for.
pub enum Sought {
    /// All of them.
    Everybody,
    /// The one with this name, in whatever case.
    Named(String),
    /// The one with this identifier.
    Identified(UserId),
    /// Nobody has what was asked for.
    Nobody,
}

/// A page of at most `count` users, from the place `start` (counted from 1) on, and how many there are in all.
///
/// # Errors
/// [`FlowError::Storage`].
pub async fn list(app: &App, sought: Sought, start: i64, count: i64) -> Result<(Vec<User>, i64), FlowError> {
    let found = app.database.read(move |db| {
        let one = match sought {
            Sought::Everybody => return Ok((users::list(db, start - 1, count)?, users::count(db)?)),
            Sought::Named(name) => users::find_by_key(db, &key(&name))?,
            Sought::Identified(id) => users::find(db, id)?,
            Sought::Nobody => None,
        };
        let total = i64::from(one.is_some());
        Ok::<_, FlowError>((one.into_iter().filter(|_| start == 1 && count > 0).collect(), total))
    });
    found.await
}

/// Replaces what is known about a user. A new password, or the loss of `active`, ends all sessions.
///
/// # Errors
/// [`FlowError::NotFound`]; [`FlowError::Changed`] where `expected` is not the present revision;
/// [`FlowError::NameIsFixed`].
pub async fn replace(
    app: &App,
    by: &str,
    id: UserId,
    change: (UserChange, Option<i64>),
    now: UnixTime,
) -> Result<User, FlowError> {
    let (change, expected) = change;
    // Hashed before the write, which holds a connection.
    let new_hash = match change.password {
        Some(password) => Some(app.hashing.hash(password).await?),
        None => None,
    };
    let (name, active, profile) = (change.name, change.active, change.profile);

    let replaced = app.database.write(move |db| {
        let present = users::find(db, id)?.ok_or(FlowError::NotFound)?;
        require_revision(&present, expected)?;
        if name.key() != present.name.key() {
            return Err(FlowError::NameIsFixed);
        }
        let new_password = new_hash.is_some();
        let ends_sessions = new_password || (present.active && !active);
        let changed = User {
            name,
            active,
            profile,
            password_hash: new_hash.or_else(|| present.password_hash.clone()),
            sessions_ended_at: if ends_sessions { now } else { present.sessions_ended_at },
            updated_at: now,
            revision: present.revision + 1,
            ..present
        };
        if !users::replace(db, &changed)? {
            return Err(FlowError::Changed);
        }
        if ends_sessions {
            refresh_tokens::revoke_user(db, id, now)?;
        }
        if new_password {
            sign_in_failures::forget(db, &name_digest(changed.name.as_str()))?;
        }
        Ok((changed, new_password))
    });
    let (changed, new_password) = replaced.await?;

    let detail = format!("active={} new_password={new_password}", changed.active);
    audit::record(by, "user.update", &id.to_string(), &detail);
    Ok(changed)
}

/// Deletes the user and ends all sessions; the name stays reserved for ever.
///
/// # Errors
/// [`FlowError::NotFound`], [`FlowError::Changed`].
pub async fn delete(
    app: &App,
    by: &str,
    id: UserId,
    expected: Option<i64>,
    now: UnixTime,
) -> Result<(), FlowError> {
    let deleted = app.database.write(move |db| {
        let present = users::find(db, id)?.ok_or(FlowError::NotFound)?;
        require_revision(&present, expected)?;
        if !users::delete(db, id, Some(present.revision), now)? {
            return Err(FlowError::Changed);
        }
        refresh_tokens::revoke_user(db, id, now)?;
        Ok(())
    });
    deleted.await?;

    audit::record(by, "user.delete", &id.to_string(), "");
    Ok(())
}

fn require_revision(present: &User, expected: Option<i64>) -> Result<(), FlowError> {
    if expected.is_none_or(|expected| expected == present.revision) {
        Ok(())
    } else {
        Err(FlowError::Changed)
    }
}
