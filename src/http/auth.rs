//! Who asks, and whether they may: before any handler sees the request.
//!
//! A key comes as `Authorization: Bearer`, as `xi-api-key`, or, from the page, as the word of a session in a cookie: what a
//! browser loads by itself (`<audio>`, `EventSource`, a WebSocket) carries no headers of ours, and a key in an address would
//! end up in logs. The cookie is closed to scripts and not sent across sites. Sites span ports, so a request that comes with a
//! cookie must also not tell of another origin; pages that `server.cors_origins` lets in send a key themselves.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Context;
use super::access::Needs;
use super::error::ApiError;
use super::guard::other_origin;
use crate::jobs::Key;

/// The cookie with the word of a session.
pub(super) const COOKIE: &str = "declaim_session";

/// The valid key that a request came with.
#[derive(Clone, Debug)]
pub(super) struct Holder(pub(super) Key);

pub(super) async fn authenticate(
    State(context): State<Context>,
    mut request: Request,
    next: Next,
) -> Response {
    if !context.requires_keys {
        return next.run(request).await;
    }
    // What matches no route is answered with 404 to everybody.
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let needs = path.map_or(Needs::Nothing, |path| Needs::of(request.method(), &path));
    match holder(&context, request.headers()).await {
        Ok(Some(key)) => {
            if let Err(needed) = needs.check(&key.scopes) {
                return ApiError::Scope { name: key.name, needed, scopes: key.scopes }.into_response();
            }
            request.extensions_mut().insert(Holder(key));
        }
        // Whether it is alive must be told even while the keys cannot be looked up.
        Ok(None) | Err(_) if needs == Needs::Nothing => {}
        Ok(None) => return ApiError::NoKey.into_response(),
        Err(error) => return error.into_response(),
    }
    next.run(request).await
}

/// The key behind a request; `None` where it brings none.
async fn holder(context: &Context, headers: &HeaderMap) -> Result<Option<Key>, ApiError> {
    if let Some(secret) = sent_key(headers) {
        return context.jobs.key_of(secret).await?.map(Some).ok_or(ApiError::UnknownKey);
    }
    let Some(word) = session_word(headers) else { return Ok(None) };
    if let Some(origin) = other_origin(headers, &context.settings.server.allowed_hosts) {
        return Err(ApiError::OtherOrigin(origin));
    }
    // A session that is over is none.
    Ok(context.jobs.key_of_session(word).await?)
}

/// What stands in the headers as a key. Another kind of authorization is that of a proxy in front.
pub(super) fn sent_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, word) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(word.trim())
    });
    bearer.or_else(|| text("xi-api-key").map(str::trim)).filter(|word| !word.is_empty())
}

/// The word of the session in the cookies.
pub(super) fn session_word(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, word)| *name == COOKIE && !word.is_empty())
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_a_bearers_or_elevenlabs() {
        for (pairs, key) in [
            (&[("authorization", "Bearer dcl_a")][..], Some("dcl_a")),
            (&[("authorization", "bearer  dcl_a ")], Some("dcl_a")),
            (&[("xi-api-key", "dcl_b")], Some("dcl_b")),
            (&[("authorization", "Basic eDp5"), ("xi-api-key", "dcl_b")], Some("dcl_b")),
            (&[("authorization", "Basic eDp5")], None),
            (&[("authorization", "Bearer")], None),
            (&[("xi-api-key", "")], None),
            (&[], None),
        ] {
            assert_eq!(sent_key(&headers(pairs)), key, "{pairs:?}");
        }
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let word = |cookies: &str| session_word(&headers(&[("cookie", cookies)])).map(str::to_owned);
        assert_eq!(word("a=b; declaim_session=dcs_1; c"), Some("dcs_1".to_owned()));
        assert_eq!(word("xdeclaim_session=dcs_1; declaim_session="), None);
    }
}
