//! One call: looked up, checked, signed, sent.
//!
//! The signature is HMAC-SHA256 over `<seconds>.<body>`, in the header `X-Declaim-Signature: t=<seconds>,v1=<hexadecimal>`.
//! Whoever checks it also looks at the time, so that a call cannot be recorded and played again later.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use ureq::Agent;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::address::public;
use crate::jobs::with_causes;

/// Bytes of an answer that are read, so that the connection ends in order.
const MOST_OF_ANSWER: u64 = 64 * 1024;

/// What is sent where.
#[derive(Debug)]
pub(super) struct Call {
    /// The same for every try, so that a receiver can tell them apart from new calls.
    pub(super) id: i64,
    pub(super) url: String,
    pub(super) body: String,
}

/// Makes calls; blocks while it does.
pub(super) struct Caller {
    agent: Agent,
    secret: String,
}

impl fmt::Debug for Caller {
    // Without the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Caller {
    pub(super) fn new(secret: String, allow_private: bool, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            // A redirect could lead into the private network after the check; a proxy would look names up by itself.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            // The next call is in hours, or to somebody else.
            .max_idle_connections(0)
            .user_agent(concat!("declaim/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = Checked { inner: DefaultResolver::default(), allow_private };
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver), secret }
    }

    /// Whether the other side took it; else why not, as a sentence.
    pub(super) fn make(&self, call: &Call, now_seconds: i64) -> Result<(), String> {
        let signature = format!("t={now_seconds},v1={}", sign(&self.secret, now_seconds, &call.body));
        let sent = self
            .agent
            .post(&call.url)
            .header("Content-Type", "application/json")
            .header("X-Declaim-Signature", signature)
            .header("X-Declaim-Delivery", call.id.to_string())
            .send(call.body.as_bytes());
        let mut answer = sent.map_err(|error| with_causes(&error))?;
        // Whatever it says, its status has said enough.
        let _ = answer.body_mut().with_config().limit(MOST_OF_ANSWER).read_to_vec();
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
    }
}

/// In hexadecimal.
fn sign(secret: &str, seconds: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("{:x}", mac.finalize().into_bytes())
}

/// Looks a name up and passes on only addresses that may be called; the connection then goes to one of those.
struct Checked {
    inner: DefaultResolver,
    allow_private: bool,
}

impl fmt::Debug for Checked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Checked").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        if !self.allow_private {
            for address in &found {
                // One private address among public ones is a trick, and refused with them.
                public(address.ip(), address)
                    .map_err(|error| ureq::Error::Io(std::io::Error::other(format!("it must be {error}"))))?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expected = "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(sign("secret", 1_700_000_000, "{\"a\":1}"), expected);
        assert_ne!(sign("secret", 1_700_000_001, "{\"a\":1}"), expected);
        assert_ne!(sign("other", 1_700_000_000, "{\"a\":1}"), expected);
    }

    #[test]
    fn a_name_that_means_this_machine_is_not_called() {
        let caller = Caller::new("s".to_owned(), false, Duration::from_secs(5));
        let call = Call { id: 1, url: "http://localhost:9/".to_owned(), body: "{}".to_owned() };
        let problem = caller.make(&call, 0).unwrap_err();
        assert!(problem.contains("a public address"), "{problem}");
    }
}
