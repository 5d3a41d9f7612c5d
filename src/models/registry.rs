//! Which models there are: the published ones and those of the user's `models:` list, each as a list of wanted files.
//!
//! A wanted file names where it may be found, best first. A fine-tune usually brings a T3 of its own and nothing else, so
//! what its repository lacks comes from the published model of its architecture.

use std::path::PathBuf;

use super::error::ModelsError;
use super::{Architecture, Role, published};
use crate::config::OwnModel;

/// A model that could be installed.
#[derive(Clone, Debug)]
pub struct Model {
    /// What requests and commands call it; file-name-safe.
    pub name: String,
    /// For people.
    pub title: String,
    pub architecture: Architecture,
    /// Codes.
    pub languages: Vec<String>,
    /// `None` where only its owner knows.
    pub licence: Option<String>,
    /// What it is good for, in half a sentence.
    pub purpose: String,
    pub origin: Origin,
    /// From the user's configuration.
    pub is_own: bool,
    pub(super) files: Vec<Wanted>,
}

/// Where a model lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `owner/name`; what is fetched goes to the store.
    Hub { repository: String },
    /// Used where it is.
    Folder(PathBuf),
}

/// A file that a model is made of.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) role: Role,
    /// Best first; the next one counts only where the one before does not exist.
    pub(super) candidates: Vec<Candidate>,
}

/// What stands before the name of a repository that is not on the hub.
pub(super) const GITHUB: &str = "github:";

/// A place where a file may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// `owner/name` on the hub; with [`GITHUB`] before it, on GitHub.
    pub(super) repository: String,
    /// A commit, a branch or a tag.
    pub(super) revision: String,
    /// The path in the repository.
    pub(super) name: String,
    /// Bytes, exact where the hash is known too.
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<String>,
}

