//! Reads `conds.pt`, which the published models keep a voice in: what T3 and S3Gen condition on, in a dictionary each.
//!
//! The reference writes these files with `torch.save` right after it has embedded a clip, or after it has spoken. Then ids have
//! become floats, and T3's prompt may be there a second time, embedded, which counts before the tokens.

use std::io::{Read, Seek};

use super::Voice;
use crate::s3gen::Reference;
use crate::t3::Speaker;
use crate::variant::{FRAMES_PER_TOKEN, MEL_BINS, ModelConfig};
use crate::weights::TorchError;
use crate::weights::torch::{self, Contents};

/// Why a `conds.pt` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CondsError {
    #[error("the voice {name} is not a torch file that can be used: {source}")]
    Torch { name: String, source: TorchError },
    #[error("the voice {name} lies: {tensor} cannot be read")]
    Read { name: String, tensor: &'static str, source: std::io::Error },
    #[error("the voice {name} has no {tensor}")]
    Missing { name: String, tensor: &'static str },
    #[error("the voice {name} is not for this model: its {tensor} should be {expected}, but is {found:?}")]
    Tensor { name: String, tensor: &'static str, expected: String, found: Vec<usize> },
    #[error("the voice {name} has values in {tensor} that are none")]
    Values { name: String, tensor: &'static str },
    #[error("the voice {name} holds {}, which no model knows", names.join(", "))]
    Unknown { name: String, names: Vec<String> },
}

impl Voice {
    /// Reads a `conds.pt`; `name` is for messages, `config` is the model that will speak with it.
    pub fn from_conds(
        name: &str,
        mut file: impl Read + Seek,
        config: &ModelConfig,
    ) -> Result<Self, CondsError> {
        let contents =
            torch::index(&mut file).map_err(|source| CondsError::Torch { name: name.to_owned(), source })?;
        let mut conds = Conds { name, file, contents };
        let voice = Self { speaker: conds.speaker(config)?, reference: conds.reference(config)? };
        conds.finish()?;
        Ok(voice)
    }
}

/// The file while it is read; what has been looked at is taken out of `contents`.
struct Conds<'a, R> {
    name: &'a str,
    file: R,
    contents: Contents,
}

impl<R: Read + Seek> Conds<'_, R> {
    fn speaker(&mut self, config: &ModelConfig) -> Result<Speaker, CondsError> {
        const TOKENS: &str = "t3.cond_prompt_speech_tokens";
        const EMBEDDED: &str = "t3.cond_prompt_speech_emb";
        let t3 = &config.t3;
        let embedding = self.vector("t3.speaker_emb", t3.speaker_width)?;
        let prompt = self.tokens(TOKENS, t3.speech_vocab)?.unwrap_or_default();
        if prompt.len() > t3.prompt_tokens {
            return Err(self.misshapen(TOKENS, &format!("[1, ≤ {}]", t3.prompt_tokens), &[1, prompt.len()]));
        }
        let prompt_embedding = match self.floats(EMBEDDED)? {
            None => None,
            Some((shape, values)) if shape == [1, prompt.len(), t3.width] => Some(values),
            Some((shape, _)) => {
                return Err(self.misshapen(
                    EMBEDDED,
                    &format!("[1, {}, {}]", prompt.len(), t3.width),
                    &shape,
                ));
            }
        };
        Ok(Speaker { embedding, prompt, prompt_embedding, emotion: self.emotion()? })
    }

    /// A tensor of one value in the published files, a number in files of others.
    fn emotion(&mut self) -> Result<Option<f32>, CondsError> {
        const EMOTION: &str = "t3.emotion_adv";
        if let Some(number) = self.contents.numbers.remove(EMOTION) {
            return Ok(Some(number as f32));
        }
        match self.floats(EMOTION)? {
            None => Ok(None),
            Some((shape, values)) => match values[..] {
                [emotion] => Ok(Some(emotion)),
                _ => Err(self.misshapen(EMOTION, "one value", &shape)),
            },
        }
    }

    fn reference(&mut self, config: &ModelConfig) -> Result<Reference, CondsError> {
        const TOKENS: &str = "gen.prompt_token";
        const LENGTH: &str = "gen.prompt_token_len";
        const MEL: &str = "gen.prompt_feat";
        let prompt_tokens = self.tokens(TOKENS, config.s3gen.vocab)?.ok_or_else(|| self.missing(TOKENS))?;
        let tokens = prompt_tokens.len();
        if self.ids(LENGTH)?.is_some_and(|(_, length)| length != [tokens as u32]) {
            return Err(CondsError::Values { name: self.name.to_owned(), tensor: LENGTH });
        }
        let (shape, prompt_mel) = self.floats(MEL)?.ok_or_else(|| self.missing(MEL))?;
        // A clip that is no multiple of 40 ms leaves one frame more.
        let frames = FRAMES_PER_TOKEN * tokens;
        if shape != [1, frames, MEL_BINS] && shape != [1, frames + 1, MEL_BINS] {
            return Err(self.misshapen(MEL, &format!("[1, {frames} or one more, {MEL_BINS}]"), &shape));
        }
        // The reference knows the mel's length by its shape.
        self.ids("gen.prompt_feat_len")?;
        let speaker = self.vector("gen.embedding", config.s3gen.speaker_width)?;
        Ok(Reference { prompt_tokens, prompt_mel, speaker })
    }

    /// `[1, width]`, which must be there.
    fn vector(&mut self, tensor: &'static str, width: usize) -> Result<Vec<f32>, CondsError> {
        let (shape, values) = self.floats(tensor)?.ok_or_else(|| self.missing(tensor))?;
        if shape == [1, width] {
            Ok(values)
        } else {
            Err(self.misshapen(tensor, &format!("[1, {width}]"), &shape))
        }
    }

    /// `[1, n]` ids of a vocabulary.
    fn tokens(&mut self, tensor: &'static str, vocabulary: usize) -> Result<Option<Vec<u32>>, CondsError> {
        let Some((shape, ids)) = self.ids(tensor)? else { return Ok(None) };
        if shape != [1, ids.len()] {
            return Err(self.misshapen(tensor, "[1, n]", &shape));
        }
        if ids.iter().any(|&id| id as usize >= vocabulary) {
            return Err(CondsError::Values { name: self.name.to_owned(), tensor });
        }
        Ok(Some(ids))
    }

    fn ids(&mut self, tensor: &'static str) -> Result<Option<(Vec<usize>, Vec<u32>)>, CondsError> {
        self.values(tensor, |stored, raw| stored.ids(raw))
    }

    fn floats(&mut self, tensor: &'static str) -> Result<Option<(Vec<usize>, Vec<f32>)>, CondsError> {
        self.values(tensor, |stored, raw| {
            stored.floats(raw).filter(|values| values.iter().all(|value| value.is_finite()))
        })
    }

    /// Shape and values of a tensor, or nothing where the file says `None`.
    fn values<T>(
        &mut self,
        tensor: &'static str,
        decode: impl Fn(&torch::Stored, &[u8]) -> Option<Vec<T>>,
    ) -> Result<Option<(Vec<usize>, Vec<T>)>, CondsError> {
        let name = || self.name.to_owned();
        let Some(stored) = self.contents.tensors.remove(tensor) else { return Ok(None) };
        let raw = stored.read(&mut self.file).map_err(|source| CondsError::Read {
            name: name(),
            tensor,
            source,
        })?;
        let values = decode(&stored, &raw).ok_or_else(|| CondsError::Values { name: name(), tensor })?;
        Ok(Some((stored.shape, values)))
    }

    fn finish(self) -> Result<(), CondsError> {
        let Contents { tensors, numbers } = self.contents;
        let names: Vec<String> = tensors.into_keys().chain(numbers.into_keys()).collect();
        if names.is_empty() { Ok(()) } else { Err(CondsError::Unknown { name: self.name.to_owned(), names }) }
    }

    fn missing(&self, tensor: &'static str) -> CondsError {
        CondsError::Missing { name: self.name.to_owned(), tensor }
    }

    fn misshapen(&self, tensor: &'static str, expected: &str, found: &[usize]) -> CondsError {
        let (name, expected) = (self.name.to_owned(), expected.to_owned());
        CondsError::Tensor { name, tensor, expected, found: found.to_vec() }
    }
}
