//! What an operator may set: defaults, then a TOML file, then `API_MANAGER_…`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssl::x509::X509;
use shared_claims::secret::Secret;
use shared_server::database::DatabaseUrl;
use shared_server::outbound::{OutboundPolicy, Trusted, read_certificates};
use shared_server::settings::{Loader, SettingsError};
use shared_server::telemetry::LogFormat;
use shared_server::tls::TlsFiles;

/// The prefix of the environment variables.
pub const PREFIX: &str = "API_MANAGER_";

/// Validated settings; nothing of them is global.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the database, keys and certificates are.
    pub data_dir: PathBuf,
    /// SQLite in the data dir, or PostgreSQL.
    pub database_url: DatabaseUrl,
    /// The most database connections.
    pub database_connections: u32,
    /// Token endpoint and management REST, TLS.
    pub listen: SocketAddr,
    /// The gateway, TLS.
    pub gateway_listen: SocketAddr,
    /// The gateway without TLS, where the operator asks for it.
    pub gateway_http_listen: Option<SocketAddr>,
    /// How clients reach `listen`.
    pub public_url: String,
    /// `iss` of the backend JWT.
    pub issuer: String,
    /// Threads that serve `listen`, and as many for the gateway.
    pub workers: usize,
    /// The most tokens that the gateway remembers; each takes some 200 bytes of memory once it is used.
    pub token_cache: usize,
    /// Threads that hash passwords.
    pub hashing_threads: usize,
    /// The bootstrap administrator's password; made up at the first start where absent.
    pub admin_password: Option<Secret>,
    /// Encrypts private keys at rest; kept in a file of the data dir where absent.
    pub master_key: Option<Secret>,
    /// The operator's certificate and key; self-signed where absent.
    pub tls: Option<TlsFiles>,
    /// Whether backends and JWK sets may be on loopback and private addresses.
    pub allow_private_backends: bool,
    /// Trusted besides the system's certificates: by the gateway for backends, and for JWK sets and metadata.
    pub outbound_ca: Vec<X509>,
    /// Whether a `jwks_uri` may be plain http.
    pub allow_http_jwks: bool,
    /// Whether a publisher may have an OpenAPI document fetched from a URL.
    pub allow_openapi_fetch: bool,
    /// The log filter.
    pub log: String,
    /// The log format.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads and checks everything; all problems are reported at once.
    ///
    /// # Errors
    /// [`SettingsError`] with every problem and its key.
    pub fn read(mut loader: Loader) -> Result<Self, SettingsError> {
        let data_dir =
            PathBuf::from(loader.text("data_dir").unwrap_or_else(|| "data/api-manager".to_owned()));
        let database_url = database_url(&mut loader, &data_dir);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let public_url = loader.text("public_url").unwrap_or_else(|| "https://localhost:9444".to_owned());
        if !public_url.starts_with("https://") && !public_url.starts_with("http://") {
            loader.problem(
                "public_url",
                "must begin with https://; set the URL under which clients reach this server",
            );
        }
        let public_url = public_url.trim_end_matches('/').to_owned();
        let tls = tls_files(&mut loader);
        let settings = Self {
            database_url,
            database_connections: loader.parsed(
                "database_connections",
                8,
                "a number of connections from 1 to 200",
            ),
            listen: loader.parsed(
                "listen",
                SocketAddr::from(([0, 0, 0, 0], 9444)),
                "an address and port such as 0.0.0.0:9444",
            ),
            gateway_listen: loader.parsed(
                "gateway_listen",
                SocketAddr::from(([0, 0, 0, 0], 8244)),
                "an address and port such as 0.0.0.0:8244",
            ),
            gateway_http_listen: plain_listener(&mut loader),
            issuer: loader.text("issuer").unwrap_or_else(|| public_url.clone()),
            public_url,
            workers: loader.parsed("workers", cores, "a number of threads from 1 to 512"),
            token_cache: loader.parsed("token_cache", 1_000_000, "a number of tokens from 1000 to 100000000"),
            hashing_threads: loader.parsed("hashing_threads", cores, "a number of threads from 1 to 64"),
            admin_password: loader.secret("admin_password"),
            master_key: loader.secret("master_key"),
            tls,
            allow_private_backends: loader.flag("allow_private_backends", false),
            outbound_ca: outbound_ca(&mut loader),
            allow_http_jwks: loader.flag("allow_http_jwks", false),
            allow_openapi_fetch: loader.flag("allow_openapi_fetch", false),
            log: loader.text("log").unwrap_or_else(|| "info".to_owned()),
            log_format: loader.parsed("log_format", LogFormat::Text, "text or json"),
            data_dir,
        };
        if !(1..=512).contains(&settings.workers) {
            loader.problem("workers", "is out of range; set a number of threads from 1 to 512");
        }
        if !(1_000..=100_000_000).contains(&settings.token_cache) {
            loader.problem("token_cache", "is out of range; set a number from 1000 to 100000000");
        }
        if !(1..=64).contains(&settings.hashing_threads) {
            loader.problem("hashing_threads", "is out of range; set a number of threads from 1 to 64");
        }
        if !(1..=200).contains(&settings.database_connections) {
            loader.problem("database_connections", "is out of range; set a number from 1 to 200");
        }
        loader.finish().map(|()| settings)
    }

    /// Settings for a server of a test: ports of the system's choice, administrator `admin`, private backends allowed.
    #[must_use]
    pub fn for_tests(data_dir: &Path) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data_dir: data_dir.to_owned(),
            database_url: DatabaseUrl::Sqlite(data_dir.join("api-manager.db")),
            database_connections: 4,
            listen: anywhere,
            gateway_listen: anywhere,
            gateway_http_listen: Some(anywhere),
            public_url: "https://localhost:9444".to_owned(),
            issuer: "https://localhost:9444".to_owned(),
            workers: 2,
            token_cache: 1_000_000,
            hashing_threads: 2,
            admin_password: Some(Secret::new("admin")),
            master_key: None,
            tls: None,
            allow_private_backends: true,
            outbound_ca: Vec::new(),
            allow_http_jwks: true,
            allow_openapi_fetch: true,
            log: "warn".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

