//! Settings: the compiled-in `config.yaml` under the user's file, the environment and the flags.
//!
//! The shipped file *is* the default, so documentation and program cannot drift apart, and a key is known exactly when
//! it stands there. Each layer is checked as it is laid on, so an error names the layer that is wrong. Nothing here ever
//! writes a file: a configuration that cannot be read is the user's to mend, not ours to overwrite.

mod layers;
mod lexicon;
mod reader;
pub mod saved;
mod settings;
pub mod upstream;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use layers::Unknown;
pub use lexicon::Lexicon;
pub use settings::{
    Aliases, AudioOutput, AudioProcessing, Auth, FallbackDevice, GenerationDefaults, Hub, JobQueue, KeyUse,
    Limits, Model, OwnModel, OwnPronunciation, Precision, Server, Settings, Text, TtsEngine, Voices,
    WatermarkUse, Webhooks, Wyoming, is_loopback, ranges,
};

/// The defaults, every key commented.
pub const DEFAULTS: &str = include_str!("../../config.yaml");

/// Why the settings could not be made. Each message names the layer and the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{layer} is not valid YAML: {source}")]
    Syntax { layer: String, source: Box<serde_saphyr::Error> },
    #[error("{layer}: the top level must be a list of sections such as `server:`, found {found}")]
    NotSections { layer: String, found: String },
    #[error("{layer}: {key}: {problem}")]
    Value { layer: String, key: String, problem: String },
}

/// Where the layers above the defaults come from.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The user's file, if there is one.
    pub file: Option<&'a Path>,
    /// What was saved over the network, if anything was.
    pub saved: Option<&'a Path>,
    /// The process environment; only `DECLAIM_<SECTION>__<KEY>` is looked at.
    pub environment: Vec<(String, String)>,
    /// Values from flags, as `(path, value)` such as `("server.port", 9000)`.
    pub flags: Vec<(&'static str, Value)>,
}

/// Lays the layers over each other.
///
/// Returns the settings and the keys that nobody reads, for the caller to warn about: a typing mistake there must be
/// seen, yet an old or newer file must still start the server.
///
/// # Errors
/// An unreadable or malformed file (with line and column), a value of the wrong type or outside its range (with its key).
pub fn load(sources: &Sources<'_>) -> Result<(Settings, Vec<Unknown>), ConfigError> {
    let defaults = layers::parse("the built-in configuration", DEFAULTS)?;
    let mut merged = defaults.clone();
    let mut settings = settings::resolve("the built-in configuration", &merged)?;
    let mut unknown = Vec::new();

    let mut lay = |layer: &str, value: Value| -> Result<Settings, ConfigError> {
        unknown.extend(layers::merge(layer, &mut merged, value, &defaults));
        settings::resolve(layer, &merged)
    };
    for path in [sources.file, sources.saved].into_iter().flatten() {
        let layer = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        settings = lay(&layer, layers::parse(&layer, &text)?)?;
    }
    for (variable, text) in &sources.environment {
        if let Some(value) = layers::from_variable(variable, text) {
            settings = lay(&format!("the environment variable {variable}"), value?)?;
        }
    }
    for (key, value) in &sources.flags {
        settings = lay("the command line", layers::nest(key.split('.'), value.clone()))?;
    }
    let folder = sources.file.and_then(Path::parent).unwrap_or(Path::new(""));
    for lexicon in settings.lexicons.clone() {
        settings.pronunciations.extend(lexicon.entries(folder)?);
    }
    if settings.pronunciations.len() > ranges::PRONUNCIATIONS {
        let (found, most) = (settings.pronunciations.len(), ranges::PRONUNCIATIONS);
        let problem = format!("{found} pronunciations with those of the lexicons; {most} are possible");
        return Err(ConfigError::Value {
            layer: "the configuration".to_owned(),
            key: "lexicons".to_owned(),
            problem,
        });
    }
    Ok((settings, unknown))
}

impl Default for Settings {
    /// The compiled-in `config.yaml`; a test proves that it resolves.
    fn default() -> Self {
        load(&Sources::default()).expect("config.yaml, compiled in, is valid; a test proves it").0
    }
}

#[cfg(test)]
mod tests;
