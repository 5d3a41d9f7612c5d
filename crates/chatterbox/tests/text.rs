//! The text front of the checkpoints against the reference's own output.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::path::PathBuf;

use chatterbox::text::{Gpt2Files, LANGUAGES, Language, Punctuation, TextError, TextTokenizer};
use common::fixtures;
use serde_json::{Value, json};

fn expectations() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("text.json")).unwrap()).unwrap()
}

fn ids(case: &Value) -> Vec<u32> {
    serde_json::from_value(case["ids"].clone()).unwrap()
}

#[test]
fn punctuation_is_cleaned_up_as_each_family_was_trained() {
    for case in expectations()["punc_norm"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        for (family, name) in [
            (Punctuation::Turbo, "turbo"),
            (Punctuation::Original, "original"),
            (Punctuation::Multilingual, "multilingual"),
        ] {
            assert_eq!(family.normalize(text), case[name].as_str().unwrap(), "of {text:?} for {name}");
        }
    }
    assert_eq!(Punctuation::Turbo.normalize("a\u{1f}b"), "A b.", "a separator is a blank in Python");
}

/// GPT-2's files in a directory of their own, with this configuration.
struct Files {
    directory: PathBuf,
    config: PathBuf,
}

impl Files {
    fn new(test: &str, config: Option<Value>) -> Self {
        let directory = fixtures().join("tokenizers/gpt2");
        let Some(config) = config else {
            return Self { config: directory.join("tokenizer_config.json"), directory };
        };
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.json"));
        std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        Self { config: path, directory }
    }

    fn load(&self) -> Result<TextTokenizer, TextError> {
        TextTokenizer::gpt2(&Gpt2Files {
            vocab: &self.directory.join("vocab.json"),
            merges: &self.directory.join("merges.txt"),
            added_tokens: &self.directory.join("added_tokens.json"),
            tokenizer_config: Some(&self.config),
        })
    }
}

#[test]
fn gpt2_tokenization_gives_the_ids_of_the_reference_library() {
    let tokenizer = Files::new("", None).load().unwrap();
    let expected = &expectations()["gpt2_tokenizer_tiny"];
    assert_eq!(tokenizer.size() as u64, expected["len"].as_u64().unwrap());
    for case in expected["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode_raw(text).unwrap(), ids(case), "of {text:?}");
    }
    assert_eq!(tokenizer.tags(), ["laugh", "chuckle", "sigh", "gasp", "clear throat", "cough"]);
    assert_eq!(tokenizer.languages(), [Language::of_code("en").unwrap()]);
    let end = tokenizer.encode_raw("<|endoftext|>").unwrap();
    assert_eq!(end.len(), 1, "a token of its own, as in the reference library: {end:?}");
}

#[test]
fn a_tag_takes_the_blanks_along_that_its_flags_say() {
    let encode = |lstrip: bool, rstrip: bool| {
        let tag = json!({ "content": "[laugh]", "lstrip": lstrip, "rstrip": rstrip, "special": false, "normalized": true });
        let end = json!({ "content": "<|endoftext|>", "special": true });
        let config = json!({ "model_max_length": 1024, "added_tokens_decoder": { "264": end, "265": tag } });
        let tokenizer = Files::new(&format!("flags_{lstrip}_{rstrip}"), Some(config)).load().unwrap();
        assert_eq!(tokenizer.tags(), ["laugh"]);
        tokenizer.encode_raw("a [laugh] b").unwrap()
    };
    // 64 a, 65 b, 220 a blank, 265 the tag.
    assert_eq!(encode(false, false), [64, 220, 265, 220, 65]);
    assert_eq!(encode(true, false), [64, 265, 220, 65]);
    assert_eq!(encode(false, true), [64, 220, 265, 65]);
}

#[test]
fn a_tag_with_an_id_that_it_cannot_get_is_an_error() {
    let tag = json!({ "content": "[laugh]", "special": false });
    let config = json!({ "added_tokens_decoder": { "300": tag } });
    let error = Files::new("gap", Some(config)).load().unwrap_err();
    assert!(
        matches!(&error, TextError::Tag { tag, expected: 300, found: Some(265), .. } if tag == "[laugh]"),
        "{error}"
    );
}

#[test]
fn a_text_is_cut_at_the_longest_that_the_model_was_given() {
    let encode = |longest: Value| {
        let config = json!({ "model_max_length": longest });
        Files::new(&format!("longest_{longest}"), Some(config))
            .load()
            .unwrap()
            .encode_raw("abc")
            .unwrap()
            .len()
    };
    assert_eq!(encode(json!(2)), 2);
    assert_eq!(encode(json!(3)), 3);
    // How "no limit" is written.
    assert_eq!(encode(serde_json::from_str("1000000000000000019884624838656").unwrap()), 3);
}

#[test]
fn the_original_spells_blanks_out_and_keeps_capitals() {
    let path = fixtures().join("tokenizers/en_tokenizer_tiny.json");
    let tokenizer = TextTokenizer::original(&path).unwrap();
    for case in expectations()["en_tokenizer_tiny"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode_raw(text).unwrap(), ids(case), "of {text:?}");
    }
    let whole = tokenizer.encode("hello there", None).unwrap();
    assert_eq!(whole, tokenizer.encode_raw("Hello there.").unwrap(), "cleaned up first");
    assert_eq!(whole, tokenizer.encode("hello there", Language::of_code("fr")).unwrap(), "of one language");
    assert!(tokenizer.tags().is_empty());
}

#[test]
fn a_file_without_start_stop_or_blank_is_no_tokenizer_of_these_families() {
    let pico = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pico/tokenizer.json");
    let error = TextTokenizer::original(&pico).unwrap_err();
    assert!(matches!(error, TextError::Token { token: "[START]", .. }), "{error}");
}

#[test]
fn the_multilingual_tokenizer_gets_the_text_as_the_reference_prepares_it() {
    let path = fixtures().join("tokenizers/en_tokenizer_tiny.json");
    let tokenizer = TextTokenizer::multilingual(&path, None).unwrap();
    let encode = |text: &str, code| tokenizer.encode(text, Language::of_code(code)).unwrap();
    assert_eq!(encode("Hello There", "fr"), tokenizer.encode_raw("[fr]hello there.").unwrap());
    assert_eq!(encode("Hello There", ""), tokenizer.encode_raw("hello there.").unwrap());
    let offered = tokenizer.languages();
    let missing: Vec<&str> =
        LANGUAGES.iter().filter(|known| !offered.contains(known)).map(|known| known.code).collect();
    // Chinese needs its table besides the dictionary.
    assert_eq!(missing, if cfg!(feature = "cjk") { vec!["zh"] } else { vec!["ja", "zh"] });
}
