//! Words of Chinese and readings of Japanese, from the two dictionaries inside the program (feature `cjk`).
//!
//! A dictionary is unpacked when the first text in its language comes and then stays. `dictionaries/README.md` says where they
//! are from; `docs/PARITY.md` how often they agree with the packages that the reference calls.

use super::TextError;

/// Whether this build has the dictionaries.
pub(super) const INCLUDED: bool = cfg!(feature = "cjk");

#[cfg(feature = "cjk")]
pub(super) use included::{kana, words};

#[cfg(feature = "cjk")]
mod included {
    use std::io::Read as _;
    use std::sync::OnceLock;

    use jieba_rs::Jieba;
    use unicode_normalization::UnicodeNormalization as _;
    use vibrato::{Dictionary, Tokenizer};

    use super::TextError;

    const CHINESE: &[u8] = include_bytes!("../../dictionaries/chinese.txt.zst");
    const JAPANESE: &[u8] = include_bytes!("../../dictionaries/japanese.dic.zst");

    /// The words of a Chinese text, without the blanks between them.
    pub(in crate::text) fn words(text: &str) -> Result<Vec<&str>, TextError> {
        static SEGMENTER: OnceLock<Result<Jieba, String>> = OnceLock::new();
        let open = || Jieba::with_dict(&mut &unpacked(CHINESE)?[..]).map_err(|error| error.to_string());
        let segmenter = opened(SEGMENTER.get_or_init(open))?;
        // Guessing words that are not in the dictionary brings the result no closer to the reference's.
        let words = segmenter.cut(text, /* hmm */ false).into_iter().map(|token| token.word);
        Ok(words.filter(|word| !word.trim().is_empty()).collect())
    }

    /// A Japanese text with every word that has kanji in hiragana; the rest stays.
    ///
    /// A reading that begins with は or へ gets a blank before it: on their own, these two are spoken differently.
    pub(in crate::text) fn kana(text: &str) -> Result<String, TextError> {
        static READER: OnceLock<Result<Tokenizer, String>> = OnceLock::new();
        let open = || {
            let dictionary = Dictionary::read(&unpacked(JAPANESE)?[..]).map_err(|error| error.to_string())?;
            Tokenizer::new(dictionary).ignore_space(true).map_err(|error| error.to_string())
        };
        // The dictionary's words are composed, が being one character.
        let text: String = text.nfc().collect();
        let mut worker = opened(READER.get_or_init(open))?.new_worker();
        worker.reset_sentence(&text);
        worker.tokenize();

        let mut read = String::with_capacity(2 * text.len());
        let mut end = 0;
        for token in worker.token_iter() {
            let place = token.range_byte();
            read.push_str(&text[end..place.start]);
            end = place.end;
            let reading = token.feature();
            if reading.is_empty() {
                read.push_str(token.surface());
            } else {
                if reading.starts_with(['は', 'へ']) {
                    read.push(' ');
                }
                read.push_str(reading);
            }
        }
        read.push_str(&text[end..]);
        Ok(read)
    }

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let mut decoder =
            ruzstd::decoding::StreamingDecoder::new(packed).map_err(|error| error.to_string())?;
        decoder.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn opened<T>(dictionary: &Result<T, String>) -> Result<&T, TextError> {
        dictionary.as_ref().map_err(|problem| TextError::Dictionary(problem.clone()))
    }
}

#[cfg(not(feature = "cjk"))]
pub(super) fn words(_: &str) -> Result<Vec<&str>, TextError> {
    Err(TextError::Language("Chinese"))
}

#[cfg(not(feature = "cjk"))]
pub(super) fn kana(_: &str) -> Result<String, TextError> {
    Err(TextError::Language("Japanese"))
}
