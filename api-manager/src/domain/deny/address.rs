//! A range of IP addresses in CIDR form (RFC 4632, section 3.1; RFC 4291, section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses that begin with the same bits. IPv4 addresses inside IPv6 (`::ffff:0:0/96`) are IPv4 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    family: Family,
    /// From the left, the rest zero.
    bits: u128,
    length: u8,
}

/// Which protocol's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// 32 bits.
    V4,
    /// 128 bits.
    V6,
}

impl Family {
    fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl AddressRange {
    /// Reads an address, or a range such as `203.0.113.0/24`.
    ///
    /// # Errors
    /// What is wrong, and the remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "must be an IP address or a range such as 203.0.113.0/24 or 2001:db8::/32";
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => (address, Some(length)),
        };
        let address: IpAddr = address.parse().map_err(|_| FORM.to_owned())?;
        let written = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => written,
            // No sign, no leading zero: each range has one spelling.
            Some(length) if length.len() > 1 && !length.starts_with(|c| ('1'..='9').contains(&c)) => {
                return Err(FORM.to_owned());
            }
            Some(length) => {
                let length: u8 = length.parse().map_err(|_| FORM.to_owned())?;
                if length > written {
                    return Err(format!("has a prefix longer than its {written} bits"));
                }
                length
            }
        };
        let inside = address.to_canonical().is_ipv4() && address.is_ipv6();
        let length = match (inside, length.checked_sub(96)) {
            (false, _) => length,
            (true, Some(length)) => length,
            (true, None) => return Err("mixes IPv4 and IPv6 addresses; write two ranges".to_owned()),
        };
        let range = Self::around(address, length).ok_or_else(|| FORM.to_owned())?;
        let (_, bits) = left_aligned(address);
        if range.bits != bits {
            return Err(format!("has bits beyond its prefix; write {range}"));
        }
        Ok(range)
    }

    /// The range of that length around an address; `None` where addresses of its family are shorter.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Option<Self> {
        let (family, bits) = left_aligned(address);
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        (length <= family.width()).then_some(Self { family, bits: bits & mask, length })
    }

    /// Which protocol's addresses it holds, and how many bits they have in common.
    #[must_use]
    pub fn shape(self) -> (Family, u8) {
        (self.family, self.length)
    }

    /// Whether it holds the address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::around(address, self.length) == Some(self)
    }
}

fn left_aligned(address: IpAddr) -> (Family, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (Family::V4, u128::from(address.to_bits()) << 96),
        IpAddr::V6(address) => (Family::V6, address.to_bits()),
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::V4 => {
                let bits = u32::try_from(self.bits >> 96).unwrap_or_default();
                write!(f, "{}/{}", Ipv4Addr::from_bits(bits), self.length)
            }
            Family::V6 => write!(f, "{}/{}", Ipv6Addr::from_bits(self.bits), self.length),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> AddressRange {
        AddressRange::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_a_range_of_one() {
        assert_eq!(range("203.0.113.7").to_string(), "203.0.113.7/32");
        assert_eq!(range("2001:db8::1").to_string(), "2001:db8::1/128");
        assert_eq!(range("::ffff:203.0.113.7"), range("203.0.113.7"));
        assert_eq!(range("::ffff:203.0.113.0/120"), range("203.0.113.0/24"));
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_remedy() {
        for bad in [
            "",
            "/",
            "1.2.3",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.4/+8",
            "1.2.3.4/-1",
            "1.2.3.0/024",
            "01.2.3.4",
            "1.2.3.4/32/1",
            "::/129",
            "::ffff:1.2.3.4/64",
            "host",
            "1.2.3.4 ",
            "fe80::1%eth0",
            "[::1]",
        ] {
            assert!(AddressRange::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            AddressRange::parse("203.0.113.7/24"),
            Err("has bits beyond its prefix; write 203.0.113.0/24".to_owned())
        );
    }

    #[test]
    fn a_range_holds_its_own_family_only() {
        assert!(range("0.0.0.0/0").contains("255.1.2.3".parse().unwrap()));
        assert!(range("0.0.0.0/0").contains("::ffff:1.2.3.4".parse().unwrap()));
        assert!(!range("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(!range("::/0").contains("1.2.3.4".parse().unwrap()));
        assert!(range("::/0").contains("::1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_range_reads_back_and_holds_what_shares_its_prefix(bits: u32, length in 0_u8..=32, other: u32) {
            let range = AddressRange::around(Ipv4Addr::from_bits(bits).into(), length).unwrap();
            prop_assert_eq!(AddressRange::parse(&range.to_string()), Ok(range));
            let same = bits.checked_shr(32 - u32::from(length)) == other.checked_shr(32 - u32::from(length));
            prop_assert_eq!(range.contains(Ipv4Addr::from_bits(other).into()), same || length == 0);
        }

        #[test]
        fn a_range_of_ipv6_reads_back(bits: u128, length in 0_u8..=128) {
            let range = AddressRange::around(Ipv6Addr::from_bits(bits).into(), length);
            prop_assume!(range.is_some());
            let range = range.unwrap();
            prop_assert!(range.contains(Ipv6Addr::from_bits(bits).into()));
            prop_assume!(range.shape().0 == Family::V6 && !range.to_string().starts_with("::ffff:"));
            prop_assert_eq!(AddressRange::parse(&range.to_string()), Ok(range));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f:./%]{0,24}|\\PC{0,24}") {
            let _ = AddressRange::parse(&text);
        }
    }
}
