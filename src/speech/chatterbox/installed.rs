//! The models that were installed: what their files say of them, and how they become a voice.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chatterbox::pipeline::{Chatterbox, Checkpoint};
use chatterbox::reference_clip::ClipRules;
use chatterbox::text::{Gpt2Files, TextTokenizer};
use chatterbox::variant::{ModelConfig, SAMPLE_RATE};
use chatterbox::voice::Voice;
use chatterbox::weights::{WeightError, Weights};

use super::cloning::Cloner;
use super::marking::Marking;
use super::spoken::Spoken;
use super::wishes::parameters;
use super::{Offer, Placement, in_one_line, not_loaded, start};
use crate::models::{Architecture, InstalledModel, Models, Role};
use crate::speech::model::{ModelError, ModelInfo, SpeechModel, VoiceInfo, VoiceKind};
use crate::voices::Library;
use crate::voices::clip::Needs;

/// The id of the voice that was published with a model.
const BUILT_IN: &str = "builtin";
/// The reference marks whatever a Chatterbox model has spoken.
const MARKED_BY_MAKER: bool = true;

/// An installed model that speaks, and what its architecture means here.
pub(super) struct Found {
    model: InstalledModel,
    kind: Kind,
}

/// What differs from one kind of model to another.
struct Kind {
    /// The reference's class for it.
    class_name: &'static str,
    published: fn() -> ModelConfig,
    /// What that class does with a clip.
    clip_rules: ClipRules,
    /// The published models of one family share the networks that make voices of clips, and so the voices.
    family: &'static str,
    /// `auto` prefers the lowest: on the CPU, and on a GPU.
    ranks: (u8, u8),
}

/// `None` for what does not speak.
fn kind(architecture: Architecture) -> Option<Kind> {
    // The quickest on a CPU, the best English on a GPU, many languages last, since they are asked for by name.
    let gpt2 = |published: fn() -> ModelConfig, ranks| Kind {
        class_name: "ChatterboxTurboTTS",
        published,
        clip_rules: ClipRules::turbo(),
        family: "turbo",
        ranks,
    };
    let llama = |class_name, published: fn() -> ModelConfig, ranks| Kind {
        class_name,
        published,
        clip_rules: ClipRules::original(),
        family: "original",
        ranks,
    };
    match architecture {
        Architecture::Nano => Some(gpt2(ModelConfig::nano, (1, 1))),
        Architecture::Turbo => Some(gpt2(ModelConfig::turbo, (2, 0))),
        Architecture::Original => Some(llama("ChatterboxTTS", ModelConfig::original, (3, 3))),
        Architecture::Multilingual => {
            Some(llama("ChatterboxMultilingualTTS", ModelConfig::multilingual, (4, 4)))
        }
        Architecture::Watermark => None,
    }
}

/// The sizes of an architecture's published checkpoints; `None` for what does not speak.
pub(super) fn published(architecture: Architecture) -> Option<ModelConfig> {
    kind(architecture).map(|kind| (kind.published)())
}

/// The models whose files are all here.
pub(super) fn found(models: &Models) -> Vec<Found> {
    let usable = |name: &str| match models.files(name) {
        Ok(model) => Some(Found { kind: kind(model.architecture)?, model }),
        Err(error) => {
            tracing::debug!(%error, model = name, "not offered");
            None
        }
    };
    models.registry().models().iter().filter_map(|model| usable(&model.name)).collect()
}

pub(super) fn offer(found: Found, device: &Placement, marking: &Marking, library: &Library) -> Offer {
    let (device, marking, library) = (device.clone(), marking.clone(), library.clone());
    let (info, fallback) = (found.describe(&device, &marking), device.fallback());
    let found = Arc::new(found);
    let load_on = move |device: &Placement| -> Result<Box<dyn SpeechModel>, ModelError> {
        Ok(Box::new(found.load(device, &marking, &library)?))
    };
    let again = load_on.clone();
    let offer = Offer::new(info, move || load_on(&device));
    match fallback {
        Some(cpu) => offer.with_fallback(move || again(&cpu)),
        None => offer,
    }
}

impl Found {
    /// What `auto` prefers has the lowest.
    pub(super) fn rank(&self, expects_gpu: bool) -> u8 {
        let (on_cpu, on_gpu) = self.kind.ranks;
        if expects_gpu { on_gpu } else { on_cpu }
    }

    /// Its architecture's sizes and defaults, with what a fine-tune's own file changes of them.
    fn config(&self) -> Result<ModelConfig, ModelError> {
        let published = (self.kind.published)();
        let Some(path) = self.model.path(Role::Config) else { return Ok(published) };
        let refused = |error: &dyn std::error::Error| {
            ModelError::NotLoaded(format!("{} cannot be followed: {}", path.display(), in_one_line(error)))
        };
        let json = std::fs::read(path).map_err(|error| refused(&error))?;
        published.changed_by(&json).map_err(|error| refused(&error))
    }

