//! A voice: everything about a speaker that the networks condition on, for T3 and for S3Gen, and the file that keeps it.
//!
//! Embedding a reference clip takes seconds and three networks; what comes of it is a few hundred kilobytes. A voice file is
//! a safetensors file under the names of the reference's `conds.pt`, with its version, the model family and the clip's hash
//! as metadata, so that a stale one is known by looking.

mod conds;

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::s3gen::Reference;
use crate::s3tokenizer::VOCABULARY;
use crate::t3::Speaker;
use crate::variant::{FRAMES_PER_TOKEN, MEL_BINS};

/// Written into every file, and the only one that is read.
const VERSION: &str = "1";
const VERSION_KEY: &str = "declaim_voice";
const FAMILY_KEY: &str = "family";
const CLIP_KEY: &str = "clip";

pub use conds::CondsError;

/// One voice of one checkpoint; vectors of different checkpoints do not mix.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    pub speaker: Speaker,
    pub reference: Reference,
}

/// What a voice was made from. A file whose origin is another than the one at hand is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The models that it serves, such as `turbo`.
    pub family: String,
    /// A hash of the reference clip, in the caller's spelling.
    pub clip: String,
}

/// Why a voice file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    #[error("voice {name} is not a safetensors file: {source}")]
    Format { name: String, source: SafeTensorError },
    #[error("voice {name} does not say in which version it is written, for which models and from which clip")]
    NoOrigin { name: String },
    #[error(
        "voice {name} is written in version {found}, this program reads {VERSION}: make it anew from its clip"
    )]
    Version { name: String, found: String },
    #[error("voice {name} has no usable tensor {tensor}: expected {expected}")]
    Tensor { name: String, tensor: &'static str, expected: String },
    #[error(
        "voice {name} has a prompt of {tokens} tokens with a mel of {frames} frames, which do not belong together"
    )]
    Prompt { name: String, tokens: usize, frames: usize },
    #[error("the voice cannot be written: {0}")]
    Write(SafeTensorError),
}

impl Voice {
    /// A voice without a reference clip: two vectors, `speaker_emb` for T3 and `embedding` for S3Gen.
    pub fn from_vectors(
        name: &str,
        bytes: &[u8],
        speaker_width: usize,
        embedding_width: usize,
    ) -> Result<Self, VoiceError> {
        let file = File::open(name, bytes)?;
        Ok(Self {
            speaker: Speaker { embedding: file.vector("speaker_emb", speaker_width)?, ..Speaker::default() },
            reference: Reference {
                prompt_tokens: Vec::new(),
                prompt_mel: Vec::new(),
                speaker: file.vector("embedding", embedding_width)?,
            },
        })
    }

    /// Reads what [`Voice::to_bytes`] wrote, and what it was made from.
    pub fn from_bytes(
        name: &str,
        bytes: &[u8],
        speaker_width: usize,
        embedding_width: usize,
    ) -> Result<(Self, Origin), VoiceError> {
        let origin = read_origin(name, bytes)?;
        let mut voice = Self::from_vectors(name, bytes, speaker_width, embedding_width)?;
        let file = File::open(name, bytes)?;
        voice.speaker.prompt = file.tokens("cond_prompt_speech_tokens")?;
        voice.reference.prompt_tokens = file.tokens("prompt_token")?;
        voice.reference.prompt_mel = file.mel("prompt_feat")?;
        let tokens = voice.reference.prompt_tokens.len();
        let frames = voice.reference.prompt_mel.len() / MEL_BINS;
        if frames.checked_sub(FRAMES_PER_TOKEN * tokens).is_none_or(|more| more > 1) {
            return Err(VoiceError::Prompt { name: name.to_owned(), tokens, frames });
        }
        Ok((voice, origin))
    }

