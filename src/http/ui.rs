//! The page, embedded in the binary and served as it was written.
//!
//! Every asset lives under one prefix that is a hash of them all: modules import each other by relative paths, browsers
//! may keep them for ever, and a new program has a new prefix. Only `/` is asked for again each time. The policy allows
//! nothing but this server's own files: no inline script, no other host.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::files::matches;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     media-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Where `index.html` wants the prefix of its assets.
const PLACEHOLDER: &str = "{{assets}}";

#[derive(RustEmbed)]
#[folder = "web/"]
#[exclude = "tests/*"]
#[exclude = "*.md"]
#[exclude = "*.json"]
struct Web;

struct Page {
    /// The hash in the prefix.
    version: String,
    html: String,
    /// The viewer of the API's description.
    docs: String,
    entity_tag: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let mut all = Sha256::new();
    let mut names: Vec<_> = Web::iter().collect();
    names.sort();
    for name in names {
        all.update(name.as_bytes());
        all.update(Web::get(&name).map_or([0; 32], |file| file.metadata.sha256_hash()));
    }
    // Twelve digits tell versions apart; nobody gains by forging one.
    let version = format!("{:x}", all.finalize())[..12].to_owned();
    let html = |name: &str| {
        let source = Web::get(name).map(|file| file.data.into_owned()).unwrap_or_default();
        String::from_utf8_lossy(&source).replace(PLACEHOLDER, &format!("/assets/{version}"))
    };
    Page { html: html("index.html"), docs: html("docs.html"), entity_tag: format!("\"{version}\""), version }
});

pub(super) async fn index(asked: HeaderMap) -> Response {
    serve(&PAGE, &PAGE.html, &asked)
}

pub(super) async fn docs(asked: HeaderMap) -> Response {
    serve(&PAGE, &PAGE.docs, &asked)
}

fn serve(page: &'static Page, html: &'static str, asked: &HeaderMap) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, &page.entity_tag),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|tags| matches(tags, &page.entity_tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, html).into_response()
}

pub(super) async fn asset(Path((version, path)): Path<(String, String)>) -> Result<Response, ApiError> {
    let missing = || ApiError::NoRoute(format!("/assets/{version}/{path}"));
    // A page of another version must not be mixed with these files.
    if version != PAGE.version || ["index.html", "docs.html"].contains(&path.as_str()) {
        return Err(missing());
    }
    let file = Web::get(&path).ok_or_else(missing)?;
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, media_type(&path)),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        // For an SVG that somebody opens by itself.
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, file.data).into_response())
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_refers_to_assets_that_are_embedded() {
        let prefix = format!("/assets/{}/", PAGE.version);
        let both = format!("{}{}", PAGE.html, PAGE.docs);
        let wanted: Vec<&str> =
            both.split(&prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!wanted.is_empty() && !both.contains(PLACEHOLDER));
        for path in wanted {
            assert!(Web::get(path).is_some(), "{path}");
            assert_ne!(media_type(path), "application/octet-stream", "{path}");
        }
    }

    #[test]
    fn the_page_has_no_inline_script_style_or_handler_that_the_policy_would_block() {
        for html in [&PAGE.html, &PAGE.docs] {
            for script in html.split("<script").skip(1) {
                assert!(script.split('>').next().unwrap_or_default().contains("src="), "{script:.80}");
            }
            assert!(!html.contains("<style") && !html.contains(" style="));
            assert!(!html.contains(" onclick=") && !html.contains("javascript:"));
        }
    }
}
