//! What each field makes of a request, and what is said of a wrong one.

use super::*;
use crate::speech::AudioFormat;
use crate::speech::catalog::Offer;
use crate::speech::model::{ModelError, VoiceInfo, VoiceKind};
use crate::speech::tone;
use crate::voices::Library;
use crate::voices::testing::{library, upload, wav};

fn model() -> ModelInfo {
    let voice = |id: &str, name: &str| VoiceInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: VoiceKind::BuiltIn,
        gender: None,
        language: "en".to_owned(),
        origin: String::new(),
    };
    ModelInfo {
        name: "test".to_owned(),
        voices: vec![voice("slt", "Ada"), voice("rms", "Max")],
        default_voice: "rms".to_owned(),
        ..tone::info()
    }
}

/// Models that are described and never loaded, the first one being the default.
fn catalog_of(models: Vec<ModelInfo>, library: Library) -> Catalog {
    let unloadable = || Err(ModelError::NotLoaded("nobody loads it".to_owned()));
    Catalog::new(AUTO, library, models.into_iter().map(|info| Offer::new(info, unloadable)).collect())
}

pub(super) fn catalog() -> Catalog {
    let (_folder, library) = library();
    catalog_of(vec![model()], library)
}

pub(super) fn draft() -> Draft {
    Draft { text: "Hello.".to_owned(), ..Draft::default() }
}

pub(super) fn check(draft: Draft) -> Result<SpeechRequest, DraftError> {
    draft.check(&Settings::default(), &catalog())
}

#[test]
fn what_is_left_out_comes_from_the_settings_and_the_model() {
    let request = check(draft()).unwrap();
    assert_eq!((request.voice.as_str(), request.speed, request.chunk_size), ("rms", 1.0, 120));
    assert_eq!((request.format, request.sample_rate), (AudioFormat::Wav, 24_000));
    assert_eq!(request.sampling, Sampling::default());
    assert!(request.normalize && request.split_text);
}

#[test]
fn a_random_seed_is_drawn_where_none_is_fixed_and_never_zero() {
    for random in [None, Some(0), Some(-1)] {
        let seeds: Vec<u64> =
            (0..8).map(|_| check(Draft { seed: random, ..draft() }).unwrap().seed).collect();
        assert!(seeds.iter().all(|seed| *seed > 0 && u32::try_from(*seed).is_ok()), "{seeds:?}");
        assert!(seeds.windows(2).any(|pair| pair[0] != pair[1]), "{seeds:?}");
    }
    assert_eq!(check(Draft { seed: Some(7), ..draft() }).unwrap().seed, 7);
    let mut settings = Settings::default();
    settings.generation_defaults.seed = 9;
    assert_eq!(draft().check(&settings, &catalog()).unwrap().seed, 9);
}

#[test]
fn the_configured_default_voice_goes_before_the_models_own_if_the_model_has_it() {
    let mut settings = Settings::default();
    settings.tts_engine.default_voice_id = Some("Ada".to_owned());
    let voice = |wanted: Option<&str>, settings: &Settings| {
        let draft = Draft { voice: wanted.map(str::to_owned), ..draft() };
        draft.check(settings, &catalog()).unwrap().voice
    };
    assert_eq!(voice(None, &settings), "slt");
    assert_eq!(voice(Some("voice.wav"), &settings), "slt");
    assert_eq!(voice(Some("rms.wav"), &settings), "rms");
    settings.tts_engine.default_voice_id = Some("Emily".to_owned());
    assert_eq!(voice(None, &settings), "rms", "a voice of another model is no reason to refuse");
}

#[test]
fn a_request_is_bound_to_the_model_it_was_checked_against() {
    let (_folder, library) = library();
    let other = ModelInfo { name: "other".to_owned(), voices: Vec::new(), ..model() };
    let catalog = catalog_of(vec![model(), other], library);
    let check = |name: Option<&str>| {
        let draft = Draft { model: name.map(str::to_owned), ..draft() };
        draft.check(&Settings::default(), &catalog)
    };
    for (wanted, expected) in
        [(None, "test"), (Some("auto"), "test"), (Some(""), "test"), (Some("Other"), "other")]
    {
        assert_eq!(check(wanted).unwrap().model.as_deref(), Some(expected), "{wanted:?}");
    }
    let refused = check(Some("choir")).unwrap_err();
    assert_eq!(refused.to_string(), "model: there is no model \"choir\"; the models are test, other");
    let (_folder, library) = self::library();
    let nothing = draft().check(&Settings::default(), &catalog_of(Vec::new(), library));
    assert!(matches!(nothing, Err(DraftError::NoModel(_))), "{nothing:?}");
}