impl Settings {
    /// What may be connected to from here, and whose certificates count.
    #[must_use]
    pub fn outbound(&self, connect_timeout: Duration) -> OutboundPolicy {
        let besides = (!self.outbound_ca.is_empty()).then(|| Trusted::Besides(self.outbound_ca.clone()));
        OutboundPolicy {
            allow_private: self.allow_private_backends,
            verify_tls: true,
            ca: besides,
            connect_timeout,
        }
    }
}

/// Reads a text file that the command line names.
///
/// # Errors
/// The file cannot be read, or is no UTF-8.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

fn database_url(loader: &mut Loader, data_dir: &Path) -> DatabaseUrl {
    // Read as a secret: the URL may hold a password.
    let text = loader.secret("database_url").unwrap_or_else(|| Secret::new("sqlite://api-manager.db"));
    DatabaseUrl::parse(text.expose(), data_dir).unwrap_or_else(|problem| {
        loader.problem("database_url", problem);
        DatabaseUrl::Sqlite(data_dir.join("api-manager.db"))
    })
}

fn plain_listener(loader: &mut Loader) -> Option<SocketAddr> {
    let text = loader.text("gateway_http_listen")?;
    let address = text.parse().ok();
    if address.is_none() {
        loader.problem(
            "gateway_http_listen",
            "is no address and port; set one such as 127.0.0.1:8281, or leave it out",
        );
    }
    address
}

fn outbound_ca(loader: &mut Loader) -> Vec<X509> {
    let Some(path) = loader.text("outbound_ca") else { return Vec::new() };
    read_certificates(Path::new(&path)).unwrap_or_else(|problem| {
        loader.problem("outbound_ca", problem);
        Vec::new()
    })
}

fn tls_files(loader: &mut Loader) -> Option<TlsFiles> {
    match (loader.text("tls_certificate"), loader.text("tls_key")) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.into(), key: key.into() }),
        (None, None) => None,
        (Some(_), None) => {
            loader.problem("tls_key", "is missing; a certificate needs its key");
            None
        }
        (None, Some(_)) => {
            loader.problem("tls_certificate", "is missing; a key needs its certificate");
            None
        }
    }
}
