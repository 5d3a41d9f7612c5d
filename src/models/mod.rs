//! The models there are, the files they are made of, and where those come from. Knows files and downloads, nothing of
//! networks or jobs.
//!
//! `registry` says what could be installed, `store` what is; `pull` brings one to the other from the Hugging Face hub,
//! `import` from a folder. [`Models`] is all of it in one value.

mod cache;
mod copy;
mod digest;
mod download;
mod error;
mod hub;
mod import;
mod lock;
mod manifest;
mod plan;
mod progress;
mod published;
mod pull;
mod pulls;
mod registry;
mod retry;
mod store;
mod verify;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::OwnModel;
pub use error::{HubError, ModelsError};
pub use hub::HubSettings;
pub use manifest::{FileEntry, Manifest};
pub use progress::{Phase, Progress};
pub use pull::{Observe, Pulled};
pub use pulls::PullState;
pub use registry::{Model, Origin, Registry};
pub use store::{InstalledModel, State, Store};
pub use verify::Damage;

/// What kind of network a checkpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// GPT-2 small, meanflow.
    Nano,
    /// GPT-2 medium, meanflow.
    Turbo,
    /// Llama, English.
    Original,
    /// Llama with the larger text vocabulary.
    Multilingual,
    /// Perth, which speaks nothing: it marks what the others have spoken.
    Watermark,
}

/// What a file is to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Text to speech tokens.
    T3,
    /// Speech tokens to sound.
    S3gen,
    /// Reference clips to speaker vectors.
    VoiceEncoder,
    /// The built-in voice.
    Conds,
    /// A whole tokenizer (original, multilingual).
    Tokenizer,
    /// The parts of GPT-2's (nano, turbo).
    Vocab,
    Merges,
    AddedTokens,
    TokenizerConfig,
    /// Chinese characters as keystrokes.
    Cangjie,
    /// What a fine-tune has changed of its architecture's sizes and defaults.
    Config,
    /// The networks that mark speech and find the mark.
    Watermark,
}

impl Architecture {
    /// Those of models that people may have made themselves.
    const SPEAKING: [Self; 4] = [Self::Nano, Self::Turbo, Self::Original, Self::Multilingual];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nano => "nano",
            Self::Turbo => "turbo",
            Self::Original => "original",
            Self::Multilingual => "multilingual",
            Self::Watermark => "watermark",
        }
    }

    /// The parts of such a model, the one that makes it first.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Nano | Self::Turbo => &[
                Role::T3,
                Role::S3gen,
                Role::VoiceEncoder,
                Role::Conds,
                Role::Vocab,
                Role::Merges,
                Role::AddedTokens,
                Role::TokenizerConfig,
                Role::Config,
            ],
            Self::Original => {
                &[Role::T3, Role::S3gen, Role::VoiceEncoder, Role::Conds, Role::Tokenizer, Role::Config]
            }
            Self::Multilingual => &[
                Role::T3,
                Role::S3gen,
                Role::VoiceEncoder,
                Role::Conds,
                Role::Tokenizer,
                Role::Cangjie,
                Role::Config,
            ],
            Self::Watermark => &[Role::Watermark],
        }
    }
}

impl Role {
    const ALL: [Self; 12] = [
        Self::T3,
        Self::S3gen,
        Self::VoiceEncoder,
        Self::Conds,
        Self::Tokenizer,
        Self::Vocab,
        Self::Merges,
        Self::AddedTokens,
        Self::TokenizerConfig,
        Self::Cangjie,
        Self::Config,
        Self::Watermark,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::T3 => "t3",
            Self::S3gen => "s3gen",
            Self::VoiceEncoder => "voice_encoder",
            Self::Conds => "conds",
            Self::Tokenizer => "tokenizer",
            Self::Vocab => "vocab",
            Self::Merges => "merges",
            Self::AddedTokens => "added_tokens",
            Self::TokenizerConfig => "tokenizer_config",
            Self::Cangjie => "cangjie",
            Self::Config => "config",
            Self::Watermark => "watermark",
        }
    }

    /// Whether a model cannot speak without it.
    pub fn is_required(self) -> bool {
        match self {
            Self::T3
            | Self::S3gen
            | Self::VoiceEncoder
            | Self::Tokenizer
            | Self::Vocab
            | Self::Merges
            | Self::AddedTokens
            | Self::Watermark
            // Only a fine-tune that names it has one.
            | Self::Config => true,
            Self::Conds | Self::TokenizerConfig | Self::Cangjie => false,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Architecture {
    /// What is wrong, as the rest of a sentence about a setting.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::SPEAKING.map(Self::name);
        Self::SPEAKING.into_iter().find(|known| known.name() == text).ok_or_else(|| {
            format!("architecture: {text:?} is none{}; they are {}", guess(text, &names), names.join(", "))
        })
    }
}

impl FromStr for Role {
    /// What is wrong, as the rest of a sentence about a setting.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|known| known.name() == text).ok_or_else(|| {
            format!("{text:?} is no part of a model{}; they are {}", guess(text, &names), names.join(", "))
        })
    }
}

fn guess(text: &str, names: &[&str]) -> String {
    let likeness = |name: &&&str| (strsim::jaro_winkler(text, name) * 1000.0) as u32;
    let best = names.iter().max_by_key(likeness).filter(|best| likeness(best) >= 650);
    best.map(|best| format!("; did you mean {best:?}?")).unwrap_or_default()
}

