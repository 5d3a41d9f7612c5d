//! The text front of the checkpoints against the reference's own output.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use chatterbox::text::{TextTokenizer, normalize_punctuation};
use common::fixtures;
use serde_json::Value;

fn expectations() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("text.json")).unwrap()).unwrap()
}

#[test]
fn punctuation_is_cleaned_up_as_turbo_was_trained() {
    for case in expectations()["punc_norm"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(normalize_punctuation(text), case["turbo"].as_str().unwrap(), "of {text:?}");
    }
}

#[test]
fn gpt2_tokenization_gives_the_ids_of_the_reference_library() {
    let tokenizer = TextTokenizer::gpt2(&fixtures().join("tokenizers/gpt2")).unwrap();
    let expected = &expectations()["gpt2_tokenizer_tiny"];
    assert_eq!(tokenizer.size() as u64, expected["len"].as_u64().unwrap());
    for case in expected["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u32> =
            case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(tokenizer.encode_raw(text).unwrap(), ids, "of {text:?}");
    }
}
