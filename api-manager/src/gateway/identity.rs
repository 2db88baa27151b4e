//! Who calls, told to the backend in a JWT of ours: `X-JWT-Assertion`, or the header that the API names.
//!
//! The claims are JSON inside base64url: nothing that a name holds can become a header. A JWT is signed once for each caller
//! and API, and sent again until it is nearly over or the table has changed.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use shared_claims::clock::UnixTime;
use uuid::Uuid;

use super::refusal::Refusal;
use super::routes::Route;
use super::subscribers::{Right, Subscriber};
use crate::backend_key::BackendKey;
use crate::domain::api::{Api, Definition};
use crate::domain::application::{About, KeyType};
use crate::domain::ids::ApiId;
use crate::domain::principal::{Principal, PrincipalId};

/// The longest life of such a JWT, in seconds.
const LIFETIME: i64 = 900;
/// So long before its end a new one is made, in seconds.
const MARGIN: i64 = 60;
/// The most that are kept; beyond, each call signs anew.
const MOST: usize = 100_000;

/// What a backend hears of its API.
pub struct Told {
    name: String,
    context: String,
    version: String,
    /// Of the table in which the API last changed: what is said of it holds as long as that does.
    revision: i64,
}

impl Told {
    /// Of an API whose backend wants to hear it.
    #[must_use]
    pub fn of(api: &Api, revision: i64) -> Option<Self> {
        let context = format!("/{}/{}", api.context.trim_matches('/'), api.version);
        let (name, version) = (api.name.clone(), api.version.clone());
        api.definition.backend_jwt.then_some(Self { name, context, version, revision })
    }
}

/// The header in which an API's backend hears it, where it names one.
#[must_use]
pub fn header_of(definition: &Definition) -> Option<HeaderName> {
    HeaderName::try_from(definition.backend_jwt_header.as_ref()?).ok()
}

/// The JWTs that are good for another call.
pub struct Assertions {
    issuer: String,
    kept: papaya::HashMap<(PrincipalId, ApiId), Arc<Kept>>,
}

struct Kept {
    value: HeaderValue,
    renew_at: UnixTime,
    revision: i64,
}

impl Assertions {
    /// None yet; they will be of `issuer`.
    #[must_use]
    pub fn new(issuer: String) -> Self {
        Self { issuer, kept: papaya::HashMap::new() }
    }

    /// The header for a call of `caller`, where the API wants one.
    ///
    /// # Errors
    /// [`Refusal::Fault`] where it cannot be signed: a backend that relies on it must not be called without.
    pub fn header(
        &self,
        key: &BackendKey,
        (route, subscriber): (&Route, Option<&Subscriber>),
        caller: &Principal,
        now: UnixTime,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Some(told) = &route.told else { return Ok(None) };
        let subscriber = subscriber.ok_or(Refusal::Fault)?;
        // Of either, every change comes with a later revision than all before it.
        let revision = told.revision.max(subscriber.revision);
        let place = (caller.id(), route.id);
        if let Some(kept) = self.kept.pin().get(&place)
            && now < kept.renew_at
            && kept.revision == revision
        {
            return Ok(Some(kept.value.clone()));
        }
        let known = subscriber.about.as_ref().zip(subscriber.at(route.id)).ok_or(Refusal::Fault)?;
        let end = caller.expires_at();
        let latest = now.plus(LIFETIME);
        let expires_at = end.map_or(latest, |end| end.min(latest));
        let claims = self.claims(told, route.id, known, caller, (now, expires_at))?;
        let signed = key.sign(&claims).map_err(|_| Refusal::Fault)?;
        let mut value = HeaderValue::try_from(signed).map_err(|_| Refusal::Fault)?;
        value.set_sensitive(true);
        // Near the caller's own end a new one would end no later.
        let at_end = Some(expires_at) == end;
        let renew_at = if at_end { expires_at } else { expires_at.minus(MARGIN) };
        let kept = Kept { value: value.clone(), renew_at, revision };
        if self.kept.len() < MOST {
            self.kept.pin().insert(place, Arc::new(kept));
        }
        Ok(Some(value))
    }

    fn claims(
        &self,
        told: &Told,
        api: ApiId,
        (about, right): (&About, &Right),
        caller: &Principal,
        (now, expires_at): (UnixTime, UnixTime),
    ) -> Result<Value, Refusal> {
        let origin = caller.origin();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": caller.subject(),
            "aud": api.to_string(),
            "iat": now.0,
            "exp": expires_at.0,
            "jti": Uuid::now_v7().to_string(),
        });
        let keytype = match caller.key_type() {
            KeyType::Production => "PRODUCTION",
            KeyType::Sandbox => "SANDBOX",
        };
        let dialect = [
            ("subscriber", about.owner.clone()),
            ("applicationid", about.id.to_string()),
            ("applicationname", about.name.clone()),
            ("applicationtier", about.tier.clone()),
            ("apiname", told.name.clone()),
            ("apicontext", told.context.clone()),
            ("version", told.version.clone()),
            ("tier", right.tier.name.to_string()),
            ("keytype", keytype.to_owned()),
            ("usertype", if origin.is_some() { "APPLICATION_USER" } else { "APPLICATION" }.to_owned()),
        ];
        let members = claims.as_object_mut().ok_or(Refusal::Fault)?;
        match caller {
            Principal::Grant(grant) => {
                members.insert("countersign_grant".to_owned(), grant.id().to_string().into());
                members.insert("countersign_family".to_owned(), grant.family().to_string().into());
            }
            Principal::ApiKey(own) => {
                members.insert("countersign_api_key".to_owned(), own.by.id.to_string().into());
            }
            Principal::Certificate(own) => {
                members.insert("countersign_certificate".to_owned(), own.by.id.to_string().into());
            }
            Principal::VouchedFor(caller) => {
                let jti = caller.origin.jti.as_deref();
                members.insert("countersign_assertion".to_owned(), jti.into());
            }
        }
        for (name, value) in dialect {
            members.insert(format!("http://wso2.org/claims/{name}"), value.into());
        }
        // A person's name means something only together with who vouched for it.
        if let Some(origin) = origin {
            members.insert("http://wso2.org/claims/enduser".to_owned(), caller.subject().into_owned().into());
            members.insert("countersign_issuer".to_owned(), origin.issuer.into());
        }
        Ok(claims)
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: UnixTime) {
        self.kept.pin().retain(|_, kept| now < kept.renew_at);
    }
}
