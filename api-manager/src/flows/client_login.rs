//! An application's key proves itself at the token endpoint (RFC 6749, section 2.3.1).

use shared_claims::clock::UnixTime;
use shared_claims::credentials::Pair;
use shared_claims::secret::Digest;
use shared_server::database::AnyConnection;

use super::Denied;
use crate::app::App;
use crate::domain::application::{ApplicationKey, Client};
use crate::storage::{application_keys, applications};

/// The longest client identifier that is looked up.
const LONGEST_KEY: usize = 255;

/// Finds the client that one of the readings of its credentials fits.
///
/// # Errors
/// [`Denied::Client`], or [`Denied::Storage`].
pub async fn client_login(app: &App, readings: Vec<Pair>, now: UnixTime) -> Result<Client, Denied> {
    let found = app.database.look_up(move |connection| {
        let key = proven_key(connection, &readings, now)?;
        // Keys go with their application; this only covers the moment in between.
        let application = applications::find(connection, key.application_id)?.ok_or(Denied::Client)?;
        Ok(Client { key, application })
    });
    found.await
}

/// The key that one of the readings of a client's credentials fits. All readings are tried, and an unknown client costs
/// what a wrong secret costs.
pub(super) fn proven_key(
    connection: &mut AnyConnection,
    readings: &[Pair],
    now: UnixTime,
) -> Result<ApplicationKey, Denied> {
    let mut found = None;
    for Pair { name, secret } in readings {
        let key = if is_plausible(name) { application_keys::find(connection, name)? } else { None };
        let fits = fits(key.as_ref(), secret.digest(), now);
        found = found.or(key.filter(|_| fits));
    }
    found.ok_or(Denied::Client)
}

/// Compares with the present and the previous secret, or with nothing that fits, in the same time.
pub(super) fn fits(key: Option<&ApplicationKey>, presented: Digest, now: UnixTime) -> bool {
    // No text has this digest, so nothing compares equal to it.
    let nothing = (Digest::from_slice(&[0; 32]), UnixTime(0));
    let present = key.map_or(nothing.0, |key| Some(key.secret_digest));
    let previous = key.and_then(|key| key.previous_secret);
    let (previous, until) = previous.map_or(nothing, |(digest, until)| (Some(digest), until));
    let is_present = present == Some(presented);
    let is_previous = previous == Some(presented);
    is_present || (is_previous && now < until)
}

/// Whether `name` may be looked up at all: PostgreSQL takes no NUL in a text.
fn is_plausible(name: &str) -> bool {
    name.len() <= LONGEST_KEY && !name.chars().any(char::is_control)
}
