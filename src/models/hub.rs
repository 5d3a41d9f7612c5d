//! The Hugging Face hub over HTTP: what a file is, and its bytes from some place on.
//!
//! `{endpoint}/{repository}/resolve/{revision}/{file}` answers with a redirect to a content network; the first answer's
//! headers say what the file is (`X-Linked-Size`, `X-Linked-Etag`, `X-Repo-Commit`). The token goes to the endpoint alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::ResponseExt;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, Uri, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::digest::Digest;
use super::error::HubError;
use super::registry::{Candidate, GITHUB};
use crate::config;

const PUBLIC: &str = "https://huggingface.co";
/// Where the few files are that no hub has.
const PUBLIC_GITHUB: &str = "https://github.com";

/// How the hub is reached; [`HubSettings::new`] knows the variables that Hugging Face's own programs obey.
#[derive(Clone)]
pub struct HubSettings {
    /// Without a slash at the end.
    pub endpoint: String,
    /// GitHub, without a slash at the end; never shown the token.
    pub github: String,
    pub token: Option<String>,
    /// Never ask the hub; what is on this machine must do.
    pub offline: bool,
    /// The cache of Hugging Face's Python library, if it may be used.
    pub cache: Option<PathBuf>,
    /// Files at a time.
    pub parallel: usize,
    /// Tries in a row that may bring nothing.
    pub retries: u32,
    /// Before the second try; doubles from there.
    pub retry_wait: Duration,
    /// Without a byte for so long, a connection counts as broken.
    pub stall: Duration,
    /// Certificates (PEM) to trust instead of the public ones.
    pub certificates: Option<PathBuf>,
    /// Bytes free on the disk of a folder.
    pub free_space: fn(&Path) -> std::io::Result<u64>,
}

impl std::fmt::Debug for HubSettings {
    // Without the token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HubSettings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl HubSettings {
    /// `variable` looks one up in the environment.
    pub fn new(settings: &config::Hub, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set =
            |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let home = set("HOME").or_else(|| set("USERPROFILE"));
        let caches =
            set("XDG_CACHE_HOME").map(PathBuf::from).or(home.map(|home| Path::new(&home).join(".cache")));
        let hf_home = set("HF_HOME").map(PathBuf::from).or(caches.map(|caches| caches.join("huggingface")));
        let in_home = |name: &str| hf_home.as_ref().map(|home| home.join(name));
        let cache = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")).map(PathBuf::from);
        let token_file = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| in_home("token"));
        let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")).or_else(|| {
            // Where `hf auth login` leaves it.
            std::fs::read_to_string(token_file?).ok().map(|text| text.trim().to_owned())
        });
        let is_on = |text: String| ["1", "on", "yes", "true"].contains(&text.to_lowercase().as_str());
        let endpoint = settings.endpoint.clone().or_else(|| set("HF_ENDPOINT"));
        Self {
            endpoint: endpoint.unwrap_or_else(|| PUBLIC.to_owned()).trim_end_matches('/').to_owned(),
            github: PUBLIC_GITHUB.to_owned(),
            token: token.filter(|token| !token.is_empty()),
            offline: set("HF_HUB_OFFLINE").is_some_and(is_on),
            cache: cache.or_else(|| in_home("hub")).filter(|_| settings.use_cache),
            parallel: settings.parallel,
            retries: settings.retries,
            retry_wait: settings.retry_wait,
            stall: settings.stall,
            certificates: set("SSL_CERT_FILE").map(PathBuf::from),
            free_space: |folder| fs4::available_space(folder),
        }
    }
}

/// What the hub says of a file, before a byte of it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// Bytes.
    pub(super) size: u64,
    pub(super) digest: Option<Digest>,
    /// A strong entity tag that is no digest: it proves only that two answers are of one version.
    pub(super) entity_tag: Option<String>,
    /// The revision as a commit, where the hub says it.
    pub(super) commit: Option<String>,
}

/// Bytes of a file on their way.
pub(super) struct Incoming {
    /// Where they begin in the file: what was asked for, or 0 where the server gave the whole instead.
    pub(super) from: u64,
    pub(super) body: Box<dyn std::io::Read + Send>,
}

/// A client of one hub. Clones share connections; [`Hub::interrupt`] ends all of them.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    endpoint: String,
    github: String,
    host: String,
    token: Option<String>,
    offline: bool,
    agent: Agent,
}

