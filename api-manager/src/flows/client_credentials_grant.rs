//! An application asks for a token on its own behalf (RFC 6749, section 4.4).

use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use super::{Denied, Issued, issue};
use crate::app::App;
use crate::domain::application::Client;
use crate::domain::grant::narrow;
use crate::storage::{apis, grants};

/// Issues a token that stands for the application.
///
/// # Errors
/// [`Denied`].
pub async fn client_credentials_grant(
    app: &App,
    client: Client,
    requested: ScopeSet,
    now: UnixTime,
) -> Result<Issued, Denied> {
    let application = client.application.id;
    let allowed =
        app.database.read(move |connection| apis::scopes_of_subscribed(connection, application)).await?;
    let scopes = narrow(&requested, &allowed)?;
    let (record, issued) = issue::for_application(&client, scopes, now)?;
    app.database
        .write(move |connection| {
            issue::key_remains(connection, &client)?;
            Ok::<_, Denied>(grants::insert(connection, &record)?)
        })
        .await?;
    Ok(issued)
}
