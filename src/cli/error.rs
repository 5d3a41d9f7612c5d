//! What can go wrong on the command line: the sentence, the hint, the exit code.

use std::io;
use std::path::PathBuf;

use crate::app::AppError;
use crate::config::ConfigError;
use crate::files::FileError;
use crate::jobs::upkeep::BackupError;
use crate::jobs::{DeleteError, EnqueueError, JobStatus, KeyError, OpenError, StoreError};
use crate::models::ModelsError;
use crate::speech::catalog::UnknownModel;
use crate::speech::chatterbox::DetectError;
use crate::speech::conversion::ConversionError;
use crate::speech::direct::SpeakError;
use crate::speech::model::ModelError;
use crate::speech::request::DraftError;
use crate::voices::{LibraryError, UnknownVoice};

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the home directory of this user is unknown")]
    NoHome(#[source] etcetera::HomeDirError),
    #[error("the log level {0:?} cannot be read")]
    LogLevel(String),

    #[error(transparent)]
    App(#[from] AppError),
    #[error("the address {address} is in use by another program, or by another declaim")]
    AddressInUse { address: String },
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the server stopped working")]
    Serve(#[source] io::Error),

    #[error(transparent)]
    Draft(DraftError),
    #[error(transparent)]
    Voice(UnknownVoice),
    #[error("{found:?} has the extension of no audio format that declaim writes")]
    Extension { found: PathBuf },
    #[error(transparent)]
    NoModel(#[from] UnknownModel),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("the voice {voice} is needed by {jobs} unfinished jobs")]
    VoiceInUse { voice: String, jobs: u64 },
    #[error("the model cannot be used")]
    Model(#[source] ModelError),
    #[error("interrupted")]
    Interrupted,
    #[error("the text could not be spoken")]
    Speak(#[source] SpeakError),

    #[error("the recording could not be converted")]
    Convert(#[source] ModelError),
    #[error(transparent)]
    Conversion(ConversionError),
    #[error(transparent)]
    Detect(#[from] DetectError),

    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error("{model} is damaged: {problems}")]
    DamagedModel { model: String, problems: String },

    #[error("there is no valid key {0:?}")]
    NoKey(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "keys are required, but whoever reaches {host}:{port} could speak without one: Wyoming knows no keys"
    )]
    OpenWyoming { host: String, port: u16 },
    #[error("there are no jobs in {}, no server has run there", .0.display())]
    NoJobs(PathBuf),
    #[error("no server is running on {}, so nothing would be spoken", .0.display())]
    NotRunning(PathBuf),
    #[error("{left} jobs are left; they are kept, and the next start of the server goes on with them")]
    NotDrained { left: u64 },
    #[error("somebody has set the queue to {state} meanwhile; it is no longer drained")]
    NotDraining { state: String },
    #[error("the backup failed")]
    Backup(#[from] BackupError),
    #[error("the log format {0:?} cannot be written")]
    LogFormat(String),
    #[error(
        "the data directory {} is on a network file system ({kind}), where the job database is not safe: it needs locks and memory that machines do not share",
        path.display()
    )]
    NetworkDisk { path: PathBuf, kind: String },
    #[error("there is no job {0:?}")]
    UnknownJob(String),
    #[error("job {id} has already ended as {status}")]
    AlreadyFinished { id: String, status: JobStatus },
    #[error("job {id} is {status}; {instead}")]
    JobIs { id: String, status: JobStatus, instead: &'static str },
    #[error("cannot put the job back into the queue")]
    Retry(#[from] EnqueueError),
    #[error("cannot delete the job")]
    Delete(#[from] DeleteError),
    #[error("cannot open the jobs")]
    Open(#[from] OpenError),
    #[error("cannot use the job table")]
    Store(#[from] StoreError),
    #[error("the server at {url} cannot be reached")]
    Unreachable {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error("the server says: {0}")]
    Refused(String),

    #[error("{0}")]
    Usage(String),
    #[error("{problems} of the checks failed")]
    Unwell { problems: usize },
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Write(FileError),
    #[error("standard input cannot be read")]
    Input(#[source] io::Error),
    #[error("cannot start the threads of the program")]
    Runtime(#[source] io::Error),
}

impl From<DraftError> for CliError {
    fn from(error: DraftError) -> Self {
        match error {
            // Its sentence without the name of a field that the command line does not have.
            DraftError::Voice { unknown, .. } => Self::Voice(unknown),
            DraftError::NoModel(unknown) | DraftError::Model(unknown) => Self::NoModel(unknown),
            other => Self::Draft(other),
        }
    }
}

impl From<ConversionError> for CliError {
    fn from(error: ConversionError) -> Self {
        match error {
            ConversionError::Draft(error) => error.into(),
            other => Self::Conversion(other),
        }
    }
}

impl CliError {
    /// What to do about it, where that is not in the sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(_) | Self::Models(ModelsError::Entry { .. }) => {
                Some("the file was not changed; every key stands with its meaning in config.yaml")
            }
            Self::NoHome(_) => Some("say where to keep data with --data DIR or DECLAIM_DATA"),
            Self::LogLevel(_) => Some("use error, warn, info, debug, trace, or pairs such as declaim=debug"),
            Self::AddressInUse { .. } => Some(
                "choose another port with --port, 0 for any free one; `declaim jobs list` asks a running server",
            ),
            Self::Listen { .. } => {
                Some("server.host must be an address of this machine; ports below 1024 need privileges")
            }
            Self::Extension { .. } => {
                Some("end the name in .wav, .flac, .mp3, .opus, .aac, .m4a or .pcm, or say --format")
            }
            Self::NotRunning(_) => {
                Some("start it, or say which directory with --data DIR or which server with --server URL")
            }
            Self::NotDrained { .. } => Some(
                "stop the server now, or drain again with a longer --within; `declaim queue resume` takes jobs again",
            ),
            Self::Backup(BackupError::Exists(_)) => Some("choose another name, or say --force to replace it"),
            Self::LogFormat(_) => Some("use text or json"),
            Self::NetworkDisk { .. } => Some(
                "choose a directory on a disk of this machine with --data DIR; job_queue.allow_network_disk: true takes the risk",
            ),
            Self::NoKey(_) => Some("`declaim keys list` says which there are"),
            Self::OpenWyoming { .. } => {
                Some("set wyoming.host to 127.0.0.1, or wyoming.without_keys to true if that is meant")
            }
            Self::NoJobs(_) | Self::Open(_) => Some("say which directory with --data DIR"),
            Self::Unreachable { .. } => Some("is it running? the address is that of its ready line"),
            Self::DamagedModel { .. } => {
                Some("`declaim models pull NAME --refresh` fetches what is wrong, and only that")
            }
            Self::Models(ModelsError::Unknown { .. }) => Some("`declaim models list` says what they are for"),
            Self::VoiceInUse { .. } => Some("cancel them with `declaim jobs cancel`, or wait for their end"),
            Self::Model(_) => Some("`declaim doctor` says which models and devices there are"),
            Self::App(_)
            | Self::Serve(_)
            | Self::Draft(_)
            | Self::Voice(_)
            | Self::NoModel(_)
            | Self::Library(_)
            | Self::Usage(_)
            | Self::Interrupted
            | Self::Speak(_)
            | Self::Convert(_)
            | Self::Conversion(_)
            | Self::Detect(_)
            | Self::Models(_)
            | Self::NotDraining { .. }
            | Self::Backup(_)
            | Self::UnknownJob(_)
            | Self::AlreadyFinished { .. }
            | Self::JobIs { .. }
            | Self::Retry(_)
            | Self::Delete(_)
            | Self::Key(_)
            | Self::Store(_)
            | Self::Refused(_)
            | Self::Unwell { .. }
            | Self::File { .. }
            | Self::Write(_)
            | Self::Input(_)
            | Self::Runtime(_) => None,
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::NoHome(_)
            | Self::LogLevel(_)
            | Self::LogFormat(_)
            | Self::Draft(_)
            | Self::Voice(_)
            | Self::Usage(_)
            | Self::Models(
                ModelsError::Unknown { .. } | ModelsError::Entry { .. } | ModelsError::OwnFolder { .. },
            )
            | Self::Conversion(ConversionError::Unable { .. })
            | Self::OpenWyoming { .. }
            | Self::Key(KeyError::Name)
            | Self::Extension { .. } => 2,
            Self::Interrupted | Self::Models(ModelsError::Cancelled) => 130,
            Self::App(_)
            | Self::AddressInUse { .. }
            | Self::Listen { .. }
            | Self::Serve(_)
            | Self::Model(_)
            | Self::NoModel(_)
            | Self::Library(_)
            | Self::VoiceInUse { .. }
            | Self::Speak(_)
            | Self::Convert(_)
            | Self::Conversion(ConversionError::Draft(_) | ConversionError::Recording(_))
            | Self::Detect(_)
            | Self::Models(_)
            | Self::DamagedModel { .. }
            | Self::NoJobs(_)
            | Self::NotRunning(_)
            | Self::NotDrained { .. }
            | Self::NotDraining { .. }
            | Self::Backup(_)
            | Self::NetworkDisk { .. }
            | Self::UnknownJob(_)
            | Self::AlreadyFinished { .. }
            | Self::JobIs { .. }
            | Self::Retry(_)
            | Self::Delete(_)
            | Self::NoKey(_)
            | Self::Key(_)
            | Self::Open(_)
            | Self::Store(_)
            | Self::Unreachable { .. }
            | Self::Refused(_)
            | Self::Unwell { .. }
            | Self::File { .. }
            | Self::Write(_)
            | Self::Input(_)
            | Self::Runtime(_) => 1,
        }
    }
}