/// Bytes as people say them, in the units of disks and of the hub.
pub fn in_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// An error with its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Registry, store and hub in one value; clones share it.
#[derive(Clone, Debug)]
pub struct Models(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    store: Store,
    hub: HubSettings,
    pulls: pulls::Pulls,
}

/// A model and how it stands, as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub name: String,
    pub title: String,
    pub architecture: Architecture,
    pub languages: Vec<String>,
    pub licence: Option<String>,
    pub purpose: String,
    /// `owner/name`, or a folder.
    pub origin: String,
    /// From the user's configuration.
    pub own: bool,
    #[serde(flatten)]
    pub state: State,
    /// On the disk if it is installed, else to download; unknown for a fine-tune that was never seen.
    pub size_bytes: Option<u64>,
    /// Where an installed model's files are.
    pub folder: Option<String>,
    /// The pull that runs, or the last one, of this process.
    pub pull: Option<PullState>,
}

impl Models {
    /// # Errors
    /// [`ModelsError::Entry`] for an entry of the user's list that cannot be meant so.
    pub fn new(data_dir: &Path, own: &[OwnModel], hub: HubSettings) -> Result<Self, ModelsError> {
        let (registry, store) = (Registry::new(own)?, Store::new(data_dir));
        Ok(Self(Arc::new(Inner { registry, store, hub, pulls: pulls::Pulls::default() })))
    }

    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    fn pulls(&self) -> &pulls::Pulls {
        &self.0.pulls
    }

    /// Every model, in the registry's order.
    pub fn list(&self) -> Vec<Listed> {
        self.registry().models().iter().map(|model| self.listed(model)).collect()
    }

    pub fn listed(&self, model: &Model) -> Listed {
        let state = self.store().state(model);
        let installed = self.store().manifest(&model.name).ok().map(|manifest| manifest.size());
        let (origin, folder) = match &model.origin {
            Origin::Folder(folder) => (folder.clone(), Some(folder.clone())),
            Origin::Hub { repository } => {
                (repository.into(), installed.map(|_| self.store().folder(&model.name)))
            }
        };
        Listed {
            name: model.name.clone(),
            title: model.title.clone(),
            architecture: model.architecture,
            languages: model.languages.clone(),
            licence: model.licence.clone(),
            purpose: model.purpose.clone(),
            origin: origin.display().to_string(),
            own: model.is_own,
            state,
            size_bytes: installed.or_else(|| model.size()),
            folder: folder.map(|folder| folder.display().to_string()),
            pull: self.watch_pull(&model.name).map(|state| state.borrow().clone()),
        }
    }

    /// Downloads a model. Blocks; `observe` is shown the progress ten times a second and may stop it, after which the
    /// next pull goes on from there.
    pub fn pull(&self, name: &str, refresh: bool, observe: &mut Observe<'_>) -> Result<Pulled, ModelsError> {
        pull::pull(self.store(), &self.0.hub, self.registry().find(name)?, refresh, observe)
    }

    /// Whether a pull would find nothing to do.
    fn is_current(&self, name: &str) -> Result<bool, ModelsError> {
        pull::is_installed(self.store(), self.registry().find(name)?).map(|manifest| manifest.is_some())
    }

    /// Takes a model's files from a folder. Blocks.
    pub fn import(
        &self,
        name: &str,
        folder: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Manifest, ModelsError> {
        import::import(self.store(), &self.0.hub, self.registry().find(name)?, folder, observe)
    }

    /// Reads every byte of an installed model. Blocks.
    pub fn verify(&self, name: &str, observe: &mut Observe<'_>) -> Result<Vec<Damage>, ModelsError> {
        self.store().verify(self.registry().find(name)?, observe)
    }

    /// Removes an installed model, or one that the configuration no longer names; says how many bytes were freed.
    pub fn remove(&self, name: &str) -> Result<u64, ModelsError> {
        match self.registry().find(name) {
            Ok(Model { name, origin: Origin::Folder(folder), .. }) => {
                Err(ModelsError::OwnFolder { name: name.clone(), folder: folder.clone() })
            }
            Ok(model) => self.store().remove(&model.name),
            Err(unknown) => match self.store().remove(name) {
                Err(ModelsError::NotInstalled(_)) => Err(unknown),
                other => other,
            },
        }
    }

    /// The names of the models whose files are all here.
    pub fn installed_now(&self) -> Vec<String> {
        let models = self.registry().models().iter();
        models.filter(|model| self.store().files(model).is_ok()).map(|model| model.name.clone()).collect()
    }

    /// The files of a model that can be used now.
    pub fn files(&self, name: &str) -> Result<InstalledModel, ModelsError> {
        self.store().files(self.registry().find(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_and_architecture_reads_back_from_its_own_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        for architecture in Architecture::SPEAKING {
            assert_eq!(architecture.name().parse(), Ok(architecture));
            assert_eq!(serde_json::to_value(architecture).unwrap(), architecture.name());
            assert_eq!(architecture.roles()[0], Role::T3);
        }
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        for (bytes, words) in [
            (418, "418 bytes"),
            (69_989, "70 KB"),
            (5_695_784, "5.7 MB"),
            (64_000_000, "64 MB"),
            (2_987_679_890, "2.99 GB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }
}
