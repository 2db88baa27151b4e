//! What an access token says (RFC 9068, section 2.2).

use serde_json::{Map, Value, json};
use shared_claims::claims::{AccessTokenClaims, AuthorizedKind};
use shared_claims::clock::UnixTime;
use shared_claims::scope::ScopeSet;

use crate::domain::client::{Client, MANAGEMENT_PREFIX, MultiValued};
use crate::domain::user::User;

/// Who issues, and for whom where a client does not say.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, byte for byte.
    pub name: String,
    /// The audiences of clients that have none of their own.
    pub audiences: Vec<String>,
}

impl Issuer {
    /// The claims of a token for the client itself: `sub` is the client (RFC 9068, section 2.2).
    #[must_use]
    pub fn application_claims(
        &self,
        client: &Client,
        scope: &ScopeSet,
        jti: String,
        now: UnixTime,
    ) -> AccessTokenClaims {
        self.claims(client, scope, jti, now)
    }

    /// The claims of a token for a person, with those attributes that the scopes open.
    #[must_use]
    pub fn user_claims(
        &self,
        client: &Client,
        user: &User,
        scope: &ScopeSet,
        jti: String,
        now: UnixTime,
    ) -> AccessTokenClaims {
        AccessTokenClaims {
            sub: user.name.as_str().to_owned(),
            aut: AuthorizedKind::User,
            attributes: attributes(user, scope, client.settings.multi_valued_claims),
            ..self.claims(client, scope, jti, now)
        }
    }

    fn claims(&self, client: &Client, scope: &ScopeSet, jti: String, now: UnixTime) -> AccessTokenClaims {
        let id = client.id.to_string();
        AccessTokenClaims {
            iss: self.name.clone(),
            sub: id.clone(),
            aud: self.audience(client, scope),
            azp: id.clone(),
            client_id: id,
            exp: now.plus(client.settings.access_token_lifetime),
            iat: now,
            nbf: now,
            jti,
            scope: (!scope.is_empty()).then(|| scope.to_string()),
            aut: AuthorizedKind::Application,
            attributes: Map::new(),
        }
    }

    /// The client first, then its audiences or else the server's. A token that opens this server's management is
    /// meant for this server as well, which insists on it (RFC 9068, section 4).
    fn audience(&self, client: &Client, scope: &ScopeSet) -> Vec<String> {
        let of_client = &client.settings.audiences;
        let further = if of_client.is_empty() { &self.audiences } else { of_client };
        let itself = scope.iter().any(|token| token.starts_with(MANAGEMENT_PREFIX)).then_some(&self.name);
        let mut audience = vec![client.id.to_string()];
        for one in further.iter().chain(itself) {
            if !audience.contains(one) {
                audience.push(one.clone());
            }
        }
        audience
    }
}

/// The attributes that the scopes open, by OpenID Connect's names (OpenID Connect Core, section 5.4).
fn attributes(user: &User, scope: &ScopeSet, several: MultiValued) -> Map<String, Value> {
    let profile = &user.profile;
    let mut claims = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let list = |values: &Vec<String>| match several {
        _ if values.is_empty() => None,
        MultiValued::Array => Some(json!(values)),
        MultiValued::Text => Some(Value::String(values.join(","))),
    };

    put("preferred_username", Some(Value::String(user.name.as_str().to_owned())));
    if scope.contains("profile") {
        put("name", profile.full_name().map(Value::String));
        put("given_name", text(&profile.given_name));
        put("middle_name", text(&profile.middle_name));
        put("family_name", text(&profile.family_name));
        put("nickname", text(&profile.nick_name));
        put("profile", text(&profile.profile_url));
        put("zoneinfo", text(&profile.timezone));
        put("locale", text(&profile.locale));
        put("updated_at", Some(json!(user.updated_at)));
    }
    if scope.contains("email")
        && let Some(email) = profile.email()
    {
        put("email", Some(Value::String(email.to_owned())));
        // Nobody has proved it yet: no mail is sent by this server.
        put("email_verified", Some(Value::Bool(false)));
    }
    if scope.contains("phone")
        && let Some(number) = profile.phone_number()
    {
        put("phone_number", Some(Value::String(number.to_owned())));
        put("phone_number_verified", Some(Value::Bool(false)));
    }
    if scope.contains("address")
        && let Some(address) = profile.addresses.first()
    {
        let members = [
            ("formatted", &address.formatted),
            ("street_address", &address.street_address),
            ("locality", &address.locality),
            ("region", &address.region),
            ("postal_code", &address.postal_code),
            ("country", &address.country),
        ];
        let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value)?)));
        put("address", Some(Value::Object(members.collect())));
    }
    if scope.contains("groups") {
        put("groups", list(&profile.groups));
    }
    if scope.contains("roles") {
        put("roles", list(&profile.roles));
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::tests::client;
    use crate::domain::profile::Contact;
    use crate::domain::user::tests::user;

    const NOW: UnixTime = UnixTime(1_000);

    fn issuer() -> Issuer {
        Issuer { name: "https://id.example".into(), audiences: vec!["https://default.example".into()] }
    }

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn the_client_comes_first_in_the_audience_then_its_own_or_else_the_servers() {
        let mut client = client("");
        let id = client.id.to_string();
        let audience =
            |client: &Client, scope| issuer().application_claims(client, &scopes(scope), "j".into(), NOW).aud;
        assert_eq!(audience(&client, ""), [id.as_str(), "https://default.example"]);
        client.settings.audiences = vec!["https://own.example".into(), id.clone()];
        assert_eq!(audience(&client, ""), [id.as_str(), "https://own.example"]);
        assert_eq!(
            audience(&client, "identity:keys"),
            [id.as_str(), "https://own.example", "https://id.example"]
        );
    }

    #[test]
    fn a_token_for_a_client_names_it_and_no_person() {
        let client = client("");
        let claims = issuer().application_claims(&client, &scopes(""), "j".into(), NOW);
        assert_eq!(
            (claims.sub.clone(), claims.scope, claims.aut),
            (claims.client_id, None, AuthorizedKind::Application)
        );
        assert_eq!((claims.exp, claims.nbf, claims.iat), (UnixTime(1_600), NOW, NOW));
        assert!(claims.attributes.is_empty());
    }

    #[test]
    fn attributes_appear_only_as_scopes_allow() {
        let mut alice = user("alice");
        alice.profile.given_name = Some("Alice".into());
        alice.profile.emails = vec![Contact { value: "a@example.com".into(), kind: None, primary: true }];
        alice.profile.groups = vec!["staff".into(), "wheel".into()];
        let attributes = |scope| attributes(&alice, &scopes(scope), MultiValued::Array);
        assert_eq!(Value::Object(attributes("openid")), json!({"preferred_username": "alice"}));
        assert_eq!(attributes("email")["email"], "a@example.com");
        assert!(!attributes("email").contains_key("given_name"));
        assert_eq!(attributes("profile")["given_name"], "Alice");
        assert!(!attributes("profile").contains_key("groups"));
        assert_eq!(attributes("groups")["groups"], json!(["staff", "wheel"]));
    }

    #[test]
    fn several_values_are_an_array_or_one_string_as_the_client_wishes() {
        let mut alice = user("alice");
        alice.profile.groups = vec!["staff".into(), "wheel".into()];
        let joined = attributes(&alice, &scopes("groups"), MultiValued::Text);
        assert_eq!(joined["groups"], "staff,wheel");
        alice.profile.groups = vec!["staff".into()];
        assert_eq!(attributes(&alice, &scopes("groups"), MultiValued::Array)["groups"], json!(["staff"]));
    }
}
