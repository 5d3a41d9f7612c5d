//! Which addresses a call back may go to.
//!
//! Whoever may send a job could otherwise make this server call what only this server can reach: its own admin pages, the
//! router, the cloud's metadata. A name is not enough to tell, since its owner decides what it means and when: every
//! address that it resolves to is checked, and the connection goes to those very addresses.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

/// Longest URL, in bytes.
const LONGEST: usize = 2000;

/// Why a URL cannot be called back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    #[error("an http or https URL of at most {LONGEST} bytes with a host and without a name and password")]
    Url,
    #[error("a public address, unless webhooks.allow_private is set; {0} is private")]
    Private(String),
}

/// Checks what can be checked without looking a name up.
pub fn check(url: &str, allow_private: bool) -> Result<(), CallbackError> {
    if url.len() > LONGEST {
        return Err(CallbackError::Url);
    }
    let url: Uri = url.parse().map_err(|_no_url| CallbackError::Url)?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or(CallbackError::Url)?;
    let has_password = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !matches!(url.scheme_str(), Some("http" | "https")) || has_password {
        return Err(CallbackError::Url);
    }
    if allow_private {
        return Ok(());
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => public(address, bare),
        Err(_a_name) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            // Names that only this machine, or this network, knows.
            let is_local = matches!(name.rsplit('.').next(), Some("localhost" | "local"));
            if is_local { Err(CallbackError::Private(name)) } else { Ok(()) }
        }
    }
}

/// # Errors
/// [`CallbackError::Private`] with `name` for addresses that are not on the public internet.
pub(super) fn public(address: IpAddr, name: impl Display) -> Result<(), CallbackError> {
    let is_public = match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    if is_public { Ok(()) } else { Err(CallbackError::Private(name.to_string())) }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        // "This network", shared address space (RFC 6598), protocol assignments, benchmarks (RFC 2544), reserved.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3; of that, Teredo and 6to4 carry IPv4 addresses of anybody's choice, and 2001:db8::/32 is for
    // documentation. NAT64 (64:ff9b::/96) and unique local addresses lie outside it.
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && (b == 0 || b == 0xdb8)) && a != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_every_dress_are_refused() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "224.0.0.1",
            "255.255.255.255",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "printer.local",
        ] {
            let url = format!("http://{host}:8080/x");
            assert!(matches!(check(&url, false), Err(CallbackError::Private(_))), "{host}");
            assert_eq!(check(&url, true), Ok(()), "{host}");
        }
    }

    #[test]
    fn public_addresses_and_names_pass() {
        for url in
            ["https://example.org/hook?x=1", "http://93.184.216.34/", "https://[2606:2800:220:1::1]:444/"]
        {
            assert_eq!(check(url, false), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_web_server_is_refused() {
        for url in
            ["", "ftp://example.org", "/hook", "https://", "http://me:secret@example.org/", "example.org"]
        {
            assert_eq!(check(url, true), Err(CallbackError::Url), "{url}");
        }
        assert_eq!(check(&format!("http://example.org/{}", "x".repeat(2000)), true), Err(CallbackError::Url));
    }
}
