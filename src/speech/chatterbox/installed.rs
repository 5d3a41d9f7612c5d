//! The models that were installed: what their files say of them, and how they become a voice.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use chatterbox::pipeline::{Chatterbox, Checkpoint};
use chatterbox::reference_clip::ClipRules;
use chatterbox::text::{Gpt2Files, TextTokenizer};
use chatterbox::variant::{ModelConfig, SAMPLE_RATE};
use chatterbox::voice::Voice;
use chatterbox::weights::{WeightError, Weights};

use super::cloning::Cloner;
use super::spoken::{Spoken, parameters};
use super::{Offer, Placement, in_one_line, not_loaded, start};
use crate::models::{Architecture, InstalledModel, Models, Role};
use crate::speech::model::{ModelError, ModelInfo, VoiceInfo, VoiceKind};
use crate::voices::Library;
use crate::voices::clip::Needs;

/// The id of the voice that was published with a model.
const BUILT_IN: &str = "builtin";

/// The models whose files are all here.
pub(super) fn found(models: &Models) -> Vec<InstalledModel> {
    let usable = |name: &str| match models.files(name) {
        Ok(model) => Some(model),
        Err(error) => {
            tracing::debug!(%error, model = name, "not offered");
            None
        }
    };
    models.registry().models().iter().filter_map(|model| usable(&model.name)).collect()
}

/// What `auto` prefers comes first: the quickest on a CPU, the best English on a GPU, many languages last, since they are
/// asked for by name.
pub(super) fn rank(architecture: Architecture, expects_gpu: bool) -> u8 {
    match architecture {
        Architecture::Turbo if expects_gpu => 0,
        Architecture::Nano => 1,
        Architecture::Turbo => 2,
        Architecture::Original => 3,
        Architecture::Multilingual => 4,
    }
}

pub(super) fn offer(model: InstalledModel, device: &Placement, library: &Library) -> Offer {
    let (device, library) = (device.clone(), library.clone());
    Offer::new(describe(&model), move || Ok(Box::new(load(&model, &device, &library)?)))
}

fn config(architecture: Architecture) -> ModelConfig {
    match architecture {
        Architecture::Nano => ModelConfig::nano(),
        Architecture::Turbo => ModelConfig::turbo(),
        Architecture::Original => ModelConfig::original(),
        Architecture::Multilingual => ModelConfig::multilingual(),
    }
}

/// What the reference's class for it does with a clip, and the name under which voices are kept.
fn clip_rules(architecture: Architecture) -> (ClipRules, &'static str) {
    match architecture {
        Architecture::Nano | Architecture::Turbo => (ClipRules::turbo(), "turbo"),
        Architecture::Original | Architecture::Multilingual => (ClipRules::original(), "original"),
    }
}

fn describe(model: &InstalledModel) -> ModelInfo {
    let class_name = match model.architecture {
        Architecture::Nano | Architecture::Turbo => "ChatterboxTurboTTS",
        Architecture::Original => "ChatterboxTTS",
        Architecture::Multilingual => "ChatterboxMultilingualTTS",
    };
    let (rules, _) = clip_rules(model.architecture);
    let sampling = config(model.architecture).sampling;
    let built_in = model.path(Role::Conds).map(|_| VoiceInfo {
        id: BUILT_IN.to_owned(),
        name: "Built-in".to_owned(),
        kind: VoiceKind::BuiltIn,
        gender: None,
        language: model.languages.first().cloned().unwrap_or_else(|| "en".to_owned()),
        origin: "published with the model".to_owned(),
    });
    ModelInfo {
        name: model.name.clone(),
        class_name: class_name.to_owned(),
        sample_rate: SAMPLE_RATE,
        max_chunk_chars: sampling.max_prompt_chars,
        default_voice: BUILT_IN.to_owned(),
        voices: built_in.into_iter().collect(),
        languages: model.languages.clone(),
        paralinguistic_tags: model.path(Role::AddedTokens).map(tags).unwrap_or_default(),
        parameters: parameters(&sampling),
        cloning: Some(Needs {
            least: Duration::from_secs_f32(rules.shortest),
            best: Duration::from_secs_f32((rules.prompt_tokens as f32 / 25.0).max(10.0)),
        }),
        memory_bytes: memory(model),
    }
}