impl Hub {
    pub(super) fn new(settings: &HubSettings) -> Result<Self, HubError> {
        let wrong = || HubError::Endpoint(settings.endpoint.clone());
        let uri: Uri = settings.endpoint.parse().map_err(|_not_a_uri| wrong())?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let host = uri.host().filter(|_| ["https", "http"].contains(&scheme)).ok_or_else(wrong)?.to_owned();
        let is_secret = scheme == "https" || is_loopback(&host);
        if settings.token.is_some() && !is_secret {
            tracing::warn!(
                endpoint = settings.endpoint,
                "the token is not sent: the connection is not encrypted"
            );
        }
        let stall = Some(settings.stall);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Never from an encrypted hub to an unencrypted network.
            .https_only(scheme == "https")
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .tls_config(TlsConfig::builder().root_certs(root_certificates(settings)?).build())
            .user_agent(concat!("declaim/", env!("CARGO_PKG_VERSION")))
            // A packed answer has neither the size nor the places that are asked for.
            .accept_encoding("identity")
            .timeout_resolve(stall)
            .timeout_connect(stall)
            .timeout_per_read(stall)
            .timeout_per_write(stall)
            .build();
        Ok(Self {
            endpoint: settings.endpoint.clone(),
            github: settings.github.clone(),
            host,
            token: settings.token.clone().filter(|_| is_secret),
            offline: settings.offline,
            agent: config.new_agent(),
        })
    }

    /// Breaks every connection, so that whoever waits for bytes is woken. The client is useless afterwards.
    pub(super) fn interrupt(&self) {
        self.agent.clone().shutdown();
    }

    /// Asks what a file is.
    pub(super) fn look_up(&self, file: &Candidate) -> Result<Announced, HubError> {
        /// Renamed repositories and the hub's own detours; the network of the content is not followed.
        const DETOURS: usize = 5;

        let mut url = self.url(file, &file.revision)?;
        let mut told = Told::default();
        for _detour in 0..DETOURS {
            let request = self.authorized(self.agent.head(&url), &url);
            let answer = request.config().max_redirects(0).max_redirects_will_error(false).build().call();
            let answer = answer.map_err(|error| self.unreachable(error))?;
            told.read(&answer);
            let location = answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
            match location.filter(|_| answer.status().is_redirection()) {
                // A signed address at the content network need not answer HEAD, and has nothing to add.
                Some(_) if told.is_complete() => break,
                Some(place) => url = absolute(&url, place),
                None if answer.status().is_success() => {
                    told.read_plain(&answer);
                    break;
                }
                None => return Err(self.refusal(&answer, file)),
            }
        }
        let size = told.size.ok_or_else(|| HubError::NoSize(file.name.clone()))?;
        Ok(Announced { size, digest: told.digest, entity_tag: told.entity_tag, commit: told.commit })
    }

    /// Asks for the bytes of a file from `from` on, of the revision `commit`.
    pub(super) fn open(
        &self,
        file: &Candidate,
        commit: &str,
        announced: &Announced,
        from: u64,
    ) -> Result<Incoming, HubError> {
        let url = self.url(file, commit)?;
        let mut request = self.authorized(self.agent.get(&url), &url);
        match (&announced.digest, &announced.entity_tag) {
            _ if from == 0 => {}
            // A digest proves in the end that all parts are of one version, wherever they came from. The tag of the hub is
            // not the tag of the network that sends the bytes, so it is asked only where it is all there is.
            (Some(_), _) => request = request.header(header::RANGE, format!("bytes={from}-")),
            (None, Some(tag)) => {
                request =
                    request.header(header::RANGE, format!("bytes={from}-")).header(header::IF_RANGE, tag);
            }
            // Nothing would show that two parts are of different versions: the whole again.
            (None, None) => {}
        }
        let answer = request.call().map_err(|error| self.unreachable(error))?;
        let wrong_size =
            |found| HubError::WrongSize { file: file.name.clone(), expected: announced.size, found };
        let length = number(&answer, header::CONTENT_LENGTH.as_str());
        let from = match answer.status().as_u16() {
            200 => 0,
            206 => match content_range(&answer) {
                Some((first, total)) if first == from => {
                    if total.is_some_and(|total| total != announced.size) {
                        return Err(wrong_size(total.unwrap_or_default()));
                    }
                    from
                }
                _ => return Err(HubError::Status { file: file.name.clone(), status: 206 }),
            },
            // There is no byte at `from`: the file is shorter than what is here.
            416 => {
                return Err(wrong_size(content_range(&answer).and_then(|(_, total)| total).unwrap_or(from)));
            }
            // An expired signature at the content network; the next try gets a new one.
            403 if answer.get_uri().host() != Some(&self.host) => {
                return Err(HubError::Busy { status: 403, retry_after: None });
            }
            _ => return Err(self.refusal(&answer, file)),
        };
        if let Some(length) = length.filter(|length| from + length != announced.size) {
            return Err(wrong_size(from + length));
        }
        Ok(Incoming { from, body: Box::new(answer.into_body().into_reader()) })
    }

