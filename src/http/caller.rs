//! Who sends a request, and by which word a wish is known again.
//!
//! Without keys everybody is one owner, who sees all jobs; the queue is then shared fairly between addresses. With keys each
//! has its own jobs, and administrators see all.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::Context;
use super::auth::Holder;
use super::error::ApiError;
use super::extract::Fields;
use crate::jobs::{Client, Idempotency, Job, Scope};
use crate::speech::request::DraftError;

/// Longest `Idempotency-Key`, in bytes; a UUID has 36.
const MAX_KEY: usize = 255;

/// The client behind a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) client: Client,
    /// Not only its own jobs.
    sees_all: bool,
}

impl Caller {
    /// Whether this job is the caller's business.
    pub(super) fn may_see(&self, job: &Job) -> bool {
        self.may_see_of(&job.client.owner)
    }

    /// Whether what belongs to this owner is the caller's business.
    pub(super) fn may_see_of(&self, owner: &str) -> bool {
        self.sees_all || owner == self.client.owner
    }

    /// Whose jobs the caller sees; `None` is everybody's.
    pub(super) fn sees(&self) -> Option<&str> {
        if self.sees_all { None } else { Some(&self.client.owner) }
    }

    /// Resolves once the caller's key is revoked; never without one. For lines that stay open.
    pub(super) async fn revoked(&self, context: &Context) {
        if context.requires_keys && !self.client.owner.is_empty() {
            context.jobs.revoked(&self.client.owner).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    #[cfg(test)]
    pub(super) fn everybody() -> Self {
        Self { client: Client::default(), sees_all: true }
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Infallible> {
        if let Some(Holder(key)) = parts.extensions.get::<Holder>() {
            // A key is one client, from wherever it is used.
            let client = Client { owner: key.id.clone(), name: key.id.clone() };
            return Ok(Self { client, sees_all: key.scopes.allow(Scope::Admin) });
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Ok(Self { client: peer.map(client_at).unwrap_or_default(), sees_all: !context.requires_keys })
    }
}

/// The client at an address.
pub fn client_at(peer: IpAddr) -> Client {
    Client { owner: String::new(), name: name_of(peer) }
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
    let key = String::from_utf8_lossy(value.as_bytes());
    Ok(Some(known_by("The header Idempotency-Key", &key, body)?))
}

/// A wish with this body that is known again by `key`; `field` is where that was said.
pub(super) fn known_by(field: &'static str, key: &str, body: &Fields) -> Result<Idempotency, DraftError> {
    if (1..=MAX_KEY).contains(&key.len()) && key.is_ascii() {
        return Ok(Idempotency { key: key.to_owned(), digest: body.digest() });
    }
    let start: String = key.chars().take(60).collect();
    Err(DraftError::field(field, "1 to 255 characters of ASCII, such as a UUID", format!("{start:?}")))
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
