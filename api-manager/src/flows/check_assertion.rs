//! Why an assertion would be taken or refused: the exchange's own steps, walked one by one, changing nothing.

use shared_claims::claims::ClaimSet;
use shared_claims::clock::UnixTime;
use shared_claims::jose::Compact;
use shared_claims::oauth::JWT_BEARER;
use shared_claims::secret::Digest;

use super::Denied;
use super::exchange_assertion::claimed_issuer;
use crate::app::App;
use crate::domain::check::{Check, CheckState};
use crate::domain::identity_provider::{IdentityProvider, RULES, Replay};
use crate::domain::ids::IdentityProviderId;
use crate::issuers::Unverified;
use crate::storage::{application_keys, identity_providers, used_assertions};

/// All steps, in the order of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The provider that the assertion names, if it is registered.
    pub identity_provider: Option<IdentityProviderId>,
    /// The steps.
    pub checks: Vec<Check>,
}

impl Checked {
    /// Whether the exchange would take the assertion.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.checks.iter().all(|check| check.state == CheckState::Passed)
    }

    fn passed(&mut self, name: &'static str, expected: impl Into<String>, seen: impl Into<String>) {
        let (expected, seen) = (expected.into(), Some(seen.into()));
        self.checks.push(Check { name, state: CheckState::Passed, expected, seen, remedy: None });
    }

    fn failed(
        &mut self,
        name: &'static str,
        expected: impl Into<String>,
        seen: impl Into<String>,
        remedy: &'static str,
    ) {
        let (expected, seen) = (expected.into(), Some(seen.into()));
        self.checks.push(Check { name, state: CheckState::Failed, expected, seen, remedy: Some(remedy) });
    }

    /// Ends the walk: what comes after the failed step was not reached.
    fn ended(mut self, provider: Option<&IdentityProvider>, now: UnixTime) -> Self {
        let steps = STEPS_BEFORE.into_iter().map(|(name, expected)| (name, expected.to_owned()));
        let rules = RULES.iter().map(|rule| {
            (rule.name, provider.map_or_else(|| "as the provider asks".to_owned(), |p| rule.expected(p, now)))
        });
        let after =
            [("replay", "not exchanged before, unless the provider's assertions are reusable".to_owned())];
        for (name, expected) in steps.chain(rules).chain(after) {
            if !self.checks.iter().any(|check| check.name == name) {
                self.checks.push(Check {
                    name,
                    state: CheckState::NotReached,
                    expected,
                    seen: None,
                    remedy: None,
                });
            }
        }
        self
    }
}

/// The steps before the claims are looked at.
const STEPS_BEFORE: [(&str, &str); 4] = [
    ("format", "a signed JWT: three base64url parts, JSON objects, no unsupported header"),
    ("issuer", "an identity provider with exactly this issuer"),
    ("enabled", "the provider is enabled"),
    ("signature", "a signature by one of the provider's keys, with an algorithm that it may use"),
];

/// Explains what the exchange would do with an assertion, for a client where one is named.
///
/// # Errors
/// [`Denied::Storage`]; a refusal is part of the answer.
pub async fn check_assertion(
    app: &App,
    assertion: String,
    client_id: Option<String>,
    now: UnixTime,
) -> Result<Checked, Denied> {
    let mut checked = Checked { identity_provider: None, checks: Vec::new() };
    if let Some(client_id) = client_id
        && !check_client(app, &mut checked, client_id).await?
    {
        return Ok(checked.ended(None, now));
    }
    let [format, issuer, enabled, signature] = STEPS_BEFORE;
    let jwt = match Compact::parse(&assertion) {
        Ok(jwt) => jwt,
        Err(fault) => {
            let remedy = "Send the access token or ID token exactly as the identity provider issued it, signed and not encrypted.";
            checked.failed(format.0, format.1, fault.to_string(), remedy);
            return Ok(checked.ended(None, now));
        }
    };
    checked.passed(format.0, format.1, format!("a JWT with alg {}", shown(&jwt.header.alg)));

    let claimed =
        jwt.unverified_claims.get("iss").map_or_else(|| "absent".to_owned(), |iss| shown(&iss.to_string()));
    let provider = match claimed_issuer(&jwt) {
        Some(named) => {
            app.database
                .read(move |connection| identity_providers::find_by_issuer(connection, &named))
                .await?
        }
        None => None,
    };
    let Some(provider) = provider else {
        let remedy = "Register an identity provider with exactly this issuer; spelling, case and a trailing slash all count.";
        checked.failed(issuer.0, issuer.1, claimed, remedy);
        return Ok(checked.ended(None, now));
    };
    checked.identity_provider = Some(provider.id);
    checked.passed(issuer.0, issuer.1, claimed);
    if !provider.enabled {
        checked.failed(enabled.0, enabled.1, "it is disabled", "Enable the provider.");
        return Ok(checked.ended(Some(&provider), now));
    }
    checked.passed(enabled.0, enabled.1, "it is");

    match app.issuers.verify(&provider, &jwt, now).await {
        Ok(verified) => {
            let seen = format!("{} by the key {}", shown(&jwt.header.alg), verified.key_thumbprint);
            checked.passed(signature.0, signature.1, seen);
        }
        Err(Unverified::Fault(cause)) => return Err(Denied::Fault(cause)),
        Err(refused) => {
            let (seen, remedy) = explain_signature(&refused, &jwt.header.alg, &provider);
            checked.failed(signature.0, signature.1, seen, remedy);
            return Ok(checked.ended(Some(&provider), now));
        }
    }
    let signed_part = Digest::of(jwt.signing_input);
    check_claims(app, &mut checked, &provider, (ClaimSet::from(jwt.unverified_claims), signed_part), now)
        .await?;
    Ok(checked.ended(Some(&provider), now))
}

