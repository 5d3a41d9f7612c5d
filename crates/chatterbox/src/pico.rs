//! `pico`, the checkpoint inside the program: the voice that is always there, without a download.
//!
//! It has Chatterbox Turbo's architecture at a fortieth of the size, so the code that speaks with it is the code that speaks
//! with Turbo. `pico/MODEL_CARD.md` says what it is, how it was made and how well it is understood.

use burn::tensor::Device;
use serde::Deserialize;

use crate::pipeline::{Checkpoint, LoadError};
use crate::text::TextTokenizer;
use crate::variant::ModelConfig;
use crate::voice::Voice;
use crate::weights::Weights;

const CONFIG: &[u8] = include_bytes!("../pico/config.json");
const TOKENIZER: &[u8] = include_bytes!("../pico/tokenizer.json");
const T3: &[u8] = include_bytes!("../pico/t3.safetensors");
const S3GEN: &[u8] = include_bytes!("../pico/s3gen.safetensors");

/// Bytes that the loaded weights take: stored as f16, held as f32.
pub const LOADED_BYTES: u64 = 2 * (T3.len() + S3GEN.len()) as u64;

/// The embedded voices: their file stem, which is their id, and their vectors.
const VOICES: [(&str, &[u8]); 2] = [
    ("slt", include_bytes!("../pico/voices/slt.safetensors")),
    ("rms", include_bytes!("../pico/voices/rms.safetensors")),
];

/// What `config.json` says of a voice.
#[derive(Clone, Debug, Deserialize)]
pub struct PicoVoice {
    /// For people.
    pub name: String,
    pub gender: String,
    /// The synthesiser voice that taught it.
    pub teacher: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    model: ModelConfig,
    voices: std::collections::BTreeMap<String, PicoVoice>,
    default_voice: String,
}

/// A voice with what is known of it.
#[derive(Clone, Debug)]
pub struct Named {
    pub id: &'static str,
    pub about: PicoVoice,
    pub voice: Voice,
}

/// The sizes and sampling defaults of `pico`.
pub fn config() -> Result<ModelConfig, LoadError> {
    Ok(parse()?.model)
}

fn parse() -> Result<Config, LoadError> {
    serde_json::from_slice(CONFIG).map_err(|source| LoadError::Config { name: "pico".to_owned(), source })
}

/// Opens the embedded weights on `device`.
pub fn checkpoint(device: &Device) -> Result<Checkpoint, LoadError> {
    Ok(Checkpoint {
        name: "pico".to_owned(),
        config: config()?,
        tokenizer: TextTokenizer::from_json("pico", TOKENIZER)?,
        t3: Weights::embedded("pico t3", T3, device)?,
        s3gen: Weights::embedded("pico s3gen", S3GEN, device)?,
    })
}

/// The embedded voices, the default one first.
pub fn voices() -> Result<Vec<Named>, LoadError> {
    let Config { model, mut voices, default_voice } = parse()?;
    let mut named = Vec::with_capacity(VOICES.len());
    for (id, bytes) in VOICES {
        let about = voices.remove(id).ok_or_else(|| LoadError::UndescribedVoice { voice: id.to_owned() })?;
        let voice = Voice::from_vectors(id, bytes, model.t3.speaker_width, model.s3gen.speaker_width)?;
        named.push(Named { id, about, voice });
    }
    named.sort_by_key(|voice| voice.id != default_voice);
    Ok(named)
}
