//! Text to token ids: the punctuation clean-up that the checkpoints were trained with, then their tokenizer.

mod punctuation;

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, ModelWrapper, PreTokenizerWrapper};

pub use punctuation::normalize_punctuation;

/// Why a tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} does not hold added tokens as a JSON object of ids")]
    AddedTokens { path: PathBuf, source: serde_json::Error },
    #[error("the tokenizer {name} is not usable: {source}")]
    Tokenizer { name: String, source: tokenizers::Error },
}

/// A checkpoint's tokenizer.
#[derive(Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
}

impl TextTokenizer {
    /// A `tokenizer.json` in the tokenizers library's own format.
    pub fn from_json(name: &str, json: &[u8]) -> Result<Self, TextError> {
        let tokenizer = Tokenizer::from_bytes(json)
            .map_err(|source| TextError::Tokenizer { name: name.to_owned(), source })?;
        Ok(Self { tokenizer })
    }

    /// GPT-2's byte-level BPE as Turbo and Nano ship it: `vocab.json`, `merges.txt` and the paralinguistic tags in
    /// `added_tokens.json`. Tags are matched before everything else and keep the blanks around them.
    pub fn gpt2(directory: &Path) -> Result<Self, TextError> {
        let wrong = |source| TextError::Tokenizer { name: directory.display().to_string(), source };
        let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let bpe = BPE::from_file(&file("vocab.json"), &file("merges.txt")).build().map_err(wrong)?;
        let mut tokenizer = Tokenizer::new(ModelWrapper::BPE(bpe));
        let byte_level = ByteLevel::new(
            /* add_prefix_space */ false, /* trim_offsets */ true, /* use_regex */ true,
        );
        tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::ByteLevel(byte_level)));

        let path = directory.join("added_tokens.json");
        let json = std::fs::read(&path).map_err(|source| TextError::Read { path: path.clone(), source })?;
        let ids: std::collections::HashMap<String, u32> =
            serde_json::from_slice(&json).map_err(|source| TextError::AddedTokens { path, source })?;
        let mut tags: Vec<(u32, String)> = ids.into_iter().map(|(tag, id)| (id, tag)).collect();
        tags.sort_unstable();
        // Added in the order of their ids, they get these ids: the file continues the vocabulary without a gap.
        let tags: Vec<AddedToken> = tags
            .into_iter()
            .map(|(_, tag)| AddedToken::from(tag, /* special */ false).normalized(false))
            .collect();
        tokenizer.add_tokens(&tags);
        Ok(Self { tokenizer })
    }

    /// The ids of `text`, cleaned up first.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.encode_raw(&normalize_punctuation(text))
    }

    /// The ids of `text` as it is.
    pub fn encode_raw(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = self
            .tokenizer
            .encode(text, /* add_special_tokens */ false)
            .map_err(|source| TextError::Tokenizer { name: "of this model".to_owned(), source })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids that it can produce.
    pub fn size(&self) -> usize {
        self.tokenizer.get_vocab_size(/* with_added_tokens */ true)
    }
}