async fn check_client(app: &App, checked: &mut Checked, client_id: String) -> Result<bool, Denied> {
    let seen = shown(&client_id);
    let is_fit = client_id.len() <= 255 && !client_id.chars().any(char::is_control);
    let key = if is_fit {
        app.database.read(move |connection| application_keys::find(connection, &client_id)).await?
    } else {
        None
    };
    let expected = "the consumer key of an application";
    let Some(key) = key else {
        let remedy = "Use the consumer key that the application's keys page shows; the identity provider's client ID goes into the alias.";
        checked.failed("client", expected, seen, remedy);
        return Ok(false);
    };
    checked.passed("client", expected, seen);
    let (expected, seen) = (format!("{JWT_BEARER} among the key's grant types"), key.grant_types.join(", "));
    if key.grant_types.iter().any(|listed| listed == JWT_BEARER) {
        checked.passed("grant_type", expected, seen);
        return Ok(true);
    }
    checked.failed("grant_type", expected, seen, "Add the grant type to the application's key.");
    Ok(false)
}

async fn check_claims(
    app: &App,
    checked: &mut Checked,
    provider: &IdentityProvider,
    (claims, signed_part): (ClaimSet, Digest),
    now: UnixTime,
) -> Result<(), Denied> {
    for rule in &RULES {
        let finding = rule.explain(provider, &claims, now);
        match finding.outcome {
            Ok(()) => checked.passed(rule.name, finding.expected, finding.seen),
            Err(_) => {
                checked.failed(rule.name, finding.expected, finding.seen, finding.remedy);
                return Ok(());
            }
        }
    }
    // Every rule held one by one, so this cannot refuse.
    let accepted = provider.accept(&claims, signed_part, now)?;
    let expected = "not exchanged before, unless the provider's assertions are reusable";
    if provider.replay == Replay::Reusable {
        checked.passed("replay", expected, "reusable");
        return Ok(());
    }
    let issuer = provider.issuer.clone();
    let used = app
        .database
        .read(move |connection| used_assertions::is_claimed(connection, &issuer, &accepted.replay_key, now))
        .await?;
    if used {
        let remedy = "Get a new assertion for every exchange, or set the provider's replay to reusable.";
        checked.failed("replay", expected, "exchanged before", remedy);
    } else {
        checked.passed("replay", expected, "not exchanged yet");
    }
    Ok(())
}

fn explain_signature(refused: &Unverified, alg: &str, provider: &IdentityProvider) -> (String, &'static str) {
    let alg = shown(alg);
    match refused {
        Unverified::Algorithm => {
            let allowed: Vec<&str> = provider.algorithms.iter().map(|a| a.as_str()).collect();
            let seen = format!("alg {alg}, where {} may be used", allowed.join(", "));
            (seen, "Let the identity provider sign with one of these, or add the algorithm to the provider.")
        }
        Unverified::NoFittingKey => {
            let remedy =
                "Register the certificate, or the jwks_uri, that holds the key which signs these tokens.";
            (format!("alg {alg}, which fits none of the registered keys"), remedy)
        }
        Unverified::CertificateExpired => (
            "a good signature, by a certificate that has expired".to_owned(),
            "Register the identity provider's current certificate.",
        ),
        Unverified::CertificateNotYetValid => (
            "a good signature, by a certificate that is not valid yet".to_owned(),
            "Wait until it is, or compare the clocks.",
        ),
        Unverified::Signature => {
            let remedy = "Register the certificate of the key that signed it (compare the thumbprints), and send the assertion unchanged.";
            ("a signature by none of the registered keys".to_owned(), remedy)
        }
        Unverified::KeysUnavailable(failure) => {
            let remedy = "Make jwks_uri reachable from this server, or register the certificate as well.";
            (format!("the JWK set cannot be fetched: {failure}"), remedy)
        }
        Unverified::Fault(_) => ("unknown".to_owned(), "See the server's log."),
    }
}

/// Something that came with the request, bounded.
fn shown(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '?' } else { c }).collect()
}
