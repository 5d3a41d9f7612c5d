//! The reference's own voice files against what its runs recorded, and voice files that are not for this model or mean harm.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::io::{Cursor, Read as _, Write as _};

use chatterbox::variant::ModelConfig;
use chatterbox::voice::{CondsError, Voice};
use common::{Fixture, fixtures, max_abs_error};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

fn read(bytes: Vec<u8>, config: &ModelConfig) -> Result<Voice, CondsError> {
    Voice::from_conds("test", Cursor::new(bytes), config)
}

/// The original's voices have a shorter prompt than Turbo's.
fn original() -> ModelConfig {
    let mut config = ModelConfig::turbo();
    config.t3.prompt_tokens = 150;
    config
}

/// The archive with an entry's first `from` replaced by `to`.
fn patched(bytes: &[u8], entry: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut copy = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut content = Vec::new();
        let mut file = archive.by_index(index).unwrap();
        let name = file.name().unwrap().to_string();
        file.read_to_end(&mut content).unwrap();
        if name.ends_with(entry) {
            let at = content.windows(from.len()).position(|window| window == from).unwrap();
            content[at..at + to.len()].copy_from_slice(to);
        }
        copy.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))
            .unwrap();
        copy.write_all(&content).unwrap();
    }
    copy.finish().unwrap().into_inner()
}

#[test]
fn a_voice_is_what_the_reference_conditioned_its_own_run_on() {
    for (name, config, prompt) in [("turbo", ModelConfig::turbo(), 155), ("original", original(), 150)] {
        let case = Fixture::open(&format!("e2e_{name}_tiny"));
        let voice = read(bytes(&format!("e2e_{name}_conds.pt")), &config).unwrap();
        assert!(max_abs_error(&voice.speaker.embedding, &case.floats("conds.speaker_emb")) == 0.0);
        assert_eq!(voice.speaker.prompt, case.ids("conds.cond_prompt_speech_tokens"));
        assert_eq!(voice.speaker.prompt.len(), prompt, "{name}");
        assert_eq!(voice.speaker.prompt_embedding, None);
        assert_eq!(voice.speaker.emotion, Some(0.5));
        assert_eq!(voice.reference.prompt_tokens, case.ids("conds.prompt_token"));
        // Stored as a transposed view.
        assert!(max_abs_error(&voice.reference.prompt_mel, &case.floats("conds.prompt_feat")) == 0.0);
        assert!(max_abs_error(&voice.reference.speaker, &case.floats("conds.embedding")) == 0.0);
    }
}

#[test]
fn a_voice_that_was_saved_after_it_had_spoken_is_the_same_voice() {
    let mut config = ModelConfig::turbo();
    config.t3.width = 32;
    let voice = read(bytes("torch/voice_after_synthesis.pt"), &config).unwrap();
    let quarters = |count: usize| (0..count).map(|i| i as f32 / 4.0).collect::<Vec<_>>();
    assert_eq!(voice.reference.prompt_tokens, [5, 6560, 0, 7], "synthesis turns ids into floats");
    assert_eq!(voice.speaker.prompt, [5, 6, 7]);
    assert_eq!(voice.speaker.prompt_embedding, Some(quarters(3 * 32)));
    assert_eq!(voice.speaker.emotion, Some(0.75));
    // Four tokens, nine frames; frame after frame although it is stored band after band.
    assert_eq!(voice.reference.prompt_mel.len(), 9 * 80);
    assert_eq!(voice.reference.prompt_mel[..3], [0.0, 9.0 / 4.0, 18.0 / 4.0]);
    // The embedded prompt fits one width only.
    let error = read(bytes("torch/voice_after_synthesis.pt"), &ModelConfig::turbo()).unwrap_err();
    assert!(
        error.to_string().contains("its t3.cond_prompt_speech_emb should be [1, 3, 1024], but is [1, 3, 32]"),
        "{error}"
    );
}

#[test]
fn a_voice_of_another_model_is_refused() {
    let error = read(bytes("e2e_turbo_conds.pt"), &original()).unwrap_err();
    assert!(error.to_string().contains("its t3.cond_prompt_speech_tokens should be [1, ≤ 150]"), "{error}");
    let mut narrow = ModelConfig::turbo();
    narrow.t3.speaker_width = 128;
    let error = read(bytes("e2e_turbo_conds.pt"), &narrow).unwrap_err();
    assert!(error.to_string().contains("its t3.speaker_emb should be [1, 128], but is [1, 256]"), "{error}");
    let error = read(bytes("torch/state_dict.pt"), &ModelConfig::turbo()).unwrap_err();
    assert!(matches!(error, CondsError::Missing { tensor: "t3.speaker_emb", .. }), "{error}");
}

#[test]
fn ids_outside_the_vocabulary_numbers_that_are_none_and_unknown_names_are_refused() {
    let voice = bytes("e2e_turbo_conds.pt");
    let refused = |entry: &str, from: &[u8], to: &[u8]| {
        read(patched(&voice, entry, from, to), &ModelConfig::turbo()).unwrap_err()
    };
    // Storage 3 holds S3Gen's prompt, which begins with 1834; 4 its length; 0 the speaker.
    let error = refused("data/3", &1834_i64.to_le_bytes(), &6561_i64.to_le_bytes());
    assert!(matches!(error, CondsError::Values { tensor: "gen.prompt_token", .. }), "{error}");
    let error = refused("data/3", &1834_i64.to_le_bytes(), &(-1_i64).to_le_bytes());
    assert!(matches!(error, CondsError::Values { tensor: "gen.prompt_token", .. }), "{error}");
    let error = refused("data/4", &155_i64.to_le_bytes(), &154_i64.to_le_bytes());
    assert!(matches!(error, CondsError::Values { tensor: "gen.prompt_token_len", .. }), "{error}");
    let first = Fixture::open("e2e_turbo_tiny").floats("conds.speaker_emb")[0];
    let error = refused("data/0", &first.to_le_bytes(), &f32::NAN.to_le_bytes());
    assert!(matches!(error, CondsError::Values { tensor: "t3.speaker_emb", .. }), "{error}");
    let error = refused("data.pkl", b"emotion_adv", b"emotion_odd");
    assert!(matches!(&error, CondsError::Unknown { names, .. } if names == &["t3.emotion_odd"]), "{error}");
    let error = refused("data.pkl", b"torch\nLongStorage", b"posix\nLongSystems");
    assert!(error.to_string().contains("posix.LongSystems"), "{error}");
}