#[test]
fn a_clip_is_a_voice_for_the_models_that_can_use_it_and_the_others_say_who_can() {
    let (_folder, library) = library();
    let catalog = catalog_of(vec![model(), tone::low_info()], library);
    let add = |name: &str, seconds: f64| {
        let upload = upload(name, wav(seconds, 200.0 * seconds));
        catalog.library().add(upload, &catalog.own_voice_ids()).unwrap();
    };
    add("Emily", 2.5);
    add("Short", 1.2);
    let check = |model: &str, voice: Option<&str>, reference: Option<&str>| {
        let (voice, reference) = (voice.map(str::to_owned), reference.map(str::to_owned));
        Draft { model: Some(model.to_owned()), voice, reference, ..draft() }
            .check(&Settings::default(), &catalog)
            .map(|request| request.voice)
            .map_err(|error| error.to_string())
    };
    assert_eq!(check("tone-low", Some("emily.wav"), None).as_deref(), Ok("emily"));
    assert_eq!(check("tone-low", None, Some("Emily.mp3")).as_deref(), Ok("emily"));
    assert_eq!(check("tone-low", Some("drone"), Some("emily.wav")).as_deref(), Ok("emily"));
    assert_eq!(
        check("test", Some("Emily"), None).unwrap_err(),
        "predefined_voice_id: the voice \"emily\" cannot be used, the model test has fixed voices only; \
         for this voice, send model tone-low."
    );
    assert_eq!(
        check("test", None, Some("Emily")).unwrap_err(),
        "voice_mode \"clone\" is not possible: the model test has fixed voices only. Send voice_mode \
         \"predefined\"; for this voice, send model tone-low."
    );
    assert_eq!(
        check("tone-low", None, Some("short")).unwrap_err(),
        "reference_audio_filename: the voice \"short\" cannot be used, the model tone-low needs a clip of more \
         than 2 seconds, this one has 1.2."
    );
    assert_eq!(
        check("tone-low", None, Some("drone")).unwrap_err(),
        "reference_audio_filename: there is no voice \"drone\"; the available voices are emily, short"
    );
    assert!(check("tone-low", None, Some(" ")).unwrap_err().contains("needs reference_audio_filename"));
}

#[test]
fn every_wrong_field_is_named_with_what_is_allowed() {
    let cases: [(Draft, &str); 12] = [
        (Draft { text: " \n".to_owned(), ..draft() }, "text is empty"),
        (Draft { temperature: Some(2.1), ..draft() }, "temperature must be a number from 0 to 2, found 2.1"),
        (
            Draft { temperature: Some(f64::NAN), ..draft() },
            "temperature must be a number from 0 to 2, found NaN",
        ),
        (Draft { exaggeration: Some(-0.1), ..draft() }, "exaggeration must be a number from 0 to 2"),
        (Draft { cfg_weight: Some(3.0), ..draft() }, "cfg_weight must be a number from 0 to 1, found 3"),
        (Draft { speed: Some(0.0), ..draft() }, "speed_factor must be a number from 0.25 to 4, found 0"),
        (Draft { chunk_size: Some(49), ..draft() }, "chunk_size must be a whole number from 50 to 500"),
        (
            Draft { seed: Some(-2), ..draft() },
            "seed must be a whole number from -1 to 9007199254740991 (0 and -1",
        ),
        (Draft { top_p: Some(0.0), ..draft() }, "top_p must be a number from 0.01 to 1"),
        (Draft { top_k: Some(0), ..draft() }, "top_k must be a whole number from 1"),
        (
            Draft { format: Some("ogg".to_owned()), ..draft() },
            "output_format must be wav, flac, mp3, opus, aac, m4a or pcm, found \"ogg\"",
        ),
        (
            Draft { voice: Some("Emily".to_owned()), ..draft() },
            "predefined_voice_id: there is no voice \"Emily\"; the available voices are slt, rms",
        ),
    ];
    for (draft, expected) in cases {
        let error = check(draft).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_text_at_the_bound_passes_and_one_character_more_does_not() {
    let mut settings = Settings::default();
    settings.limits.max_text_chars = 3;
    let check = |text: &str| Draft { text: text.to_owned(), ..draft() }.check(&settings, &catalog());
    assert!(check("äöü").is_ok(), "characters, not bytes");
    assert_eq!(check("äöüx").unwrap_err(), DraftError::TextTooLong { field: "text", found: 4, limit: 3 });
}

#[test]
fn a_language_matters_only_to_models_that_speak_several() {
    let mut several = model();
    several.languages = vec!["en".to_owned(), "de".to_owned()];
    let check = |language: &str, model: &ModelInfo| {
        let (_folder, library) = library();
        let catalog = catalog_of(vec![model.clone()], library);
        Draft { language: Some(language.to_owned()), ..draft() }.check(&Settings::default(), &catalog)
    };
    assert!(check("xx", &model()).is_ok());
    assert!(check("de", &several).is_ok());
    assert_eq!(
        check("xx", &several).unwrap_err().to_string(),
        "language must be one of en, de, found \"xx\"; leave it out for the default"
    );
}
