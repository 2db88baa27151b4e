//! What the command line does besides serving: it changes the database, and a running server sees it within a second.

use shared_claims::clock::Clock;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Secret;
use shared_claims::signature::{Algorithm, KeyKind};
use shared_server::database::StorageError;
use shared_server::hashing::HashingPool;

use crate::bootstrap::{Foundation, StartError};
use crate::domain::client::{AuthMethod, ClientSettings, GrantType, MultiValued};
use crate::domain::client_metadata::{DEFAULT_ACCESS_LIFETIME, DEFAULT_REFRESH_LIFETIME, faults};
use crate::domain::key::LEAD;
use crate::domain::password;
use crate::domain::profile::Profile;
use crate::domain::user::UserName;
use crate::flows::users::UserChange;
use crate::flows::{FlowError, audit, clients, users};
use crate::settings::Settings;
use crate::storage;

/// Who the audit trail names.
const BY: &str = "command line";

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The database or the keys cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What was asked for failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// Arguments are wrong; all of them, one a line.
    #[error("{}", .0.join("\n"))]
    Arguments(Vec<String>),
}

impl From<StorageError> for CommandError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Duplicate => Self::Flow(FlowError::NameTaken),
            other => Self::Flow(FlowError::Storage(other)),
        }
    }
}

/// The certificate of the RSA key that signs now, PEM; makes the key where this is the first start.
///
/// # Errors
/// [`CommandError`].
pub async fn certificate(settings: &Settings, clock: &Clock) -> Result<String, CommandError> {
    let foundation = Foundation::lay(settings).await?;
    let (store, now) = (foundation.key_store(settings), clock.now());
    store.ensure_first(KeyKind::Rsa, now).await?;
    Ok(store.open(now).await?.published(now).certificate.body.clone())
}

/// A client to be registered.
pub struct NewClient {
    /// For people.
    pub name: String,
    /// On the wire's names.
    pub grant_types: Vec<String>,
    /// Further audiences of its tokens.
    pub audiences: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
}

/// Registers a client; answers its identifier and its secret, which is not shown again.
///
/// # Errors
/// [`CommandError`].
pub async fn create_client(
    settings: &Settings,
    clock: &Clock,
    new: NewClient,
) -> Result<(String, Secret), CommandError> {
    let mut wrong = Vec::new();
    let mut grant_types = Vec::new();
    for name in &new.grant_types {
        match GrantType::parse(name) {
            Some(grant) => grant_types.push(grant),
            None => wrong.push(format!("--grant-types: {name} is not a grant of this server")),
        }
    }
    let scope = ScopeSet::from_tokens(new.scopes).unwrap_or_else(|bad| {
        wrong.push(format!("--scopes: {bad}"));
        ScopeSet::default()
    });
    let client = ClientSettings {
        client_name: new.name,
        grant_types,
        scope,
        redirect_uris: Vec::new(),
        contacts: Vec::new(),
        client_uri: None,
        auth_method: AuthMethod::Basic,
        audiences: new.audiences,
        access_token_lifetime: DEFAULT_ACCESS_LIFETIME,
        refresh_token_lifetime: DEFAULT_REFRESH_LIFETIME,
        multi_valued_claims: MultiValued::Array,
        signing_algorithm: Algorithm::RS256,
        enabled: true,
    };
    wrong.extend(faults(&client).into_iter().map(|fault| format!("{}: {}", fault.field, fault.detail)));
    if !wrong.is_empty() {
        return Err(CommandError::Arguments(wrong));
    }

    let foundation = Foundation::lay(settings).await?;
    let (client, secret) = clients::new_client(client, clock.now())?;
    let (id, name) = (client.id.to_string(), client.settings.client_name.clone());
    foundation.database.write(move |db| storage::clients::insert(db, &client)).await?;
    audit::record(BY, "client.create", &id, &name);
    Ok((id, secret))
}

/// Makes a user; answers its identifier.
///
/// # Errors
/// [`CommandError`].
pub async fn create_user(
    settings: &Settings,
    clock: &Clock,
    name: &str,
    secret: Secret,
) -> Result<String, CommandError> {
    let parsed = UserName::parse(name);
    let mut wrong: Vec<String> =
        parsed.as_ref().err().map(|bad| format!("--username {bad}")).into_iter().collect();
    wrong.extend(password::accept(secret.expose(), name).err().map(|bad| format!("the password {bad}")));
    let Ok(name) = parsed else { return Err(CommandError::Arguments(wrong)) };
    if !wrong.is_empty() {
        return Err(CommandError::Arguments(wrong));
    }

    let foundation = Foundation::lay(settings).await?;
    let hashing = HashingPool::start(1).map_err(StartError::from)?;
    let change = UserChange { name, password: Some(secret), active: true, profile: Profile::default() };
    let user = users::new_user(&hashing, change, clock.now()).await?;
    let (id, name) = (user.id.to_string(), user.name.as_str().to_owned());
    foundation.database.write(move |db| storage::users::insert(db, &user)).await?;
    audit::record(BY, "user.create", &id, &name);
    Ok(id)
}

/// Makes the next RSA signing key; answers its `kid`. It signs in two seconds, when every server has published it.
///
/// # Errors
/// [`CommandError`].
pub async fn rotate_keys(settings: &Settings, clock: &Clock) -> Result<String, CommandError> {
    let foundation = Foundation::lay(settings).await?;
    let record = foundation.key_store(settings).rotate(KeyKind::Rsa, LEAD, clock.now()).await?;
    audit::record(BY, "key.rotate", &record.kid, "RSA");
    Ok(record.kid)
}
