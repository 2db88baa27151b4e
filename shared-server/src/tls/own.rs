//! A self-signed certificate of our own making, kept in the data directory.

use std::net::IpAddr;
use std::path::Path;

use log::{info, warn};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use shared_claims::clock::UnixTime;

use super::{Pair, TlsError};
use crate::sealing::{MasterKey, private_dir, write_private};

const DAY: i64 = 24 * 60 * 60;
/// What browsers accept of a certificate that a user trusts by hand.
pub(super) const LIFETIME: i64 = 825 * DAY;
/// Own certificates are re-made when they have no more than this left.
pub(super) const RENEWAL: i64 = 7 * DAY;
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The purpose for which the own key is sealed.
const CONTEXT: &str = "the key of the self-signed TLS certificate";

/// The self-signed certificate of the data directory, made where there is none that will do.
pub(super) fn own_pair(
    data_dir: &Path,
    master: &MasterKey,
    hosts: &[String],
    now: UnixTime,
) -> Result<Pair, TlsError> {
    let hosts: Vec<Host> = OWN_HOSTS
        .into_iter()
        .chain(hosts.iter().map(String::as_str))
        .map(Host::parse)
        .collect::<Result<_, _>>()?;
    let (certificate_path, key_path) = (data_dir.join("tls.crt"), data_dir.join("tls.key.sealed"));

    if certificate_path.exists() {
        match kept_pair(&certificate_path, &key_path, master) {
            Some(pair) if still_good(&pair, &hosts, now)? => return Ok(pair),
            Some(_) => info!("the self-signed TLS certificate is old or lacks a host; making another"),
            None => {
                warn!("the self-signed TLS certificate is damaged or its key does not open; making another")
            }
        }
    }

    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let certificate = self_signed(&key, &hosts, now)?;
    let sealed = master.seal(CONTEXT, &zeroize::Zeroizing::new(key.private_key_to_pkcs8()?))?;
    private_dir(data_dir)?;
    write_private(&key_path, &sealed)?;
    write_private(&certificate_path, &certificate.to_pem()?)?;
    Ok(Pair { chain: vec![certificate], key })
}

fn kept_pair(certificate: &Path, key: &Path, master: &MasterKey) -> Option<Pair> {
    let certificate = X509::from_pem(&std::fs::read(certificate).ok()?).ok()?;
    let key = master.open(CONTEXT, &std::fs::read(key).ok()?).ok()?;
    let key = PKey::private_key_from_der(&key).ok()?;
    // Two processes that made one at the same time may each have written one half.
    let whole = certificate.public_key().ok()?.public_eq(&key);
    whole.then(|| Pair { chain: vec![certificate], key })
}

fn still_good(pair: &Pair, hosts: &[Host], now: UnixTime) -> Result<bool, ErrorStack> {
    let Some(certificate) = pair.chain.first() else { return Ok(false) };
    let needed = Asn1Time::from_unix(now.plus(RENEWAL).0)?;
    let covered = names(certificate);
    Ok(certificate.not_after() > needed && hosts.iter().all(|host| covered.contains(host)))
}

pub(super) fn self_signed(key: &PKey<Private>, hosts: &[Host], now: UnixTime) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "Countersign")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let (from, until) = (Asn1Time::from_unix(now.0)?, Asn1Time::from_unix(now.plus(LIFETIME).0)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut names = SubjectAlternativeName::new();
    for host in hosts {
        match host {
            Host::Name(name) => names.dns(name),
            Host::Address(address) => names.ip(&address.to_string()),
        };
    }
    let names = names.build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// What a certificate can be valid for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    pub(super) fn parse(text: &str) -> Result<Self, TlsError> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._*".contains(c));
        if fits { Ok(Self::Name(text.to_ascii_lowercase())) } else { Err(TlsError::Host(text.to_owned())) }
    }
}

pub(super) fn names(certificate: &X509) -> Vec<Host> {
    let address = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(Host::Address)
    };
    let names = certificate.subject_alt_names().into_iter().flatten();
    names
        .filter_map(|name| match name.dnsname() {
            Some(name) => Some(Host::Name(name.to_ascii_lowercase())),
            None => name.ipaddress().and_then(address),
        })
        .collect()
}