    fn url(&self, file: &Candidate, revision: &str) -> Result<String, HubError> {
        if self.offline {
            return Err(HubError::Offline(format!("{} of {}", file.name, file.repository)));
        }
        let (revision, name) = (encoded(revision, false), encoded(&file.name, true));
        Ok(match file.repository.strip_prefix(GITHUB) {
            Some(repository) => format!("{}/{repository}/raw/{revision}/{name}", self.github),
            None => format!("{}/{}/resolve/{revision}/{name}", self.endpoint, file.repository),
        })
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>, url: &str) -> ureq::RequestBuilder<B> {
        let at_home = url.parse::<Uri>().is_ok_and(|uri| uri.host() == Some(&self.host));
        match &self.token {
            Some(token) if at_home => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            _ => request,
        }
    }

    fn unreachable(&self, error: ureq::Error) -> HubError {
        let host = self.host.clone();
        match &error {
            // A certificate that does not convince comes as data that make no sense.
            ureq::Error::Io(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
                HubError::Insecure { host, source: Box::new(error) }
            }
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::RequireHttpsOnly(_) => {
                HubError::Insecure { host, source: Box::new(error) }
            }
            _ => HubError::Unreachable { host, source: Box::new(error) },
        }
    }

    /// What a status other than success means.
    fn refusal<B>(&self, answer: &Response<B>, file: &Candidate) -> HubError {
        let repository = file.repository.clone();
        let status = answer.status().as_u16();
        let code = text(answer, "x-error-code").unwrap_or_default();
        match (status, code) {
            (401 | 403, "GatedRepo") => {
                HubError::Gated { page: format!("{}/{repository}", self.endpoint), repository }
            }
            // So the hub also answers for repositories that do not exist, in order to tell strangers nothing.
            (401, _) | (404, "RepoNotFound") => {
                HubError::Unauthorized { repository, with_token: self.token.is_some() }
            }
            (403, _) => {
                let reason = text(answer, "x-error-message").unwrap_or("it does not say why").to_owned();
                HubError::Forbidden { repository, reason }
            }
            (404, "RevisionNotFound") => HubError::NoRevision { repository, revision: file.revision.clone() },
            (404, _) => {
                HubError::NotFound { repository, file: file.name.clone(), revision: file.revision.clone() }
            }
            (408 | 429 | 500..=599, _) => HubError::Busy { status, retry_after: retry_after(answer) },
            _ => HubError::Status { file: file.name.clone(), status },
        }
    }
}

/// What the answers on the way have told so far; the first to say something is believed.
#[derive(Default)]
struct Told {
    size: Option<u64>,
    digest: Option<Digest>,
    entity_tag: Option<String>,
    commit: Option<String>,
}

impl Told {
    fn read<B>(&mut self, answer: &Response<B>) {
        let tag = text(answer, "x-linked-etag").and_then(Digest::from_entity_tag);
        self.digest = self.digest.take().or(tag);
        self.size = self.size.or_else(|| number(answer, "x-linked-size"));
        let commit = text(answer, "x-repo-commit").filter(|commit| is_commit(commit));
        self.commit = self.commit.take().or_else(|| commit.map(str::to_owned));
    }

    /// The last answer is the file itself: its own headers count where the hub's were silent.
    fn read_plain<B>(&mut self, answer: &Response<B>) {
        let tag = text(answer, header::ETAG.as_str()).map(str::trim).filter(|tag| tag.starts_with('"'));
        self.size = self.size.or_else(|| number(answer, header::CONTENT_LENGTH.as_str()));
        // Elsewhere, forty digits may be anything.
        let digest = tag.filter(|_| self.commit.is_some()).and_then(Digest::from_entity_tag);
        self.digest = self.digest.take().or(digest);
        self.entity_tag = tag.map(str::to_owned);
    }

    fn is_complete(&self) -> bool {
        self.size.is_some() && self.digest.is_some() && self.commit.is_some()
    }
}

fn root_certificates(settings: &HubSettings) -> Result<RootCerts, HubError> {
    let Some(path) = &settings.certificates else { return Ok(RootCerts::WebPki) };
    let failed = |source| HubError::Certificates { path: path.clone(), source };
    let pem = std::fs::read(path).map_err(failed)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        let item = item.map_err(|error| failed(std::io::Error::other(error)))?;
        if let PemItem::Certificate(certificate) = item {
            certificates.push(certificate);
        } else {
            tracing::debug!(path = %path.display(), "skipped what is no certificate");
        }
    }
    Ok(RootCerts::from(certificates.into_iter()))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or_default().to_ascii_uppercase()
}

