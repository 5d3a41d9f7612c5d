//! What can go wrong with models and downloads. Each message is a sentence that says what to do; causes that nobody can
//! act on are the error's source.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::in_words;

#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    #[error("there is no model {wanted:?}; the models are {}", known.join(", "))]
    Unknown { wanted: String, known: Vec<String> },
    #[error("models: {entry}: {problem}")]
    Entry { entry: String, problem: String },
    #[error("the model {0} is not installed; `declaim models pull {0}` downloads it")]
    NotInstalled(String),
    #[error(
        "the model {name} is incomplete ({problem}); `declaim models pull {name} --refresh` fetches what is missing"
    )]
    Damaged { name: String, problem: String },
    #[error(
        "the model {name} is your folder {}: declaim neither fetches nor changes its files",
        folder.display()
    )]
    OwnFolder { name: String, folder: PathBuf },
    #[error("the folder {} lacks {}", folder.display(), missing.join(", "))]
    Lacks { folder: PathBuf, missing: Vec<String> },
    #[error("{name} is being worked on by another declaim{}; wait for it, or stop it", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Busy { name: String, holder: Option<u32> },
    #[error(
        "{} are needed, but only {} are free on the disk of {}; make room, or choose another directory with --data",
        in_words(*needed), in_words(*free), folder.display()
    )]
    DiskFull { needed: u64, free: u64, folder: PathBuf },
    #[error("{file} is not the file that was published: its SHA-256 is {found} instead of {expected}")]
    Foreign { file: String, expected: String, found: String },
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error("interrupted")]
    Cancelled,
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error("the download crashed; this is a mistake in declaim")]
    Crashed,
}

impl ModelsError {
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { doing, path: path.into(), source }
    }
}

/// Why the hub did not give a file.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("{0:?} is no address of a hub; it must begin with https:// or http://")]
    Endpoint(String),
    #[error("the certificates in {} (SSL_CERT_FILE) cannot be read", path.display())]
    Certificates {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("HF_HUB_OFFLINE is set, and {0} is not on this machine")]
    Offline(String),
    #[error("{host} cannot be reached; is this machine online, or does it need HTTPS_PROXY?")]
    Unreachable {
        host: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error(
        "there is no secure connection to {host}; if a company inspects this line, set SSL_CERT_FILE to its certificates"
    )]
    Insecure {
        host: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error(
        "the hub does not let you see {repository}: it does not exist, it is private, or the token is wrong; {}",
        if *with_token { "check HF_TOKEN" } else { "if it is private, set HF_TOKEN to a token from https://huggingface.co/settings/tokens" }
    )]
    Unauthorized { repository: String, with_token: bool },
    #[error(
        "{repository} is gated: accept its terms on {page} while signed in, then set HF_TOKEN to a token from https://huggingface.co/settings/tokens"
    )]
    Gated { repository: String, page: String },
    #[error("the hub forbids access to {repository}: {reason}")]
    Forbidden { repository: String, reason: String },
    #[error("{repository} has no file {file} at revision {revision}")]
    NotFound { repository: String, file: String, revision: String },
    #[error("the hub does not know {repository} at revision {revision}")]
    NoRevision { repository: String, revision: String },
    #[error("the hub is busy (status {status})")]
    Busy { status: u16, retry_after: Option<Duration> },
    #[error("the hub asks to come back in {} s; try again then", after.as_secs())]
    ComeBackLater { after: Duration },
    #[error("the hub answered {file} with status {status}")]
    Status { file: String, status: u16 },
    #[error("the hub does not say how large {0} is; is the endpoint a hub?")]
    NoSize(String),
    #[error("the connection broke after {} of {file}", in_words(*received))]
    Broken {
        file: String,
        received: u64,
        #[source]
        source: io::Error,
    },
    #[error(
        "{file} should have {expected} bytes, but {found} came; a proxy or a sign-in page may answer in the hub's place"
    )]
    WrongSize { file: String, expected: u64, found: u64 },
    #[error("the bytes of {file} are not those that were announced ({expected}); they were thrown away")]
    WrongBytes { file: String, expected: String },
    #[error(
        "the hub's {file} is not the one that this version of declaim knows: {what} is {found} instead of {expected}"
    )]
    Disagrees { file: String, what: &'static str, expected: String, found: String },
    #[error("gave up on {file}: {tries} tries in a row brought nothing; what came before is kept")]
    GaveUp {
        file: String,
        tries: u32,
        #[source]
        source: Box<HubError>,
    },
}

impl HubError {
    /// Whether the same request could succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Broken { .. } => true,
            Self::Endpoint(_)
            | Self::Certificates { .. }
            | Self::Offline(_)
            | Self::Insecure { .. }
            | Self::Unauthorized { .. }
            | Self::Gated { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::NoRevision { .. }
            | Self::ComeBackLater { .. }
            | Self::Status { .. }
            | Self::NoSize(_)
            | Self::WrongSize { .. }
            | Self::WrongBytes { .. }
            | Self::Disagrees { .. }
            | Self::GaveUp { .. } => false,
        }
    }
}
