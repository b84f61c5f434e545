//! Which addresses are those of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address that is not public. `None` for a public address.
///
/// An IPv6 address that embeds an IPv4 address (mapped, NAT64, 6to4) has the kind of the latter. A network may
/// translate it, so it must not bypass the check.
pub(in crate::platform) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [127, ..] => "a loopback address",
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => "a private address",
        // The metadata services of clouds are here.
        [169, 254, ..] => "a link-local address",
        [100, 64..=127, ..] => "an address behind a carrier's NAT",
        [0, ..] => "an unspecified address",
        [224..=239, ..] => "a multicast address",
        // Protocol assignments, documentation, relays of 6to4, benchmarks, and unassigned ranges.
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(meant) = embedded(address) {
        return v4(meant);
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0xfc00..=0xfdff, ..] => "a unique local address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfec0..=0xfeff, ..] => "a private address",
        [0xff00..=0xffff, ..] => "a multicast address",
        // Teredo and other assignments of the IETF, and documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => "a reserved address",
        // All public addresses that are assigned.
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    })
}

/// The IPv4 address that an IPv6 address embeds.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    // Mapped, NAT64's well-known prefix, and 6to4.
    let ([0, 0, 0, 0, 0, 0xffff, high, low]
    | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
    | [0x2002, high, low, ..]) = address.segments()
    else {
        return None;
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        not_public(address.parse().unwrap())
    }

    #[test]
    fn an_address_that_is_not_public_has_a_kind() {
        for (addresses, expected) in [
            (&["127.0.0.1", "127.255.255.255", "::1"][..], "a loopback address"),
            (
                &["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fec0::1"],
                "a private address",
            ),
            (&["169.254.0.0", "169.254.169.254", "fe80::1", "febf::1"], "a link-local address"),
            (&["fc00::1", "fd00:ec2::254", "fdff::1"], "a unique local address"),
            (&["100.64.0.1", "100.127.255.255"], "an address behind a carrier's NAT"),
            (&["0.0.0.0", "0.1.2.3", "::"], "an unspecified address"),
            (&["224.0.0.1", "239.255.255.255", "ff02::1"], "a multicast address"),
            (
                &[
                    "192.0.0.1",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.18.0.1",
                    "198.19.255.255",
                    "198.51.100.1",
                    "203.0.113.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "2001::1",
                    "2001:1ff::1",
                    "2001:db8::1",
                    "3fff::1",
                    "64:ff9b:1::1",
                    "100::1",
                    "4000::1",
                    "::7f00:1",
                    "5f00::1",
                ],
                "a reserved address",
            ),
        ] {
            for address in addresses {
                assert_eq!(kind(address), Some(expected), "{address}");
            }
        }
    }

    #[test]
    fn an_embedded_ipv4_address_decides_the_kind() {
        for disguise in ["::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"] {
            assert_eq!(kind(disguise), Some("a link-local address"), "{disguise}");
        }
        assert_eq!(kind("::ffff:127.0.0.1"), Some("a loopback address"));
        for public in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
            assert_eq!(kind(public), None, "{public}");
        }
    }

    #[test]
    fn the_neighbours_of_refused_ranges_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2606:4700::1111",
            "3ffe::1",
            "3fff:1000::1",
        ] {
            assert_eq!(kind(address), None, "{address}");
        }
    }
}
