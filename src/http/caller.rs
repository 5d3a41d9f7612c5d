//! Who sends a request, and by which word a wish is known again.
//!
//! Without keys everybody is one owner, who sees all jobs; the queue is then shared fairly between addresses.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::Context;
use super::error::ApiError;
use super::extract::Fields;
use crate::jobs::{Client, Idempotency, Job};
use crate::speech::request::DraftError;

/// Longest `Idempotency-Key`, in bytes; a UUID has 36.
const MAX_KEY: usize = 255;

/// The client behind a request.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Client);

impl Caller {
    /// Whether this job is the caller's business.
    pub(super) fn may_see(&self, job: &Job) -> bool {
        job.client.owner == self.0.owner
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Ok(Self(Client { owner: String::new(), name: peer.map(name_of).unwrap_or_default() }))
    }
}

/// One name for one machine: an IPv4 address may come dressed as IPv6, and a machine has a whole IPv6 network of addresses.
fn name_of(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            if address.is_loopback() { address.to_string() } else { format!("{a:x}:{b:x}:{c:x}:{d:x}::/64") }
        }
    }
}

/// The header `Idempotency-Key` of a request with this body, if it has one.
pub(super) fn idempotency(headers: &HeaderMap, body: &Fields) -> Result<Option<Idempotency>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => {
            Ok(Some(Idempotency { key: key.to_owned(), digest: body.digest() }))
        }
        _ => Err(DraftError::field(
            "The header Idempotency-Key",
            "1 to 255 characters of ASCII, such as a UUID",
            format!("{value:?}"),
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_machine_has_one_name() {
        for (address, name) in [
            ("192.168.1.5", "192.168.1.5"),
            ("::ffff:192.168.1.5", "192.168.1.5"),
            ("::1", "::1"),
            ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(name_of(address.parse().unwrap()), name);
        }
    }
}
