//! The page, embedded in the binary and served as it was written.
//!
//! Every asset lives under one prefix that is a hash of them all: modules import each other by relative paths, browsers
//! may keep them for ever, and a new program has a new prefix. Only `/` is asked for again each time. The policy allows
//! nothing but this server's own files: no inline script, no other host. Texts are packed once, when the page is first asked
//! for, and `/` names every module of its first view, so that a browser asks for all of them at once instead of one import after the other.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use miniz_oxide::deflate::compress_to_vec_zlib;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::files::matches;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     media-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Where `index.html` wants the prefix of its assets.
const PLACEHOLDER: &str = "{{assets}}";
/// Where it wants the hints to fetch the modules.
const MODULES: &str = "{{modules}}";

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
    packed_html: Option<Vec<u8>>,
    /// The viewer of the API's description.
    docs: String,
    entity_tag: String,
    /// Assets in the coding of [`packed`], by path; those that gain by it.
    packed: HashMap<String, Vec<u8>>,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let mut all = Sha256::new();
    let mut names: Vec<_> = Web::iter().collect();
    names.sort();
    let mut assets = HashMap::new();
    for name in &names {
        let Some(file) = Web::get(name) else { continue };
        all.update(name.as_bytes());
        all.update(file.metadata.sha256_hash());
        assets.extend(packed(&file.data).map(|bytes| (name.to_string(), bytes)));
    }
    // Twelve digits tell versions apart; nobody gains by forging one.
    let version = format!("{:x}", all.finalize())[..12].to_owned();
    let placed = |name: &str, modules: &str| {
        let source = Web::get(name).map(|file| file.data.into_owned()).unwrap_or_default();
        String::from_utf8_lossy(&source)
            .replace(MODULES, modules)
            .replace(PLACEHOLDER, &format!("/assets/{version}"))
    };
    let hint =
        |name: &Cow<'static, str>| format!("<link rel=\"modulepreload\" href=\"{PLACEHOLDER}/{name}\">\n");
    let modules: String = names.iter().filter(|name| is_module(name)).map(hint).collect();
    let html = placed("index.html", &modules);
    Page {
        packed_html: packed(html.as_bytes()),
        html,
        docs: placed("docs.html", ""),
        entity_tag: format!("\"{version}\""),
        version,
        packed: assets,
    }
});

/// What `app.js` imports at once: neither what runs elsewhere (before the first paint, on the audio thread, at /docs) nor what
/// is asked for when it is needed (documents, the other views, the table of the reader's language).
fn is_module(name: &str) -> bool {
    const LATER: [&str; 5] = ["documents/", "history/", "models/", "status/", "voices/"];
    // What the form knows of voices.
    const AT_ONCE: &str = "js/voices/listing.js";
    let is_later = name != AT_ONCE
        && LATER.iter().any(|folder| name.strip_prefix("js/").is_some_and(|rest| rest.starts_with(folder)));
    let is_elsewhere =
        name.ends_with("theme-early.js") || name.ends_with("-worklet.js") || name.starts_with("js/docs");
    name.starts_with("js/") && !is_later && !is_elsewhere
}

/// In HTTP's coding `deflate`, which is zlib's format; `None` where packing gains nothing.
fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    /// Slow and small: it happens once.
    const LEVEL: u8 = 9;
    Some(compress_to_vec_zlib(bytes, LEVEL)).filter(|packed| packed.len() < bytes.len())
}

/// Whether the client unpacks it. A weight of 0 refuses it.
fn unpacks(asked: &HeaderMap) -> bool {
    let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok());
    accepted.unwrap_or_default().split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case("deflate") && !refused
    })
}

pub(super) async fn index(asked: HeaderMap) -> Response {
    serve(&PAGE.html, PAGE.packed_html.as_deref(), &asked)
}

/// Small, and read by few: it is sent as it is.
pub(super) async fn docs(asked: HeaderMap) -> Response {
    serve(&PAGE.docs, None, &asked)
}

fn serve(html: &'static str, packed: Option<&'static [u8]>, asked: &HeaderMap) -> Response {
    let page = &*PAGE;
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-encoding"),
        (header::ETAG, &page.entity_tag),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|tags| matches(tags, &page.entity_tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match packed {
        Some(packed) if unpacks(asked) => (headers, PACKED, packed).into_response(),
        _ => (headers, html).into_response(),
    }
}

const PACKED: [(HeaderName, &str); 1] = [(header::CONTENT_ENCODING, "deflate")];

pub(super) async fn asset(
    Path((version, path)): Path<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::NoRoute(format!("/assets/{version}/{path}"));
    // A page of another version must not be mixed with these files.
    if version != PAGE.version || ["index.html", "docs.html"].contains(&path.as_str()) {
        return Err(missing());
    }
    let file = Web::get(&path).ok_or_else(missing)?;
    let media_type = media_type(&path);
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, media_type),
        (header::VARY, "accept-encoding"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    let mut response = match PAGE.packed.get(&path) {
        Some(packed) if unpacks(&asked) => (headers, PACKED, packed.as_slice()).into_response(),
        _ => (headers, file.data).into_response(),
    };
    // What somebody can open by itself obeys the policy by itself; scripts and styles obey that of their page.
    if media_type == "image/svg+xml" {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    Ok(response)
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
    fn the_page_names_every_module_of_its_first_load_which_packed_is_below_150_kilobytes() {
        let modules = Web::iter().filter(|name| is_module(name)).count();
        assert_eq!(PAGE.html.matches("modulepreload").count(), modules);
        let is_first = |name: &str| {
            is_module(name)
                || !name.starts_with("js/") && (!name.starts_with("i18n/") || name == "i18n/en.js")
        };
        let assets: usize =
            PAGE.packed.iter().filter(|(name, _)| is_first(name)).map(|(_, packed)| packed.len()).sum();
        let page = PAGE.packed_html.as_ref().map_or(PAGE.html.len(), Vec::len);
        assert!(assets + page < 150_000, "{assets} + {page} bytes");
    }

    #[test]
    fn packed_files_are_sent_to_whom_asks_for_them_and_unpack_to_the_same() {
        let asks = |text: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, text.parse().unwrap())]);
            unpacks(&headers)
        };
        assert!(
            asks("deflate") && asks("br, DEFLATE;q=0.5") && !asks("br") && !asks("deflate;q=0") && !asks("")
        );
        assert!(!unpacks(&HeaderMap::new()));
        let packed = PAGE.packed_html.as_deref().unwrap();
        let unpacked = miniz_oxide::inflate::decompress_to_vec_zlib(packed).unwrap();
        assert_eq!(unpacked, PAGE.html.as_bytes());
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
