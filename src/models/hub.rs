//! The Hugging Face hub over HTTP: what a file is, and its bytes from some place on.
//!
//! `{endpoint}/{repository}/resolve/{revision}/{file}` answers with a redirect to a content network; the first answer's
//! headers say what the file is (`X-Linked-Size`, `X-Linked-Etag`, `X-Repo-Commit`). The token goes to the endpoint alone.

mod answers;
mod settings;

use ureq::Agent;
use ureq::ResponseExt;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, Uri, header};
use ureq::tls::TlsConfig;

use super::digest::Digest;
use super::error::HubError;
use super::registry::{Candidate, GITHUB};
pub(super) use answers::is_commit;
use answers::{Told, absolute, content_range, encoded, number, retry_after, text};
pub use settings::HubSettings;

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
            .tls_config(TlsConfig::builder().root_certs(settings.root_certificates()?).build())
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

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::settings::tests::settings;
    use super::*;

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
}
