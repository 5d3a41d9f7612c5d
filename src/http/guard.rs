//! Who may call a server that listens on this machine only.
//!
//! A hostile web page can point a name of its own at 127.0.0.1 (DNS rebinding) and then read answers as if they were its
//! own. The browser still sends that name as `Host`, so a loopback server answers to loopback names alone. Pages that call
//! it across origins are stopped by the browser, because no CORS header is ever sent and bodies must be JSON.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Context;
use super::error::ApiError;

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

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
}
