//! How the hub is reached: the configuration, and the variables that Hugging Face's own programs obey.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, parse_pem};

use crate::config;
use crate::models::error::HubError;

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

impl HubSettings {
    /// The authorities whose certificates convince.
    pub(super) fn root_certificates(&self) -> Result<RootCerts, HubError> {
        let Some(path) = &self.certificates else { return Ok(RootCerts::WebPki) };
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Settings;

    pub(in super::super) fn settings(variables: &[(&str, &str)]) -> HubSettings {
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
}
