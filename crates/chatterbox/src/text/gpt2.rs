//! GPT-2's byte-level BPE as Turbo and Nano ship it, with the paralinguistic tags behind its vocabulary.
//!
//! The rules are those of Hugging Face's `AutoTokenizer`: tags are found before anything else is split, and whether one takes
//! the blanks around it along is said in `tokenizer_config.json`, not by its spelling.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, ModelWrapper, PreTokenizerWrapper, Tokenizer};

use super::{TextError, json};

/// Ends a text in GPT-2's training data; an ordinary entry of its vocabulary.
const END_OF_TEXT: &str = "<|endoftext|>";

/// The files of such a tokenizer, under their published names.
#[derive(Clone, Copy, Debug)]
pub struct Gpt2Files<'a> {
    pub vocab: &'a Path,
    pub merges: &'a Path,
    pub added_tokens: &'a Path,
    /// Without it there is no bound on length, and tags take no blanks along.
    pub tokenizer_config: Option<&'a Path>,
}

/// What matters of `tokenizer_config.json`.
#[derive(Default, Deserialize)]
struct Config {
    /// "No limit" is written as 10³⁰.
    model_max_length: Option<f64>,
    /// By id. Where it is missing, `added_tokens.json` says which tokens there are, and all flags are off.
    added_tokens_decoder: Option<BTreeMap<u32, Flagged>>,
}

#[derive(Deserialize)]
struct Flagged {
    content: String,
    #[serde(default)]
    single_word: bool,
    /// Takes the blanks before it.
    #[serde(default)]
    lstrip: bool,
    /// Takes the blanks behind it.
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    special: bool,
}

/// The tokenizer, and the number of ids after which it cuts.
pub(super) fn load(files: &Gpt2Files) -> Result<(Tokenizer, usize), TextError> {
    let wrong = |source| TextError::Tokenizer { name: name(files), source };
    let file = |path: &Path| path.to_string_lossy().into_owned();
    let bpe = BPE::from_file(&file(files.vocab), &file(files.merges)).build().map_err(wrong)?;
    let mut tokenizer = Tokenizer::new(ModelWrapper::BPE(bpe));
    let byte_level = ByteLevel::new(
        /* add_prefix_space */ false, /* trim_offsets */ true, /* use_regex */ true,
    );
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::ByteLevel(byte_level)));

    let config: Config = files.tokenizer_config.map(json).transpose()?.unwrap_or_default();
    let tokens = match config.added_tokens_decoder {
        Some(tokens) => tokens.into_iter().map(|(id, token)| (id, token.into())).collect(),
        None => unflagged(files, &tokenizer)?,
    };
    // In the order of their ids they get these ids: the published files continue the vocabulary without a gap.
    for (expected, token) in tokens {
        let token: AddedToken = token;
        let tag = token.content.clone();
        if token.special {
            tokenizer.add_special_tokens(&[token]);
        } else {
            tokenizer.add_tokens(&[token]);
        }
        let found = tokenizer.token_to_id(&tag);
        if found != Some(expected) {
            return Err(TextError::Tag { name: name(files), tag, expected, found });
        }
    }
    let longest = config.model_max_length.filter(|length| *length < f64::from(u32::MAX));
    Ok((tokenizer, longest.map_or(usize::MAX, |length| length as usize)))
}

/// For messages.
pub(super) fn name(files: &Gpt2Files) -> String {
    files.vocab.parent().unwrap_or(files.vocab).display().to_string()
}

impl From<Flagged> for AddedToken {
    fn from(token: Flagged) -> Self {
        // GPT-2 has no normaliser, so the flag for it means nothing.
        AddedToken::from(token.content, token.special)
            .single_word(token.single_word)
            .lstrip(token.lstrip)
            .rstrip(token.rstrip)
            .normalized(false)
    }
}

/// The tokens of `added_tokens.json`, and the one that GPT-2 itself counts as added.
fn unflagged(files: &Gpt2Files, tokenizer: &Tokenizer) -> Result<BTreeMap<u32, AddedToken>, TextError> {
    let ids: BTreeMap<String, u32> = json(files.added_tokens)?;
    let token = |(content, id)| (id, AddedToken::from(content, /* special */ false).normalized(false));
    let mut tokens: BTreeMap<u32, AddedToken> = ids.into_iter().map(token).collect();
    if let Some(id) = tokenizer.token_to_id(END_OF_TEXT) {
        tokens.insert(id, AddedToken::from(END_OF_TEXT, /* special */ true));
    }
    Ok(tokens)
}

/// What stands between the brackets of added tokens that are not special, in the order of their ids.
pub(super) fn tags(tokenizer: &Tokenizer) -> Vec<String> {
    let tokens: BTreeMap<u32, AddedToken> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    let tag = |token: AddedToken| {
        Some(token.content.strip_prefix('[')?.strip_suffix(']')?.to_owned()).filter(|_| !token.special)
    };
    tokens.into_values().filter_map(tag).collect()
}
