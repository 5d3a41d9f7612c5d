//! The embedded voice against its own runs through the reference's code.

mod common;

use std::ops::ControlFlow;

use chatterbox::device::{Request, choose};
use chatterbox::noise::{Replay, Seeded};
use chatterbox::pipeline::{Chatterbox, SpeakError};
use chatterbox::s3gen::S3Gen;
use chatterbox::t3::T3;
use common::{Fixture, device, max_abs_error, values};

const TEXTS: [(&str, &str); 3] = [
    ("Good morning!", "slt"),
    ("Where can I buy a ticket?", "rms"),
    ("Thank you, the old bridge is open.", "slt"),
];

#[test]
fn the_embedded_voice_agrees_with_the_reference_stage_by_stage() {
    let device = device();
    let checkpoint = chatterbox::pico::checkpoint(&device).unwrap();
    let config = checkpoint.config.clone();
    let t3 = T3::load(&checkpoint.t3.root(), &config.t3, 1).unwrap();
    let s3gen = S3Gen::load(&checkpoint.s3gen.root(), &config.s3gen, &config.hift, 1).unwrap();
    let voices = chatterbox::pico::voices().unwrap();
    for (index, (text, voice)) in TEXTS.iter().enumerate() {
        let case = Fixture::open(&format!("pico/{index}"));
        let voice = &voices.iter().find(|candidate| candidate.id == *voice).unwrap().voice;

        let ids = checkpoint.tokenizer.encode(text, None).unwrap();
        assert_eq!(ids, case.ids("text_ids"), "ids of {text:?}");
        let decoded = t3
            .decode(&ids, &voice.speaker, &config.sampling, 900, &mut Seeded::new(1), &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(decoded.tokens, case.ids("speech_tokens"), "speech tokens of {text:?}");
        assert!(decoded.stopped);

        // The shipped weights are f16, widened here and there alike; log-mel values reach 11.
        let tokens = case.ids("speech_tokens_with_silence");
        let mel = s3gen.mel(&tokens, &voice.reference, &mut Seeded::new(1));
        let error = max_abs_error(&values(mel), &case.floats("mel"));
        println!("{text:?}: mel {error:e}");
        assert!(error < 1e-3, "mel of {text:?}: {error:e}");

        let mel = || case.tensor::<3>("mel", &device);
        let error = max_abs_error(&s3gen.hift.pitch(mel()).unwrap(), &case.floats("f0"));
        println!("{text:?}: pitch {error:e} Hz");
        assert!(error < 1e-2, "pitch of {text:?}: {error:e} Hz");
        let error =
            max_abs_error(&s3gen.hift.vocode(mel(), &case.floats("source")).unwrap(), &case.floats("wave"));
        println!("{text:?}: samples {error:e}");
        assert!(error < 1e-3, "samples of {text:?}: {error:e}");
    }
}

#[test]
fn the_whole_chain_speaks_repeats_itself_and_stops_when_told() {
    let choice = choose(Request::Cpu).unwrap();
    let model = Chatterbox::load(chatterbox::pico::checkpoint(&choice.device).unwrap(), &choice).unwrap();
    let voice = &chatterbox::pico::voices().unwrap()[0].voice;
    let sampling = &model.config().sampling;
    let mut steps = 0;
    let mut speak = || {
        model.speak("Good morning!", None, voice, sampling, &mut Seeded::new(7), &mut |_| {
            steps += 1;
            ControlFlow::Continue(())
        })
    };
    let first = speak().unwrap();
    assert_eq!(first.samples, speak().unwrap().samples, "one seed, one take");
    assert!(steps > 40, "progress at every token: {steps}");
    assert!(first.stopped);
    assert_eq!(first.samples.len(), first.tokens.len() * 960);
    let loudest = first.samples.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    assert!((0.05..=0.99).contains(&loudest), "loudest sample {loudest}");

    let mut asked = 0;
    let error = model
        .speak("Good morning!", None, voice, sampling, &mut Seeded::new(7), &mut |_| {
            asked += 1;
            if asked == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap_err();
    assert!(matches!(error, SpeakError::Cancelled), "{error}");
    assert_eq!(asked, 3, "nothing more is asked once it is cancelled");
}

/// The tiny Turbo from text tokens to samples, with the noise of the reference's run.
#[test]
fn the_whole_turbo_chain_agrees_with_the_reference() {
    let case = Fixture::open("e2e_turbo_tiny");
    let (t3, s3gen) = (common::tiny_t3(1), common::tiny_s3gen(1));
    let speaker = chatterbox::t3::Speaker {
        embedding: case.floats("conds.speaker_emb"),
        prompt: case.ids("conds.cond_prompt_speech_tokens"),
        ..Default::default()
    };
    let sampling = chatterbox::variant::ModelConfig::nano().sampling;
    let mut noise = Replay::new([
        ("noised", case.floats("noised")),
        ("z", case.floats("z")),
        ("sine_phase_offsets", case.floats("sine_phase_offsets")),
        ("sine_noise", case.floats("sine_noise")),
    ]);
    let decoded = t3
        .decode(&case.ids("text_tokens"), &speaker, &sampling, 25, &mut noise, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(decoded.tokens, case.ids("t3_tokens"));
    let tokens = case.ids("s3_tokens");
    let reference = chatterbox::s3gen::Reference {
        prompt_tokens: case.ids("conds.prompt_token"),
        prompt_mel: case.floats("conds.prompt_feat"),
        speaker: case.floats("conds.embedding"),
    };
    let mel = s3gen.mel(&tokens, &reference, &mut noise);
    let error = max_abs_error(&values(mel.clone()), &case.floats("mel"));
    println!("mel {error:e}");
    assert!(error < 5e-4, "mel: {error:e}");
    let error = max_abs_error(&s3gen.wave(mel, &mut noise).unwrap(), &case.floats("wav"));
    println!("samples {error:e}");
    // The pitch of our own mel drives the source here, so phases drift by a few parts in a thousand over a second.
    assert!(error < 5e-3, "samples: {error:e}");
}
