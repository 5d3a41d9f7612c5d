//! S3Gen against the reference: tokens to mel, mel to samples, and the small transforms in between.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; errors are shown with --nocapture"
)]

mod common;

use chatterbox::noise::Replay;
use chatterbox::s3gen::hift::{Hift, fade_gains, source::Source, spectrum};
use chatterbox::s3gen::{Reference, S3Gen};
use chatterbox::variant::{HiftConfig, ModelConfig};
use chatterbox::weights::Weights;
use common::{Fixture, device, max_abs_error, tiny_cfm, tiny_config, tiny_s3gen, values};

/// f32 throughout, so only the order of sums differs; it grows with the number of layers and with values of up to 18.
const TINY: f32 = 5e-4;
const FULL: f32 = 2e-3;

fn check_flow(s3gen: &S3Gen, name: &str, tolerance: f32) {
    let case = Fixture::open(name);
    let reference = Reference {
        prompt_tokens: case.ids("prompt_token"),
        prompt_mel: case.floats("prompt_feat"),
        speaker: case.floats("embedding"),
    };
    let tokens = case.ids("token");

    let all = [reference.prompt_tokens.clone(), tokens.clone()].concat();
    let expected = case.floats("act.flow.encoder_proj");
    let encoded = values(s3gen.flow.encode(&all));
    let error = max_abs_error(&encoded[..expected.len()], &expected);
    println!("{name}: encoder {error:e}");
    assert!(error < tolerance, "{name}: encoder: {error:e}");

    // Only meanflow draws the new frames' noise by itself.
    let noised = case.has("noised").then(|| ("noised", case.floats("noised")));
    let mut noise = Replay::new(noised.into_iter().chain([("z", case.floats("z"))]));
    let error = max_abs_error(&values(s3gen.mel(&tokens, &reference, &mut noise)), &case.floats("mel"));
    println!("{name}: mel {error:e}");
    assert!(error < tolerance, "{name}: mel: {error:e}");
}

#[test]
fn tiny_flow_agrees_with_the_reference_also_for_an_odd_prompt() {
    let s3gen = tiny_s3gen(1);
    check_flow(&s3gen, "flow_tiny_meanflow2", TINY);
    check_flow(&s3gen, "flow_tiny_meanflow2_oddprompt", TINY);
}

#[test]
fn ten_guided_steps_agree_with_the_reference() {
    check_flow(&tiny_cfm(1), "flow_tiny_cfm10", TINY);
}

#[test]
fn padding_to_a_granularity_changes_no_mel() {
    check_flow(&tiny_s3gen(16), "flow_tiny_meanflow2", TINY);
    check_flow(&tiny_cfm(16), "flow_tiny_cfm10", TINY);
}

/// The vocoder of the fixtures' CFM model, whose weights follow from the formula.
fn tiny_hift(granularity: usize) -> Hift {
    let weights = Weights::formula("s3gen_tiny", &device());
    Hift::load(&weights.root().at("mel2wav"), &tiny_config().hift, granularity).unwrap()
}

fn check_hift(hift: &Hift, name: &str, tolerance: f32) {
    let case = Fixture::open(name);
    let mel = || case.tensor::<3>("mel", &device());
    let frames = case.shape("mel")[2];

    let pitch = hift.pitch(mel()).unwrap();
    let expected = case.floats("act.f0_predictor");
    // Hz: pitches of some hundreds, so fifty times the error of values around 1.
    let error = max_abs_error(&pitch, &expected);
    println!("{name}: pitch {error:e} Hz");
    assert!(error < 50.0 * tolerance, "{name}: pitch: {error:e}");

    // With the reference's own source: a pitch that is 1e-4 Hz off would be a phase of its own after a second.
    let error = max_abs_error(&hift.vocode(mel(), &case.floats("source")).unwrap(), &case.floats("wav"));
    println!("{name}: samples {error:e}");
    assert!(error < tolerance, "{name}: samples: {error:e}");

    let mut noise = Replay::new([
        ("sine_phase_offsets", case.floats("sine_phase_offsets")),
        ("sine_noise", case.floats("sine_noise")),
    ]);
    let wave = hift.wave(mel(), &mut noise).unwrap();
    assert_eq!(wave.len(), 480 * frames);
    let error = max_abs_error(&wave, &case.floats("wav_faded"));
    println!("{name}: whole vocoder {error:e}");
    assert!(error < 10.0 * tolerance, "{name}: whole vocoder: {error:e}");
}

#[test]
fn tiny_vocoder_agrees_with_the_reference() {
    check_hift(&tiny_hift(1), "hift_tiny", TINY);
}