    /// The name under which voices are kept; a fine-tune may bring other networks than its family has.
    fn family(&self) -> String {
        let family = self.kind.family;
        if self.model.is_own { format!("{family}-{}", self.model.name) } else { family.to_owned() }
    }

    fn describe(&self, device: &Placement, marking: &Marking) -> ModelInfo {
        let model = &self.model;
        let built_in = model.path(Role::Conds).map(|_| VoiceInfo {
            id: BUILT_IN.to_owned(),
            name: "Built-in".to_owned(),
            kind: VoiceKind::BuiltIn,
            gender: None,
            language: model.languages.first().cloned().unwrap_or_else(|| "en".to_owned()),
            origin: "published with the model".to_owned(),
        });
        // What is wrong with a file of changes is told when the model is loaded.
        let config = self.config().unwrap_or_else(|_told_later| (self.kind.published)());
        let rules = &self.kind.clip_rules;
        ModelInfo {
            name: model.name.clone(),
            class_name: self.kind.class_name.to_owned(),
            sample_rate: SAMPLE_RATE,
            max_chunk_chars: config.sampling.max_prompt_chars,
            default_voice: BUILT_IN.to_owned(),
            voices: built_in.into_iter().collect(),
            languages: model.languages.clone(),
            paralinguistic_tags: model.path(Role::AddedTokens).map(tags).unwrap_or_default(),
            parameters: parameters(&config.sampling),
            cloning: Some(Needs {
                least: Duration::from_secs_f32(rules.shortest),
                best: Duration::from_secs_f32((rules.prompt_tokens as f32 / 25.0).max(10.0)),
            }),
            converts: true,
            watermarked: marking.applies(MARKED_BY_MAKER),
            memory_bytes: device.memory_bytes(&config),
        }
    }

    fn load(&self, device: &Placement, marking: &Marking, library: &Library) -> Result<Spoken, ModelError> {
        let model = &self.model;
        let path = |role| {
            let lacking =
                || ModelError::NotLoaded(format!("the model {} has no file for its {role}", model.name));
            model.path(role).ok_or_else(lacking)
        };
        let tokenizer = if let Some(vocab) = model.path(Role::Vocab) {
            TextTokenizer::gpt2(&Gpt2Files {
                vocab,
                merges: path(Role::Merges)?,
                added_tokens: path(Role::AddedTokens)?,
                tokenizer_config: model.path(Role::TokenizerConfig),
            })
        } else if model.architecture == Architecture::Multilingual {
            TextTokenizer::multilingual(path(Role::Tokenizer)?, model.path(Role::Cangjie))
        } else {
            TextTokenizer::original(path(Role::Tokenizer)?)
        }
        .map_err(not_loaded)?;
        let config = self.config()?;
        // Before gigabytes are read.
        let voices = match model.path(Role::Conds) {
            Some(conds) => vec![(BUILT_IN.to_owned(), built_in_voice(conds, &config)?)],
            None => Vec::new(),
        };
        let watermark = marking.load(MARKED_BY_MAKER)?;
        let choice = start(device)?;
        let cloner = Cloner {
            library: library.clone(),
            family: self.family(),
            rules: self.kind.clip_rules,
            sizes: config.clip,
            s3gen: path(Role::S3gen)?.to_owned(),
            voice_encoder: path(Role::VoiceEncoder)?.to_owned(),
            choice: choice.clone(),
            widths: Cloner::widths(&config),
            remembered: Vec::new(),
        };
        let memory = device.memory_bytes(&config);
        let checkpoint = Checkpoint {
            name: model.name.clone(),
            config,
            tokenizer,
            t3: open_weights(path(Role::T3)?, &choice.device).map_err(not_loaded)?,
            s3gen: open_weights(path(Role::S3gen)?, &choice.device).map_err(not_loaded)?,
        };
        let loaded = Chatterbox::load(checkpoint, &choice).map_err(not_loaded)?;
        let spoken = Spoken::new(loaded, voices, Some(cloner), watermark, memory, &choice)?;
        Ok(spoken.with_chunks_together(device.chunks_together))
    }
}

/// Without brackets, from `added_tokens.json`; a file that cannot be read is told when the model is loaded.
fn tags(path: &Path) -> Vec<String> {
    let ids: std::collections::BTreeMap<String, u64> =
        std::fs::read(path).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let bare = |tag: &String| Some(tag.strip_prefix('[')?.strip_suffix(']')?.to_owned());
    ids.keys().filter_map(bare).collect()
}

/// A checkpoint in either of its formats.
pub(super) fn open_weights(path: &Path, device: &chatterbox::device::Device) -> Result<Weights, WeightError> {
    let is_safetensors =
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"));
    if is_safetensors { Weights::open(path, device) } else { Weights::open_pickle(path, device) }
}

fn built_in_voice(path: &Path, config: &ModelConfig) -> Result<Voice, ModelError> {
    let name = path.display().to_string();
    let file = File::open(path)
        .map_err(|error| ModelError::NotLoaded(format!("cannot open {name}: {}", in_one_line(&error))))?;
    Voice::from_conds(&name, std::io::BufReader::new(file), config).map_err(not_loaded)
}
