//! How an API's backends are spoken to: in which version of HTTP, and whom TLS takes for them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;

use crate::domain::certificate::{self, BadCertificate};

/// The most certificates, and the most pinned keys, of one API.
pub const MOST: usize = 10;
/// The longest name that a server can be asked for (RFC 1035, section 2.3.4).
pub const LONGEST_NAME: usize = 253;

/// How an API's backends are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transport {
    /// The version of HTTP.
    pub protocol: Protocol,
    /// For https; `None` goes by the system's certificates and the URL's host.
    pub tls: Option<BackendTls>,
}

/// The version of HTTP that a backend is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by ALPN over TLS, else with prior knowledge (RFC 9113, section 3.3).
    Http2,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == text)
    }
}

/// Whom TLS takes for the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BackendTls {
    /// PEM certificates that count instead of the system's; none leaves it at the system's.
    pub ca: Vec<String>,
    /// Each the SHA-256 of a SubjectPublicKeyInfo. Without `ca` the key stands in for chain and name.
    pub pinned_keys: Vec<Digest>,
    /// Asked for, and looked for in the certificate, instead of the URL's host.
    pub server_name: Option<String>,
}

impl BackendTls {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ca.is_empty() && self.pinned_keys.is_empty() && self.server_name.is_none()
    }

    /// The certificates that do not hold at `now`, each with its place and what to do.
    #[must_use]
    pub fn outdated(&self, now: UnixTime) -> Vec<(usize, String)> {
        let check = |pem: &String| certificate::inspect(pem, now).err().map(fault);
        self.ca.iter().enumerate().filter_map(|(place, pem)| Some((place, check(pem)?))).collect()
    }
}

/// Takes a PEM text of one or several certificates apart, whatever their dates.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_certificates(pem: &str) -> Result<Vec<String>, String> {
    let read = certificate::read(pem).map_err(fault)?;
    Ok(read.into_iter().map(|certificate| certificate.pem).collect())
}

fn fault(why: BadCertificate) -> String {
    match why {
        BadCertificate::Expired(at) => {
            format!(
                "has expired at {}; send the certificate that the backend's is signed with now",
                at.rfc3339()
            )
        }
        BadCertificate::PrivateKey => {
            "holds a private key; never send it to anyone: treat it as stolen, and send only the certificate"
                .to_owned()
        }
        BadCertificate::PublicKey => {
            "holds a public key; send a certificate, or the key's SHA-256 in pinned_sha256".to_owned()
        }
        BadCertificate::Key(why) => {
            format!("cannot be used: {why}; pin the backend's key in pinned_sha256 instead")
        }
        BadCertificate::NotPem
        | BadCertificate::Request
        | BadCertificate::NotYetValid(_)
        | BadCertificate::TooMany
        | BadCertificate::TooLong => why.to_string(),
    }
}

/// Reads the digest of a key: 64 hexadecimal digits, also with colons between them, or base64 as in HTTP's pins, also
/// with `sha256/` or curl's `sha256//` in front.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_pin(text: &str) -> Result<Digest, &'static str> {
    const BAD: &str =
        "must be the SHA-256 of the key's SubjectPublicKeyInfo, as 64 hexadecimal digits or as base64";
    let hex: String = text.chars().filter(|c| *c != ':').collect();
    let bytes = if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let pair = |place: usize| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok();
        (0..32).map(|n| pair(n * 2)).collect::<Option<Vec<u8>>>()
    } else {
        let text = text.strip_prefix("sha256/").unwrap_or(text);
        STANDARD.decode(text.strip_prefix('/').filter(|rest| rest.len() == 44).unwrap_or(text)).ok()
    };
    bytes.and_then(|bytes| Digest::from_slice(&bytes)).ok_or(BAD)
}

/// Reads the name of a server: a host name without wildcard or port, or an address.
///
/// # Errors
/// What is wrong, and the remedy.
pub fn parse_server_name(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "must be a host name such as backend.example, without wildcard, port or slash";
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_name = text.len() <= LONGEST_NAME && text.split('.').all(is_label);
    if is_name { Ok(text.to_ascii_lowercase()) } else { Err(BAD) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_reads_in_the_spellings_that_tools_print() {
        let digest = Digest::of(b"key");
        let hex = digest.hex();
        let colons: Vec<&str> = (0..32).map(|n| &hex[n * 2..n * 2 + 2]).collect();
        let base64 = STANDARD.encode(digest.as_bytes());
        let spellings = [
            hex.clone(),
            hex.to_uppercase(),
            colons.join(":"),
            base64.clone(),
            format!("sha256/{base64}"),
            format!("sha256//{base64}"),
        ];
        for text in spellings {
            assert_eq!(parse_pin(&text), Ok(digest), "{text}");
        }
        for text in ["", "00", &hex[1..], "sha256/", &format!("{hex}00"), "sha1/AAAA", "\u{e4}"] {
            assert!(parse_pin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_name_is_one_host() {
        for good in ["backend.example", "localhost", "10.0.0.1", "::1", "A-b.example"] {
            assert!(parse_server_name(good).is_ok(), "{good}");
        }
        for bad in ["", "*.example", "a b", "a:80", "a/b", ".a", "a..b", "-a", "ä.example", &"a".repeat(300)]
        {
            assert!(parse_server_name(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_server_name("B.Example").as_deref(), Ok("b.example"));
    }

    #[test]
    fn every_protocol_reads_back() {
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::parse(protocol.as_str()), Some(protocol));
        }
    }
}