/// Repeating the last frame reaches back as far as the convolutions do; before that, nothing may change.
#[test]
fn padding_a_mel_changes_only_the_samples_near_its_end() {
    let case = Fixture::open("hift_tiny");
    let mel = case.tensor::<3>("mel", &device());
    let run = |granularity| {
        let mut noise = Replay::new([
            ("sine_phase_offsets", case.floats("sine_phase_offsets")),
            ("sine_noise", case.floats("sine_noise")),
        ]);
        tiny_hift(granularity).wave(mel.clone(), &mut noise).unwrap()
    };
    let (exact, padded) = (run(1), run(16));
    assert_eq!(exact.len(), padded.len());
    let untouched = exact.len() / 3;
    let error = max_abs_error(&exact[..untouched], &padded[..untouched]);
    assert!(error < TINY, "{error:e}");
}

#[test]
fn the_phase_of_the_source_does_not_drift_in_ten_seconds() {
    let case = Fixture::open("hift_sinegen_10s");
    let pitch = case.floats("f0_frames");
    let phases = case.floats("phase_offsets");
    let weights = Weights::formula("source", &device());
    let source = Source::load(&weights.root(), &HiftConfig::published()).unwrap();
    let (sampled, last) = (case.floats("sine_every_97th"), case.floats("sine_last_480"));
    for harmonic in 0..9 {
        let phase = if harmonic == 0 { 0.0 } else { phases[harmonic] };
        let mut sines = source.sines(&pitch, harmonic + 1, phase, &mut 0.0);
        for (i, sine) in sines.iter_mut().enumerate() {
            if pitch[i / 480] <= 10.0 {
                *sine = 0.0;
            }
        }
        let every_97th: Vec<f32> = sines.iter().step_by(97).copied().collect();
        let count = every_97th.len();
        let error = max_abs_error(&every_97th, &sampled[harmonic * count..(harmonic + 1) * count]);
        // 2π·turns is a product in f32 here as there; the sine of it may round differently by one unit in the last place.
        assert!(error < 1e-6, "harmonic {harmonic}: {error:e}");
        let error = max_abs_error(&sines[sines.len() - 480..], &last[harmonic * 480..(harmonic + 1) * 480]);
        assert!(error < 1e-6, "harmonic {harmonic}, last frame: {error:e}");
    }
}

#[test]
fn the_vocoders_transforms_agree_with_the_reference() {
    let case = Fixture::open("dsp");
    let found = spectrum::analyse(&case.floats("hift_stft_in"));
    // Found with a row for each column of the spectrum, stored with a row for each bin.
    let stored = [case.floats("hift_stft_re"), case.floats("hift_stft_im")].concat();
    let columns = stored.len() / (2 * spectrum::BINS);
    let expected: Vec<f32> = (0..stored.len())
        .map(|i| stored[i % (2 * spectrum::BINS) * columns + i / (2 * spectrum::BINS)])
        .collect();
    let error = max_abs_error(&found, &expected);
    assert!(error < 1e-5, "analysis: {error:e}");

    let (magnitudes, phases) = (case.floats("hift_istft_mag"), case.floats("hift_istft_phase"));
    let columns = magnitudes.len() / spectrum::BINS;
    let found = spectrum::inverse(columns, |bin, column| {
        (magnitudes[bin * columns + column], phases[bin * columns + column])
    });
    let error = max_abs_error(&found, &case.floats("hift_istft_out"));
    assert!(error < 1e-4, "synthesis: {error:e}");

    let error = max_abs_error(&fade_gains(), &case.floats("trim_fade"));
    assert!(error < 1e-6, "fade: {error:e}");
}

#[test]
#[ignore = "builds S3Gen's weights from their formula: a gigabyte and some minutes"]
fn full_size_flow_and_vocoder_agree_with_the_reference() {
    let config = ModelConfig::nano();
    let weights = Weights::formula("s3gen_meanflow", &device());
    let s3gen = S3Gen::load(&weights.root(), &config.s3gen, &config.hift, 1).unwrap();
    check_flow(&s3gen, "full_flow_meanflow2", FULL);
    check_hift(&s3gen.hift, "full_hift", 1e-3);
}

#[test]
#[ignore = "builds S3Gen's weights from their formula: a gigabyte and minutes; needs fixtures made with --full original"]
fn full_size_guided_flow_and_its_vocoder_agree_with_the_reference() {
    let config = ModelConfig::original();
    let weights = Weights::formula("s3gen", &device());
    let s3gen = S3Gen::load(&weights.root(), &config.s3gen, &config.hift, 1).unwrap();
    check_flow(&s3gen, "full_flow_cfm10", FULL);
    check_hift(&s3gen.hift, "full_hift_cfmfile", 1e-3);
}
