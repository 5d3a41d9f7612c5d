//! A voice: everything about a speaker that the networks condition on, for T3 and for S3Gen.

mod conds;

use safetensors::SafeTensors;

use crate::s3gen::Reference;
use crate::t3::Speaker;

pub use conds::CondsError;

/// One voice of one checkpoint; vectors of different checkpoints do not mix.
#[derive(Clone, Debug)]
pub struct Voice {
    pub speaker: Speaker,
    pub reference: Reference,
}

/// Why a voice file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    #[error("voice {name} is not a safetensors file: {source}")]
    Format { name: String, source: safetensors::SafeTensorError },
    #[error("voice {name} has no usable tensor {tensor}: expected f32 [{expected}]")]
    Tensor { name: String, tensor: &'static str, expected: usize },
}

impl Voice {
    /// A voice without a reference clip: two vectors, `speaker_emb` for T3 and `embedding` for S3Gen.
    pub fn from_vectors(
        name: &str,
        bytes: &[u8],
        speaker_width: usize,
        embedding_width: usize,
    ) -> Result<Self, VoiceError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| VoiceError::Format { name: name.to_owned(), source })?;
        let vector = |tensor: &'static str, expected: usize| {
            file.tensor(tensor)
                .ok()
                .filter(|view| view.dtype() == safetensors::Dtype::F32 && view.shape() == [expected])
                .map(|view| view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
                .ok_or_else(|| VoiceError::Tensor { name: name.to_owned(), tensor, expected })
        };
        Ok(Self {
            speaker: Speaker { embedding: vector("speaker_emb", speaker_width)?, ..Speaker::default() },
            reference: Reference {
                prompt_tokens: Vec::new(),
                prompt_mel: Vec::new(),
                speaker: vector("embedding", embedding_width)?,
            },
        })
    }
}
