//! Who may call this server from a browser.
//!
//! A hostile web page can point a name of its own at 127.0.0.1 (DNS rebinding) and then read answers as if they were its
//! own. The browser still sends that name as `Host`, so a loopback server answers to loopback names alone. Pages that call
//! it across origins are stopped by the browser, because CORS headers are sent to configured origins alone and most bodies must
//! be JSON. What a page may send without asking first (a form, a file, nothing) is refused here, by the origin that browsers
//! tell.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

use super::Context;
use super::access;
use super::error::ApiError;
use super::extract::is_json;
use crate::config::is_loopback;

pub(super) async fn refuse_foreign_hosts(
    State(context): State<Context>,
    request: Request,
    next: Next,
) -> Response {
    let server = &context.settings.server;
    if !is_loopback(&server.host) {
        return next.run(request).await;
    }
    let host = request.headers().get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    match host {
        // Browsers always send it; what does not is no page.
        None => next.run(request).await,
        Some(host) if is_allowed(&host, &server.allowed_hosts) => next.run(request).await,
        Some(host) => ApiError::ForeignHost(host.into_owned()).into_response(),
    }
}

/// Lets the pages of these origins call, by every method that there is; `*` is every page. Never with cookies: they
/// are for the page of this server. Without an origin nothing is added, and a page that asks first is told that nobody may.
pub(super) fn with_other_pages(router: Router<Context>, origins: &[String]) -> Router<Context> {
    /// Browsers ask again after this.
    const REMEMBERED: Duration = Duration::from_hours(1);

    if origins.is_empty() {
        return router;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let values = origins.iter().map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')));
        AllowOrigin::list(values.filter_map(Result::ok))
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(access::methods())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::any())
        .max_age(REMEMBERED);
    router.layer(layer)
}

pub(super) async fn refuse_other_origins(
    State(context): State<Context>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    // A page must ask before it sends JSON, or by any other method, and is never answered yes; but it may open a WebSocket
    // and read all that comes out of it.
    let may_be_sent_unasked = request.method() == Method::POST && !is_json(headers);
    if (may_be_sent_unasked || headers.contains_key(header::UPGRADE))
        && let Some(origin) = other_origin(headers, &context.settings.server.allowed_hosts)
        && !context.settings.server.cors_origins.iter().any(|allowed| allowed == "*" || *allowed == origin)
    {
        return ApiError::OtherOrigin(origin).into_response();
    }
    next.run(request).await
}

/// The origin of the page that sends this, if it is not a page of this server. What is no browser tells none.
pub(super) fn other_origin(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN);
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return None,
        Some("cross-site" | "same-site") => return Some(origin.unwrap_or("another site").to_owned()),
        _ => {}
    }
    // Browsers tell no more than this to a server without TLS elsewhere on the network.
    let origin = origin?;
    let authority = origin.split_once("://").map_or(origin, |(_scheme, authority)| authority);
    let is_ours = text(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(authority));
    let is_allowed =
        allowed.iter().any(|name| without_port(name).eq_ignore_ascii_case(without_port(authority)));
    (!is_ours && !is_allowed).then(|| origin.to_owned())
}

/// `[::1]:8004` → `::1`, `localhost:8004` → `localhost`.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    }
}

fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let name = without_port(host.trim());
    is_loopback(name) || allowed.iter().any(|allowed| without_port(allowed).eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_allowed_with_and_without_port() {
        for host in
            ["localhost", "LOCALHOST:8004", "127.0.0.1:1", "127.8.9.1", "[::1]:8004", "::1", "a.localhost"]
        {
            assert!(is_allowed(host, &[]), "{host}");
        }
    }

    #[test]
    fn every_other_name_is_foreign_unless_configured() {
        for host in
            ["evil.example:8004", "localhost.evil.example", "192.168.1.5", "", "127.0.0.1.evil.example"]
        {
            assert!(!is_allowed(host, &[]), "{host}");
        }
        assert!(is_allowed("speech.lan:8004", &["Speech.lan".to_owned()]));
    }

    #[test]
    fn pages_of_other_origins_are_told_from_our_own_and_from_programs() {
        let allowed = ["speech.lan".to_owned()];
        for (headers, is_other) in [
            (&[][..], false),
            (&[("origin", "http://localhost:8004")], false),
            (&[("origin", "http://localhost:8005")], true),
            (&[("origin", "https://speech.lan")], false),
            (&[("origin", "https://evil.example")], true),
            (&[("origin", "null")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")], false),
            (&[("sec-fetch-site", "cross-site")], true),
        ] {
            let mut map = HeaderMap::from_iter([(header::HOST, "localhost:8004".parse().unwrap())]);
            for &(name, value) in headers {
                map.insert(name, value.parse().unwrap());
            }
            assert_eq!(other_origin(&map, &allowed).is_some(), is_other, "{headers:?}");
        }
    }
}