/// Percent-encodes what an address may not hold; a path keeps its slashes.
fn encoded(text: &str, is_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
    encoded
}

/// The address that `place` means, seen from `url`.
fn absolute(url: &str, place: &str) -> String {
    if place.contains("://") {
        return place.to_owned();
    }
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let root = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    match place.strip_prefix("//") {
        Some(elsewhere) => format!("{}{elsewhere}", &url[..after_scheme]),
        None if place.starts_with('/') => format!("{}{place}", &url[..root]),
        None => format!("{}/{place}", url.rsplit_once('/').map_or(url, |(folder, _)| folder)),
    }
}

fn text<'a, B>(answer: &'a Response<B>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

fn number<B>(answer: &Response<B>, name: &str) -> Option<u64> {
    text(answer, name)?.trim().parse().ok()
}

/// First byte and total size of `bytes 5-9/10`; the first is 0 in `bytes */10`.
fn content_range<B>(answer: &Response<B>) -> Option<(u64, Option<u64>)> {
    let (range, total) =
        text(answer, header::CONTENT_RANGE.as_str())?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = match range.split_once('-') {
        Some((first, _)) => first.trim().parse().ok()?,
        None => 0,
    };
    Some((first, total.trim().parse().ok()))
}

/// `Retry-After` as a wait: seconds, or a date.
fn retry_after<B>(answer: &Response<B>) -> Option<Duration> {
    let value = text(answer, header::RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(then.duration_since(jiff::Timestamp::now()).try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        HubSettings::new(&Settings::default().hub, &variable)
    }

    #[test]
    fn the_variables_of_hugging_faces_own_programs_are_obeyed() {
        let plain = settings(&[("HOME", "/home/ada")]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache.as_deref(), Some(Path::new("/home/ada/.cache/huggingface/hub")));
        assert_eq!((plain.token, plain.offline), (None, false));
        let changed = settings(&[
            ("HOME", "/home/ada"),
            ("HF_HOME", "/big/hf"),
            ("HF_ENDPOINT", "https://mirror.example/"),
            ("HF_TOKEN", " hf_x\n"),
            ("HF_HUB_OFFLINE", "YES"),
        ]);
        assert_eq!(changed.endpoint, "https://mirror.example");
        assert_eq!(changed.cache.as_deref(), Some(Path::new("/big/hf/hub")));
        assert_eq!((changed.token.as_deref(), changed.offline), (Some("hf_x"), true));
        let cache = settings(&[("HF_HOME", "/big/hf"), ("HF_HUB_CACHE", "/cache")]).cache;
        assert_eq!(cache.as_deref(), Some(Path::new("/cache")));
    }

    #[test]
    fn the_token_is_sent_only_where_nobody_can_listen() {
        let with =
            |endpoint| HubSettings { token: Some("t".to_owned()), ..settings(&[("HF_ENDPOINT", endpoint)]) };
        for (endpoint, sent) in [
            ("https://huggingface.co", true),
            ("http://127.0.0.1:9", true),
            ("http://localhost:9", true),
            ("http://mirror.example", false),
        ] {
            assert_eq!(Hub::new(&with(endpoint)).unwrap().token.is_some(), sent, "{endpoint}");
        }
        assert!(!format!("{:?}", with("https://x")).contains("\"t\""));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for endpoint in ["huggingface.co", "ftp://x", "https://", "::"] {
            let error = Hub::new(&settings(&[("HF_ENDPOINT", endpoint)])).unwrap_err();
            assert!(matches!(error, HubError::Endpoint(_)), "{endpoint}: {error}");
        }
    }

    #[test]
    fn redirects_are_read_as_addresses_relative_to_where_they_were_met() {
        for (place, expected) in [
            ("https://cdn.example/x?y", "https://cdn.example/x?y"),
            ("/api/x", "https://hub.example:1/api/x"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("c", "https://hub.example:1/a/c"),
        ] {
            assert_eq!(absolute("https://hub.example:1/a/b", place), expected);
        }
    }

    #[test]
    fn addresses_hold_branches_with_slashes_and_names_with_blanks() {
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encoded("a b/ü.json", true), "a%20b/%C3%BC.json");
    }

    #[test]
    fn a_time_to_come_back_may_be_seconds_or_a_date() {
        let answer = |value: &str| Response::builder().header("retry-after", value).body(()).unwrap();
        assert_eq!(retry_after(&answer("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&answer("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        let wait = retry_after(&answer("Fri, 31 Dec 2100 23:59:59 GMT")).unwrap();
        assert!(wait > Duration::from_secs(1_000_000_000), "{wait:?}");
        assert_eq!(retry_after(&answer("soon")), None);
    }
}
