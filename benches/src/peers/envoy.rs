//! Envoy, which knows no opaque tokens: it verifies JWTs, and remembers those that it has verified.

use std::process::Command;

use e2e::idp::{Idp, KeyKind};
use serde_json::{Value, json};
use shared_claims::clock::Clock;

use super::Peer;
use crate::backend::Backend;
use crate::process::{Process, free_addresses};
use crate::run::Run;

/// Envoy that verifies JWTs with its cache on.
pub const ENVOY: &str = "Envoy + JWT cache";

/// Starts it, trusting a provider of its own, with as many JWTs of that one.
pub async fn envoy(run: &Run, backend: &Backend, count: usize) -> Peer {
    let idp = Idp::with_key("https://envoy.example", "measured", KeyKind::Rsa, &Clock::System);
    let until = Clock::System.now().0 + 86_400;
    let tokens: Vec<String> = (0..count)
        .map(|place| idp.sign(&idp.claims(&format!("person-{place}")).with("exp", until)))
        .collect();

    let [plain, secure] = free_addresses();
    let filters = json!([
        {"name": "envoy.filters.http.jwt_authn", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"idp": {
                "issuer": idp.issuer, "audiences": [idp.alias],
                "local_jwks": {"inline_string": json!({"keys": [idp.jwk("1")]}).to_string()},
                "jwt_cache_config": {"jwt_cache_size": count * 2},
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
        }},
        {"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        }},
    ]);
    let manager = json!([{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "guarded", "codec_type": "HTTP1", "generate_request_id": false,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}]}]},
        "http_filters": filters,
    }}]);
    let tls = json!({"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{
                "certificate_chain": {"filename": run.certificate.certificate},
                "private_key": {"filename": run.certificate.key},
            }],
        },
    }});
    let listener = |name: &str, port: u16, chain: Value| json!({"name": name, "address": socket("127.0.0.1", port), "filter_chains": [chain]});
    let (host, port) = backend.address.split_once(':').expect("an address and a port");
    let endpoint = json!({"endpoint": {"address": socket(host, port.parse().expect("a port"))}});
    let configuration = json!({"static_resources": {
        "listeners": [
            listener("plain", plain.port(), json!({"filters": manager})),
            listener("secure", secure.port(), json!({"filters": manager, "transport_socket": tls})),
        ],
        "clusters": [{"name": "backend", "type": "STATIC",
            "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]}}],
    }});
    let file = run.file("envoy.json", configuration.to_string());
    let mut command = Command::new("envoy");
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(file);
    let mut process = Process::start("envoy", &mut command, run.work());
    process.listens(plain).await;
    let (http, https) = (format!("http://{plain}"), format!("https://{secure}"));
    Peer { name: ENVOY, process, http, https, tokens: Some(tokens) }
}

fn socket(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}
