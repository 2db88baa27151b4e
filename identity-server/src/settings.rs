//! The server's settings: the only place here that reads files and standard input.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use shared_claims::secret::Secret;
use shared_server::database::DatabaseUrl;
use shared_server::settings::{Loader, SettingsError};
use shared_server::telemetry::LogFormat;
use shared_server::tls::TlsFiles;

/// What the environment variables of this server begin with.
pub const PREFIX: &str = "IDENTITY_SERVER_";
const DEFAULT_PUBLIC_URL: &str = "https://localhost:9443";
const DEFAULT_DATABASE: &str = "sqlite://identity-server.db";

/// Everything that an operator decides; validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where keys, certificates and the SQLite file are kept; made with mode 0700.
    pub data_dir: PathBuf,
    /// The database.
    pub database_url: DatabaseUrl,
    /// Where to listen; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where others reach this server, without a slash at the end.
    pub public_url: String,
    /// `iss`, byte for byte; the public URL where not said otherwise.
    pub issuer: String,
    /// Audiences of the tokens of clients that have none of their own.
    pub audiences: Vec<String>,
    /// Whether anybody may make a user of their own.
    pub signup: bool,
    /// Threads that answer requests.
    pub workers: usize,
    /// Threads that hash passwords, each with 19 MiB while it works.
    pub hashing_threads: usize,
    /// Connections to the database.
    pub database_connections: u32,
    /// The administrator's password; made up at the first start where absent.
    pub admin_password: Option<Secret>,
    /// Seals private keys; in the data directory where absent.
    pub master_key: Option<Secret>,
    /// The certificate to show; self-signed where absent.
    pub tls: Option<TlsFiles>,
    /// A filter for the log, as `env_logger` reads it.
    pub log: String,
    /// How log lines are written.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads every key.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(mut loader: Loader) -> Result<Self, SettingsError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let data_dir =
            PathBuf::from(loader.text("data_dir").unwrap_or_else(|| "./data/identity-server".to_owned()));
        let database_url = loader.secret("database_url").unwrap_or_else(|| Secret::new(DEFAULT_DATABASE));
        // Exposed to be taken apart; it may hold a password.
        let database_url = DatabaseUrl::parse(database_url.expose(), &data_dir).unwrap_or_else(|why| {
            loader.problem("database_url", why);
            DatabaseUrl::Sqlite(data_dir.join("identity-server.db"))
        });
        let public_url = loader.text("public_url").unwrap_or_else(|| DEFAULT_PUBLIC_URL.to_owned());
        if !is_base_url(&public_url) {
            loader.problem(
                "public_url",
                "is not a URL; set one such as https://id.example:9443, without query and fragment",
            );
        }
        let issuer = loader.text("issuer").unwrap_or_else(|| public_url.clone());
        if issuer.trim() != issuer || issuer.chars().any(char::is_control) {
            loader.problem("issuer", "begins or ends with a blank, or holds control characters; remove them");
        }
        let settings = Self {
            listen: loader.parsed(
                "listen",
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 9443),
                "an address such as 0.0.0.0:9443",
            ),
            public_url: public_url.trim_end_matches('/').to_owned(),
            issuer,
            audiences: loader.list("audiences"),
            signup: loader.flag("signup", true),
            workers: bounded(&mut loader, "workers", cores, 256),
            hashing_threads: bounded(&mut loader, "hashing_threads", cores, 64),
            database_connections: u32::try_from(bounded(&mut loader, "database_connections", 8, 256))
                .unwrap_or(8),
            admin_password: loader.secret("admin_password"),
            master_key: loader.secret("master_key"),
            tls: tls(&mut loader),
            log: loader.text("log").unwrap_or_else(|| "info".to_owned()),
            log_format: loader.parsed("log_format", LogFormat::Text, "text or json"),
            data_dir,
            database_url,
        };
        loader.finish()?;
        Ok(settings)
    }

    /// Settings for tests: any free port on loopback, one worker, and the password `admin`.
    #[must_use]
    pub fn for_tests(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            database_url: DatabaseUrl::Sqlite(data_dir.join("identity-server.db")),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            public_url: DEFAULT_PUBLIC_URL.to_owned(),
            issuer: DEFAULT_PUBLIC_URL.to_owned(),
            audiences: Vec::new(),
            signup: true,
            workers: 1,
            hashing_threads: 2,
            database_connections: 4,
            admin_password: Some(Secret::new("admin")),
            master_key: None,
            tls: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

fn bounded(loader: &mut Loader, key: &'static str, default: usize, most: usize) -> usize {
    let number = loader.parsed(key, default, "a whole number");
    if !(1..=most).contains(&number) {
        loader.problem(key, format!("is out of bounds; set a number from 1 to {most}"));
        return default;
    }
    number
}

fn tls(loader: &mut Loader) -> Option<TlsFiles> {
    match (loader.text("tls_certificate"), loader.text("tls_key")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.into(), key: key.into() }),
        (Some(_), None) => {
            loader.problem("tls_key", "is missing; set it beside tls_certificate");
            None
        }
        (None, Some(_)) => {
            loader.problem("tls_certificate", "is missing; set it beside tls_key");
            None
        }
    }
}

/// RFC 8414, section 2: https (or http, behind something that adds TLS), with neither query nor fragment.
fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '\\' | '{' | '}'))
    })
}

/// Reads a password from a file, or from standard input where there is none; a line break at the end does not count.
///
/// # Errors
/// It cannot be read.
pub fn read_password(file: Option<&Path>) -> std::io::Result<Secret> {
    let text = match file {
        Some(path) => Secret::new(std::fs::read_to_string(path)?),
        None => {
            let mut text = String::new();
            std::io::stdin().lock().take(8_192).read_to_string(&mut text)?;
            Secret::new(text)
        }
    };
    let plain = text.expose();
    let plain = plain.strip_suffix('\n').unwrap_or(plain);
    Ok(Secret::new(plain.strip_suffix('\r').unwrap_or(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let env = pairs.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned()));
        Settings::read(Loader::new(PREFIX, None, env).unwrap())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:9443");
        assert_eq!(
            (settings.public_url.as_str(), settings.issuer.as_str()),
            (DEFAULT_PUBLIC_URL, DEFAULT_PUBLIC_URL)
        );
        assert!(settings.signup && settings.tls.is_none() && settings.admin_password.is_none());
    }

    #[test]
    fn the_issuer_is_kept_byte_for_byte() {
        let settings = read(&[("PUBLIC_URL", "https://id.example/a/")]).unwrap();
        assert_eq!(
            (settings.issuer.as_str(), settings.public_url.as_str()),
            ("https://id.example/a/", "https://id.example/a")
        );
        assert_eq!(read(&[("ISSUER", "any string")]).unwrap().issuer, "any string");
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let wrong = [
            ("PUBLIC_URL", "id.example"),
            ("DATABASE_URL", "mysql://x"),
            ("LISTEN", "nowhere"),
            ("WORKERS", "0"),
            ("TLS_KEY", "k.pem"),
            ("LOG_FORMAT", "xml"),
            ("SINGUP", "true"),
        ];
        assert_eq!(read(&wrong).unwrap_err().0.len(), wrong.len());
    }
}