impl Candidate {
    /// The name in a model's folder, which is flat.
    pub(super) fn file(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

impl Model {
    /// Bytes of all files together, as far as they are known.
    pub fn size(&self) -> Option<u64> {
        let sizes = self.files.iter().map(|wanted| wanted.candidates.first().and_then(|first| first.size));
        sizes.sum()
    }
}

/// All models, published ones first.
#[derive(Clone, Debug)]
pub struct Registry {
    models: Vec<Model>,
}

/// Names that mean something else wherever a model is named.
const RESERVED: [&str; 3] = ["auto", "pico", "tone"];

impl Registry {
    /// # Errors
    /// [`ModelsError::Entry`] for an entry of the user's list that cannot be meant so.
    pub fn new(own: &[OwnModel]) -> Result<Self, ModelsError> {
        let mut registry = Self { models: published::models() };
        for (index, entry) in own.iter().enumerate() {
            let model = registry.checked(entry).map_err(|problem| ModelsError::Entry {
                entry: format!("number {} ({:?})", index + 1, entry.name),
                problem,
            })?;
            registry.models.push(model);
        }
        Ok(registry)
    }

    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model that a name means: its own, in any case; a repository's; or one that other servers of the family use,
    /// as `chatterbox-turbo`.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`], which lists those there are.
    pub fn find(&self, wanted: &str) -> Result<&Model, ModelsError> {
        let name = wanted.trim().to_lowercase();
        let short = match name.strip_prefix("resembleai/").unwrap_or(&name) {
            "chatterbox" => "original",
            "multilingual" | "chatterbox-multilingual" => "multilingual-v3",
            other => other.strip_prefix("chatterbox-").unwrap_or(other),
        };
        let by_name = |name: &str| self.models.iter().find(|model| model.name == name);
        let by_repository = || {
            self.models.iter().find(|model| match &model.origin {
                Origin::Hub { repository } => model.is_own && repository.to_lowercase() == name,
                Origin::Folder(_) => false,
            })
        };
        by_name(&name).or_else(by_repository).or_else(|| by_name(short)).ok_or_else(|| ModelsError::Unknown {
            wanted: wanted.to_owned(),
            known: self.models.iter().map(|model| model.name.clone()).collect(),
        })
    }

    /// The published model that lends a fine-tune what it lacks.
    pub(super) fn base(&self, architecture: Architecture) -> Option<&Model> {
        let name = match architecture {
            Architecture::Nano => "nano",
            Architecture::Turbo => "turbo",
            Architecture::Original => "original",
            Architecture::Multilingual => "multilingual-v3",
            Architecture::Watermark => "watermark",
        };
        self.models.iter().find(|model| model.name == name)
    }

    /// An entry as a model, or what is wrong with it.
    fn checked(&self, entry: &OwnModel) -> Result<Model, String> {
        let name = entry.name.as_str();
        if !is_name(name) {
            return Err("name: use lower-case letters, digits, '-', '_' and '.', at most 64".to_owned());
        }
        if RESERVED.contains(&name) || self.models.iter().any(|model| model.name == name) {
            return Err("name: there is a model of this name already".to_owned());
        }
        let architecture: Architecture = entry.architecture.parse()?;
        let origin = match (&entry.repository, &entry.folder) {
            (Some(repository), None) => Origin::Hub { repository: checked_repository(repository)? },
            (None, Some(folder)) if folder.is_absolute() => Origin::Folder(folder.clone()),
            (None, Some(_)) => return Err("folder: give the whole path, from the root".to_owned()),
            (Some(_), Some(_)) | (None, None) => {
                return Err("say either repository (on the hub) or folder (on this machine)".to_owned());
            }
        };
        let revision = entry.revision.clone().unwrap_or_else(|| "main".to_owned());
        if entry.folder.is_some() && entry.revision.is_some() {
            return Err("revision: a folder has none".to_owned());
        }
        let mut named = Vec::new();
        for (role, file) in &entry.files {
            let role: Role = role.parse().map_err(|problem| format!("files: {problem}"))?;
            if !architecture.roles().contains(&role) {
                return Err(format!("files: a {architecture} model has no {role}"));
            }
            if !is_path(file) {
                return Err(format!("files: {role}: {file:?} is no path inside the repository or folder"));
            }
            named.push((role, file.as_str()));
        }
        let repository = entry.repository.clone().unwrap_or_default();
        let here = |name: &str| Candidate {
            repository: repository.clone(),
            revision: revision.clone(),
            name: name.to_owned(),
            size: None,
            sha256: None,
        };
        let base = self.base(architecture);
        let wanted = |role: Role| {
            let candidates = match named.iter().find(|(named, _)| *named == role) {
                // Who names a file means that one.
                Some((_, file)) => vec![here(file)],
                None => usual_names(architecture, role).iter().map(|name| here(name)).collect(),
            };
            let lent = base
                .filter(|_| role != Role::T3 && !named.iter().any(|(named, _)| *named == role))
                .and_then(|base| base.files.iter().find(|wanted| wanted.role == role));
            let lent = lent.map(|wanted| wanted.candidates.clone()).unwrap_or_default();
            Wanted { role, candidates: candidates.into_iter().chain(lent).collect() }
        };
        let wanted = architecture.roles().iter().map(|role| wanted(*role));
        let files: Vec<Wanted> = wanted.filter(|wanted| !wanted.candidates.is_empty()).collect();
        Ok(Model {
            name: name.to_owned(),
            title: name.to_owned(),
            architecture,
            languages: own_languages(entry, base)?,
            licence: None,
            purpose: "from your configuration".to_owned(),
            origin,
            is_own: true,
            files,
        })
    }
}

/// The languages that an entry names, else those of its base.
fn own_languages(entry: &OwnModel, base: Option<&Model>) -> Result<Vec<String>, String> {
    let is_code = |code: &String| {
        (2..=8).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match entry.languages.iter().find(|code| !is_code(code)) {
        Some(wrong) => Err(format!("languages: {wrong:?} is no language code such as \"de\"")),
        None if entry.languages.is_empty() => {
            Ok(base.map(|model| model.languages.clone()).unwrap_or_default())
        }
        None => Ok(entry.languages.clone()),
    }
}

/// Safe as a name of a folder on every system.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !name.ends_with('.')
}

fn checked_repository(repository: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let is_repository = repository
        .split_once('/')
        .is_some_and(|(owner, name)| is_part(owner) && is_part(name) && repository.len() <= 200);
    if is_repository {
        Ok(repository.to_owned())
    } else {
        Err(format!("repository: {repository:?} is not of the form owner/name"))
    }
}

/// A relative path that stays inside.
fn is_path(path: &str) -> bool {
    !path.is_empty()
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && !path.contains(['\\', ':', '\0'])
        && path.len() <= 400
}

/// What the family's repositories call their files, best first.
fn usual_names(architecture: Architecture, role: Role) -> &'static [&'static str] {
    let is_gpt = matches!(architecture, Architecture::Nano | Architecture::Turbo);
    match role {
        Role::T3 => match architecture {
            Architecture::Nano => &["t3_nano_v1.safetensors"],
            Architecture::Turbo => &["t3_turbo_v1.safetensors"],
            Architecture::Original => &["t3_cfg.safetensors", "t3_cfg.pt"],
            Architecture::Multilingual => &["t3_mtl23ls_v3.safetensors", "t3_mtl23ls_v2.safetensors"],
            Architecture::Watermark => &[],
        },
        Role::S3gen if is_gpt => &["s3gen_meanflow.safetensors"],
        Role::S3gen if architecture == Architecture::Original => &["s3gen.safetensors", "s3gen.pt"],
        Role::S3gen => &["s3gen_v3.safetensors", "s3gen_v3.pt", "s3gen.safetensors", "s3gen.pt"],
        Role::VoiceEncoder => &["ve.safetensors", "ve.pt"],
        Role::Conds => &["conds.pt"],
        Role::Tokenizer if architecture == Architecture::Original => &["tokenizer.json"],
        Role::Tokenizer => &["grapheme_mtl_merged_expanded_v1.json"],
        Role::Vocab => &["vocab.json"],
        Role::Merges => &["merges.txt"],
        Role::AddedTokens => &["added_tokens.json"],
        Role::TokenizerConfig => &["tokenizer_config.json"],
        Role::Cangjie => &["Cangjie5_TC.json"],
        // Many repositories have a config.json for other programs, so this one is taken only where it is named.
        Role::Config => &[],
        Role::Watermark => &["perth_net_250000.pth.tar"],
    }
}

#[cfg(test)]
mod tests;