/// Without brackets, from `added_tokens.json`; a file that cannot be read is told when the model is loaded.
fn tags(path: &Path) -> Vec<String> {
    let ids: std::collections::BTreeMap<String, u64> =
        std::fs::read(path).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let bare = |tag: &String| Some(tag.strip_prefix('[')?.strip_suffix(']')?.to_owned());
    ids.keys().filter_map(bare).collect()
}

/// About: T3 without its second token table, S3Gen without the networks that embed clips, which are half of its file.
fn memory(model: &InstalledModel) -> u64 {
    let size = |role| model.path(role).and_then(|path| path.metadata().ok()).map_or(0, |file| file.len());
    size(Role::T3) + size(Role::S3gen) / 2
}

/// A checkpoint in either of its formats.
pub(super) fn open_weights(path: &Path, device: &chatterbox::device::Device) -> Result<Weights, WeightError> {
    let is_safetensors =
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"));
    if is_safetensors { Weights::open(path, device) } else { Weights::open_pickle(path, device) }
}

fn load(model: &InstalledModel, device: &Placement, library: &Library) -> Result<Spoken, ModelError> {
    let path = |role| {
        let lacking =
            || ModelError::NotLoaded(format!("the model {} has no file for its {role}", model.name));
        model.path(role).ok_or_else(lacking)
    };
    let tokenizer = match model.architecture {
        Architecture::Nano | Architecture::Turbo => TextTokenizer::gpt2(&Gpt2Files {
            vocab: path(Role::Vocab)?,
            merges: path(Role::Merges)?,
            added_tokens: path(Role::AddedTokens)?,
            tokenizer_config: model.path(Role::TokenizerConfig),
        }),
        Architecture::Original => TextTokenizer::original(path(Role::Tokenizer)?),
        Architecture::Multilingual => {
            TextTokenizer::multilingual(path(Role::Tokenizer)?, model.path(Role::Cangjie))
        }
    }
    .map_err(not_loaded)?;
    let config = config(model.architecture);
    // Before gigabytes are read.
    let voices = match model.path(Role::Conds) {
        Some(conds) => vec![(BUILT_IN.to_owned(), built_in_voice(conds, &config)?)],
        None => Vec::new(),
    };
    let choice = start(device)?;
    let (rules, family) = clip_rules(model.architecture);
    let cloner = Cloner {
        library: library.clone(),
        family,
        rules,
        s3gen: path(Role::S3gen)?.to_owned(),
        voice_encoder: path(Role::VoiceEncoder)?.to_owned(),
        choice: choice.clone(),
        widths: Cloner::widths(&config),
        remembered: Vec::new(),
    };
    let checkpoint = Checkpoint {
        name: model.name.clone(),
        config,
        tokenizer,
        t3: open_weights(path(Role::T3)?, &choice.device).map_err(not_loaded)?,
        s3gen: open_weights(path(Role::S3gen)?, &choice.device).map_err(not_loaded)?,
    };
    let loaded = Chatterbox::load(checkpoint, &choice).map_err(not_loaded)?;
    let spoken = Spoken::new(loaded, voices, Some(cloner), memory(model), &choice)?;
    Ok(spoken.with_chunks_together(device.chunks_together))
}

fn built_in_voice(path: &Path, config: &ModelConfig) -> Result<Voice, ModelError> {
    let name = path.display().to_string();
    let file = File::open(path)
        .map_err(|error| ModelError::NotLoaded(format!("cannot open {name}: {}", in_one_line(&error))))?;
    Voice::from_conds(&name, std::io::BufReader::new(file), config).map_err(not_loaded)
}
