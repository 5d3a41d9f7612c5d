//! Text to token ids: the clean-up that a checkpoint was trained with, then its tokenizer.
//!
//! There are three families. Turbo, Nano and `pico` read English with tags such as `[laugh]`; the original reads English with
//! blanks spelled out; the multilingual models read 23 languages, some of which are rewritten first ([`multilingual`]). The
//! start and stop tokens around the text of the latter two belong to T3.

mod cangjie;
mod dictionaries;
mod gpt2;
mod language;
mod multilingual;
mod punctuation;

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

pub use gpt2::Gpt2Files;
pub use language::{LANGUAGES, Language};
pub use punctuation::Punctuation;

use multilingual::Multilingual;

/// Why a text has no ids, or a tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not the JSON that is expected there")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("the tokenizer {name} is not usable: {source}")]
    Tokenizer { name: String, source: tokenizers::Error },
    #[error(
        "the tag {tag} of the tokenizer {name} should have id {expected}, but its vocabulary leaves {found:?}"
    )]
    Tag { name: String, tag: String, expected: u32, found: Option<u32> },
    #[error("the tokenizer {name} has no token {token}")]
    Token { name: String, token: &'static str },
    #[error("this model cannot speak {0}: its files or the dictionaries for it are missing")]
    Language(&'static str),
    #[error("the dictionary inside the program is damaged: {0}")]
    Dictionary(String),
}

/// A checkpoint's tokenizer with everything that comes before it.
#[derive(Debug)]
pub struct TextTokenizer {
    name: String,
    tokenizer: Tokenizer,
    family: Family,
}

#[derive(Debug)]
enum Family {
    Turbo {
        tags: Vec<String>,
        /// Ids from here on are cut off.
        longest: usize,
    },
    Original,
    Multilingual(Multilingual),
}

/// How the two earlier families write a blank.
const SPACE: &str = "[SPACE]";

impl TextTokenizer {
    /// `pico`'s tokenizer, in the tokenizers library's own format.
    pub fn from_json(name: &str, json: &[u8]) -> Result<Self, TextError> {
        let tokenizer = Tokenizer::from_bytes(json)
            .map_err(|source| TextError::Tokenizer { name: name.to_owned(), source })?;
        let tags = gpt2::tags(&tokenizer);
        Ok(Self { name: name.to_owned(), tokenizer, family: Family::Turbo { tags, longest: usize::MAX } })
    }

    /// Turbo's and Nano's: GPT-2's byte-level BPE with paralinguistic tags.
    pub fn gpt2(files: &Gpt2Files) -> Result<Self, TextError> {
        let (tokenizer, longest) = gpt2::load(files)?;
        let tags = gpt2::tags(&tokenizer);
        Ok(Self { name: gpt2::name(files), tokenizer, family: Family::Turbo { tags, longest } })
    }

    /// The original's `tokenizer.json`.
    pub fn original(path: &Path) -> Result<Self, TextError> {
        Self::with_spelled_blanks(path, Family::Original)
    }

    /// A multilingual model's `grapheme_mtl_merged_expanded_v1.json`. Chinese also needs `Cangjie5_TC.json`.
    pub fn multilingual(path: &Path, cangjie: Option<&Path>) -> Result<Self, TextError> {
        Self::with_spelled_blanks(path, Family::Multilingual(Multilingual::load(cangjie)?))
    }

    fn with_spelled_blanks(path: &Path, family: Family) -> Result<Self, TextError> {
        let name = path.display().to_string();
        let json = read(path)?;
        let tokenizer = Tokenizer::from_bytes(json)
            .map_err(|source| TextError::Tokenizer { name: name.clone(), source })?;
        // A file without these belongs to something else, and its ids would be noise.
        for token in ["[START]", "[STOP]", SPACE] {
            if tokenizer.token_to_id(token).is_none() {
                return Err(TextError::Token { name, token });
            }
        }
        Ok(Self { name, tokenizer, family })
    }

    /// The ids of `text`, cleaned up first. Models of one language ignore which one is asked for; a multilingual model that is
    /// told none reads the text without a language's tag.
    pub fn encode(&self, text: &str, language: Option<Language>) -> Result<Vec<u32>, TextError> {
        match &self.family {
            Family::Turbo { .. } => self.encode_raw(&Punctuation::Turbo.normalize(text)),
            Family::Original => self.encode_raw(&Punctuation::Original.normalize(text)),
            Family::Multilingual(multilingual) => {
                let text = multilingual.prepare(&Punctuation::Multilingual.normalize(text), language)?;
                self.encode_raw(&text)
            }
        }
    }

    /// The ids of `text` as it is, save that blanks are spelled out where the vocabulary wants it.
    pub fn encode_raw(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let ids = |text: &str| {
            let encoding = self
                .tokenizer
                .encode(text, /* add_special_tokens */ true)
                .map_err(|source| TextError::Tokenizer { name: self.name.clone(), source })?;
            Ok(encoding.get_ids().to_vec())
        };
        match &self.family {
            Family::Turbo { longest, .. } => {
                let mut ids = ids(text)?;
                if ids.len() > *longest {
                    tracing::warn!(ids = ids.len(), longest, "the end of the text is cut off");
                    ids.truncate(*longest);
                }
                Ok(ids)
            }
            Family::Original | Family::Multilingual(_) => ids(&text.replace(' ', SPACE)),
        }
    }

    /// The languages that it can read.
    pub fn languages(&self) -> Vec<Language> {
        match &self.family {
            Family::Turbo { .. } | Family::Original => Language::of_code("en").into_iter().collect(),
            Family::Multilingual(multilingual) => multilingual.languages(),
        }
    }

    /// What may be written in brackets into a text to be acted instead of read, such as `laugh`; in the order of their ids.
    pub fn tags(&self) -> &[String] {
        match &self.family {
            Family::Turbo { tags, .. } => tags,
            Family::Original | Family::Multilingual(_) => &[],
        }
    }

    /// Ids that it can produce.
    pub fn size(&self) -> usize {
        self.tokenizer.get_vocab_size(/* with_added_tokens */ true)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TextError> {
    std::fs::read(path).map_err(|source| TextError::Read { path: path.to_owned(), source })
}

/// A file of JSON.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TextError> {
    serde_json::from_slice(&read(path)?).map_err(|source| TextError::Json { path: path.to_owned(), source })
}
