//! The table `clients`.

use diesel::prelude::*;
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;
use shared_claims::secret::Digest;
use shared_server::database::{AnyConnection, StorageError};
use shared_server::either;

use super::schema::clients;
use super::unreadable;
use crate::domain::client::{
    AuthMethod, Client, ClientId, ClientSecrets, ClientSettings, GrantType, MultiValued,
};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = clients, treat_none_as_null = true)]
struct Row {
    client_id: String,
    client_name: String,
    secret_digest: Vec<u8>,
    previous_secret_digest: Option<Vec<u8>>,
    previous_secret_until: Option<i64>,
    auth_method: String,
    grant_types: String,
    scope: String,
    redirect_uris: String,
    contacts: String,
    client_uri: Option<String>,
    audiences: String,
    access_token_lifetime: i64,
    refresh_token_lifetime: i64,
    multi_valued_claims: String,
    signing_algorithm: String,
    enabled: bool,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

/// Inserts a new client.
///
/// # Errors
/// [`StorageError`].
pub fn insert(connection: &mut AnyConnection, client: &Client) -> Result<(), StorageError> {
    diesel::insert_into(clients::table).values(row(client)).execute(connection)?;
    Ok(())
}

/// The client with this identifier.
///
/// # Errors
/// [`StorageError`].
pub fn find(connection: &mut AnyConnection, id: ClientId) -> Result<Option<Client>, StorageError> {
    let named = clients::table.find(id.to_string());
    let found: Option<Row> =
        either!(connection, native => named.select(Row::as_select()).get_result(native).optional()?);
    found.map(client).transpose()
}

/// At most `limit` clients after the identifier `after`, in the order of their identifiers.
///
/// # Errors
/// [`StorageError`].
pub fn list(connection: &mut AnyConnection, after: &str, limit: i64) -> Result<Vec<Client>, StorageError> {
    let rows: Vec<Row> = clients::table
        .filter(clients::client_id.gt(after))
        .order(clients::client_id)
        .limit(limit)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(client).collect()
}

/// Puts `changed` in the place of revision `changed.revision - 1`; false where that is not the present one.
///
/// # Errors
/// [`StorageError`].
pub fn replace(connection: &mut AnyConnection, changed: &Client) -> Result<bool, StorageError> {
    let present = clients::table
        .filter(clients::client_id.eq(changed.id.to_string()))
        .filter(clients::revision.eq(changed.revision - 1));
    Ok(diesel::update(present).set(row(changed)).execute(connection)? == 1)
}

/// Deletes the client with all of its refresh tokens; false where there is none, or another revision.
///
/// # Errors
/// [`StorageError`].
pub fn delete(
    connection: &mut AnyConnection,
    id: ClientId,
    revision: Option<i64>,
) -> Result<bool, StorageError> {
    let row = clients::table.filter(clients::client_id.eq(id.to_string()));
    let deleted = match revision {
        Some(revision) => diesel::delete(row.filter(clients::revision.eq(revision))).execute(connection)?,
        None => diesel::delete(row).execute(connection)?,
    };
    Ok(deleted == 1)
}

/// The longest life of an access token of any client, in seconds.
///
/// # Errors
/// [`StorageError`].
pub fn longest_access_lifetime(connection: &mut AnyConnection) -> Result<Option<i64>, StorageError> {
    Ok(clients::table.select(diesel::dsl::max(clients::access_token_lifetime)).get_result(connection)?)
}

fn row(client: &Client) -> Row {
    let (settings, previous) = (&client.settings, client.secrets.previous);
    let list = |items: &[String]| serde_json::json!(items).to_string();
    Row {
        client_id: client.id.to_string(),
        client_name: settings.client_name.clone(),
        secret_digest: client.secrets.current.as_bytes().to_vec(),
        previous_secret_digest: previous.map(|(digest, _)| digest.as_bytes().to_vec()),
        previous_secret_until: previous.map(|(_, until)| until.0),
        auth_method: auth_method_name(settings.auth_method).to_owned(),
        grant_types: settings.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" "),
        scope: settings.scope.to_string(),
        redirect_uris: list(&settings.redirect_uris),
        contacts: list(&settings.contacts),
        client_uri: settings.client_uri.clone(),
        audiences: list(&settings.audiences),
        access_token_lifetime: settings.access_token_lifetime,
        refresh_token_lifetime: settings.refresh_token_lifetime,
        multi_valued_claims: multi_valued_name(settings.multi_valued_claims).to_owned(),
        signing_algorithm: settings.signing_algorithm.as_str().to_owned(),
        enabled: settings.enabled,
        created_at: client.created_at.0,
        updated_at: client.updated_at.0,
        revision: client.revision,
    }
}

fn client(row: Row) -> Result<Client, StorageError> {
    let bad = |column: &str| unreadable("clients", column);
    let list = |text: &str, column: &str| serde_json::from_str::<Vec<String>>(text).map_err(|_| bad(column));
    let digest = |bytes: &[u8]| Digest::from_slice(bytes).ok_or_else(|| bad("secret_digest"));
    let previous = match (row.previous_secret_digest, row.previous_secret_until) {
        (Some(bytes), Some(until)) => Some((digest(&bytes)?, UnixTime(until))),
        _ => None,
    };
    let grants = row.grant_types.split(' ').filter(|name| !name.is_empty());
    Ok(Client {
        id: ClientId::parse(&row.client_id).ok_or_else(|| bad("client_id"))?,
        settings: ClientSettings {
            client_name: row.client_name,
            grant_types: grants
                .map(GrantType::parse)
                .collect::<Option<_>>()
                .ok_or_else(|| bad("grant_types"))?,
            scope: ScopeSet::parse(&row.scope).map_err(|_| bad("scope"))?,
            redirect_uris: list(&row.redirect_uris, "redirect_uris")?,
            contacts: list(&row.contacts, "contacts")?,
            client_uri: row.client_uri,
            auth_method: if row.auth_method == auth_method_name(AuthMethod::Post) {
                AuthMethod::Post
            } else {
                AuthMethod::Basic
            },
            audiences: list(&row.audiences, "audiences")?,
            access_token_lifetime: row.access_token_lifetime,
            refresh_token_lifetime: row.refresh_token_lifetime,
            multi_valued_claims: if row.multi_valued_claims == "string" {
                MultiValued::Text
            } else {
                MultiValued::Array
            },
            signing_algorithm: row.signing_algorithm.parse().map_err(|_| bad("signing_algorithm"))?,
            enabled: row.enabled,
        },
        secrets: ClientSecrets { current: digest(&row.secret_digest)?, previous },
        created_at: UnixTime(row.created_at),
        updated_at: UnixTime(row.updated_at),
        revision: row.revision,
    })
}

fn auth_method_name(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::Basic => "client_secret_basic",
        AuthMethod::Post => "client_secret_post",
    }
}

fn multi_valued_name(several: MultiValued) -> &'static str {
    match several {
        MultiValued::Array => "array",
        MultiValued::Text => "string",
    }
}
