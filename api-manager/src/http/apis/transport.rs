//! `backend_protocol` and `backend_tls` of an API, as sent and as shown.

use serde::Serialize;
use serde_json::Value;
use shared_server::fields::Fields;
use utoipa::ToSchema;

use crate::domain::api::transport::{
    BackendTls, LONGEST_NAME, MOST, Protocol, Transport, parse_certificates, parse_pin, parse_server_name,
};
use crate::domain::api::{Backend, Backends};

/// Whom TLS takes for the backends.
#[derive(Serialize, ToSchema)]
#[schema(as = BackendTls)]
pub(super) struct BackendTlsView {
    /// PEM certificates that count instead of the system's. A backend's own self-signed certificate will do.
    ca: Vec<String>,
    /// Each the SHA-256 of the public key (SubjectPublicKeyInfo) of a backend's certificate, in hexadecimal or base64;
    /// any one of them will do. Without `ca` the key stands in for chain and name; with it all three have to be right.
    pinned_sha256: Vec<String>,
    /// Asked for (SNI), and looked for in the certificate, instead of the URL's host.
    server_name: Option<String>,
}

impl BackendTlsView {
    pub(super) fn of(tls: BackendTls) -> Self {
        Self {
            ca: tls.ca,
            pinned_sha256: tls.pinned_keys.iter().map(|digest| digest.hex()).collect(),
            server_name: tls.server_name,
        }
    }
}

/// Reads both members and notes what is wrong; dates are judged where there is a clock.
pub(super) fn read(fields: &mut Fields, backends: &Backends) -> Transport {
    let protocols = Protocol::ALL.map(|protocol| (protocol.as_str(), protocol));
    let protocol = fields.word("backend_protocol", &protocols).unwrap_or_default();
    let tls = fields.object("backend_tls", tls);
    let mut urls = backends.production.iter().chain(&backends.sandbox);
    let is_secure = |backend: &Backend| {
        backend.url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    };
    if tls.is_some() && !urls.any(is_secure) {
        fields.blame("backend_tls", "has no https backend to apply to; leave it out, or correct the URLs");
    }
    Transport { protocol, tls }
}

fn tls(fields: &mut Fields) -> BackendTls {
    let said = ["ca", "pinned_sha256", "server_name"].into_iter().any(|name| fields.has(name));
    let tls =
        BackendTls { ca: certificates(fields), pinned_keys: pins(fields), server_name: server_name(fields) };
    if tls.is_empty() && !said {
        fields.blame(
            "ca",
            "or pinned_sha256 or server_name is required; leave backend_tls out for the system's trust",
        );
    }
    tls
}

fn certificates(fields: &mut Fields) -> Vec<String> {
    let items = match fields.value("ca") {
        None => return Vec::new(),
        Some(Value::Array(items)) if items.len() <= MOST => items,
        Some(_) => {
            fields.blame("ca", format!("must be a list of at most {MOST} PEM texts"));
            return Vec::new();
        }
    };
    let mut all: Vec<String> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let read = item.as_str().map_or_else(|| Err("must be a PEM text".to_owned()), parse_certificates);
        match read {
            Ok(read) => all.extend(read),
            Err(fault) => fields.blame(&format!("ca[{place}]"), fault),
        }
    }
    if all.len() > MOST {
        fields
            .blame("ca", format!("holds more than {MOST} certificates; name the one that signs the others"));
    }
    all
}

fn pins(fields: &mut Fields) -> Vec<shared_claims::secret::Digest> {
    let texts = fields.texts("pinned_sha256", MOST, 200, false).unwrap_or_default();
    let mut pins = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match parse_pin(text) {
            Ok(pin) => pins.push(pin),
            Err(fault) => fields.blame(&format!("pinned_sha256[{place}]"), fault),
        }
    }
    pins
}

fn server_name(fields: &mut Fields) -> Option<String> {
    match parse_server_name(&fields.text("server_name", LONGEST_NAME)?) {
        Ok(name) => Some(name),
        Err(fault) => {
            fields.blame("server_name", fault);
            None
        }
    }
}
