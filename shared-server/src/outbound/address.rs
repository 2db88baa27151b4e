//! Which addresses are not the public internet.

use std::net::{IpAddr, Ipv4Addr};

/// Whether `ip` is anything else than an address of the public internet: loopback, link-local (which holds
/// the clouds' metadata service, 169.254.169.254), private, shared, multicast, for documentation, or reserved
/// (the IANA special-purpose registries of RFC 6890), also where an IPv6 address carries such an IPv4
/// address.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    let v6 = match ip {
        IpAddr::V4(v4) => return is_private_v4(v4),
        IpAddr::V6(v6) => v6,
    };
    let carried = |high: u16, low: u16| is_private_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        // Mapped, and the well-known prefix of NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        // 6to4
        [0x2002, high, low, ..] => carried(high, low),
        // IETF protocols (Teredo among them), and documentation twice.
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        [0x3fff, second, ..] => second < 0x1000,
        // All else that is public begins with 001; this leaves out ::, ::1, fc00::/7, fe80::/10, ff00::/8 and
        // more.
        [first, ..] => first >> 13 != 1,
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    match ip.octets() {
        [0 | 10 | 127, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => second & 0xf0 == 16,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [198, second, ..] => second & 0xfe == 18,
        [first, ..] => first >= 224,
    }
}