    /// The voice as a file.
    pub fn to_bytes(&self, origin: &Origin) -> Result<Vec<u8>, VoiceError> {
        let Self { speaker, reference } = self;
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let tokens = |ids: &[u32]| ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>();
        let tensors = [
            ("speaker_emb", Dtype::F32, vec![speaker.embedding.len()], floats(&speaker.embedding)),
            ("cond_prompt_speech_tokens", Dtype::U32, vec![speaker.prompt.len()], tokens(&speaker.prompt)),
            (
                "prompt_token",
                Dtype::U32,
                vec![reference.prompt_tokens.len()],
                tokens(&reference.prompt_tokens),
            ),
            (
                "prompt_feat",
                Dtype::F32,
                vec![reference.prompt_mel.len() / MEL_BINS, MEL_BINS],
                floats(&reference.prompt_mel),
            ),
            ("embedding", Dtype::F32, vec![reference.speaker.len()], floats(&reference.speaker)),
        ];
        let views = tensors
            .iter()
            .map(|(name, kind, shape, data)| Ok((*name, TensorView::new(*kind, shape.clone(), data)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(VoiceError::Write)?;
        let metadata = [(VERSION_KEY, VERSION), (FAMILY_KEY, &origin.family), (CLIP_KEY, &origin.clip)];
        let metadata: HashMap<String, String> =
            metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        safetensors::serialize(views, Some(metadata)).map_err(VoiceError::Write)
    }
}

fn read_origin(name: &str, bytes: &[u8]) -> Result<Origin, VoiceError> {
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|source| VoiceError::Format { name: name.to_owned(), source })?;
    let entry = |key| header.metadata().as_ref().and_then(|entries| entries.get(key)).cloned();
    let no_origin = || VoiceError::NoOrigin { name: name.to_owned() };
    let found = entry(VERSION_KEY).ok_or_else(no_origin)?;
    if found != VERSION {
        return Err(VoiceError::Version { name: name.to_owned(), found });
    }
    let (family, clip) = entry(FAMILY_KEY).zip(entry(CLIP_KEY)).ok_or_else(no_origin)?;
    Ok(Origin { family, clip })
}

/// A safetensors file with a name for messages.
struct File<'a> {
    name: &'a str,
    tensors: SafeTensors<'a>,
}

impl<'a> File<'a> {
    fn open(name: &'a str, bytes: &'a [u8]) -> Result<Self, VoiceError> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|source| VoiceError::Format { name: name.to_owned(), source })?;
        Ok(Self { name, tensors })
    }

    fn vector(&self, tensor: &'static str, width: usize) -> Result<Vec<f32>, VoiceError> {
        self.floats(tensor, |shape| shape == [width])
            .ok_or_else(|| self.unusable(tensor, format!("f32 [{width}]")))
    }

    fn mel(&self, tensor: &'static str) -> Result<Vec<f32>, VoiceError> {
        self.floats(tensor, |shape| matches!(shape, [_, MEL_BINS]))
            .ok_or_else(|| self.unusable(tensor, format!("f32 [frames, {MEL_BINS}]")))
    }

    fn floats(&self, tensor: &str, fits: impl Fn(&[usize]) -> bool) -> Option<Vec<f32>> {
        let view = self.tensors.tensor(tensor).ok()?;
        let words = view.data().as_chunks::<4>().0;
        (view.dtype() == Dtype::F32 && fits(view.shape()))
            .then(|| words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }

    fn tokens(&self, tensor: &'static str) -> Result<Vec<u32>, VoiceError> {
        let view = self.tensors.tensor(tensor).ok().filter(|view| view.dtype() == Dtype::U32);
        view.map(|view| view.data().as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
            .filter(|tokens: &Vec<u32>| tokens.iter().all(|&token| token < VOCABULARY))
            .ok_or_else(|| self.unusable(tensor, format!("u32 below {VOCABULARY}")))
    }

    fn unusable(&self, tensor: &'static str, expected: String) -> VoiceError {
        VoiceError::Tensor { name: self.name.to_owned(), tensor, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(tokens: usize, frames: usize) -> Voice {
        let ramp = |count: usize| (0..count).map(|i| i as f32 / 7.0 - 3.0).collect::<Vec<_>>();
        Voice {
            speaker: Speaker { embedding: ramp(4), prompt: vec![6560, 0, 17], ..Speaker::default() },
            reference: Reference {
                prompt_tokens: (0..tokens as u32).collect(),
                prompt_mel: ramp(frames * MEL_BINS),
                speaker: ramp(3),
            },
        }
    }

    fn origin() -> Origin {
        Origin { family: "turbo".to_owned(), clip: "9f86d081".to_owned() }
    }

    #[test]
    fn a_voice_comes_back_from_its_file_bit_by_bit() {
        for voice in [voice(5, 10), voice(5, 11), voice(0, 0)] {
            let bytes = voice.to_bytes(&origin()).unwrap();
            assert_eq!(Voice::from_bytes("v", &bytes, 4, 3).unwrap(), (voice, origin()));
        }
    }

    #[test]
    fn a_file_of_another_version_or_without_origin_is_refused_by_name() {
        let mut bytes = voice(5, 10).to_bytes(&origin()).unwrap();
        let field = format!("\"{VERSION_KEY}\":\"{VERSION}\"").into_bytes();
        let at = bytes.windows(field.len()).position(|window| window == field).unwrap();
        bytes[at + field.len() - 2] = b'7';
        let error = Voice::from_bytes("anna", &bytes, 4, 3).unwrap_err();
        assert!(matches!(&error, VoiceError::Version { found, .. } if found == "7"), "{error}");
        assert!(error.to_string().contains("anna"));
        bytes[at + 1] = b'x';
        let error = Voice::from_bytes("anna", &bytes, 4, 3).unwrap_err();
        assert!(matches!(error, VoiceError::NoOrigin { .. }), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused_with_what_is_wrong() {
        let refused = |voice: &Voice, width| {
            Voice::from_bytes("v", &voice.to_bytes(&origin()).unwrap(), width, 3).unwrap_err().to_string()
        };
        assert!(refused(&voice(5, 10), 256).contains("speaker_emb: expected f32 [256]"));
        assert!(refused(&voice(5, 12), 4).contains("5 tokens with a mel of 12 frames"));
        assert!(refused(&voice(5, 9), 4).contains("9 frames"));
        let mut unknown = voice(5, 10);
        unknown.speaker.prompt.push(VOCABULARY);
        assert!(refused(&unknown, 4).contains("cond_prompt_speech_tokens: expected u32 below 6561"));
        assert!(matches!(Voice::from_bytes("v", b"junk", 4, 3), Err(VoiceError::Format { .. })));
    }
}
