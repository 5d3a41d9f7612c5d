//! Speech in blocks against the same speech as a whole.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; figures are shown with --nocapture"
)]

mod common;

use std::time::Instant;

use chatterbox::noise::{Noise as _, Seeded};
use chatterbox::s3gen::hift::HiftMemory;
use chatterbox::s3gen::{Cut, Reference, S3Gen};
use chatterbox::variant::{MEL_BINS, ModelConfig};
use chatterbox::weights::Weights;
use common::{Fixture, device, max_abs_error, values};
use waveform::levels::{peak, rms, to_decibels};
use waveform::mel::prompt_mel;

const SENTENCES: [(&str, &str); 3] = [("pico/0", "slt"), ("pico/1", "rms"), ("pico/2", "slt")];

fn pico() -> S3Gen {
    let checkpoint = chatterbox::pico::checkpoint(&device()).unwrap();
    let config = &checkpoint.config;
    S3Gen::load(&checkpoint.s3gen.root(), &config.s3gen, &config.hift, 1).unwrap()
}

fn pico_reference(voice: &str) -> Reference {
    let voices = chatterbox::pico::voices().unwrap();
    voices.into_iter().find(|candidate| candidate.id == voice).unwrap().voice.reference
}

fn in_blocks(s3gen: &S3Gen, tokens: &[u32], reference: &Reference, cut: Cut) -> Vec<Vec<f32>> {
    let prepared = s3gen.prepare(reference).unwrap().unwrap();
    let started = Instant::now();
    let mut blocks = s3gen.blocks(&prepared, cut, 0);
    let mut made = Vec::new();
    for &token in tokens {
        if let Some(block) = blocks.push(token).unwrap() {
            println!("    block of {} tokens at {:.3} s", block.len() / 960, started.elapsed().as_secs_f32());
            made.push(block);
        }
    }
    made.push(blocks.finish().unwrap());
    println!("    {} blocks in {:.3} s", made.len(), started.elapsed().as_secs_f32());
    made
}

/// The usual way, for comparison: the flow runs over everything so far for each block, and the new frames are taken.
fn run_again(s3gen: &S3Gen, tokens: &[u32], reference: &Reference, cut: Cut) -> Vec<Vec<f32>> {
    let started = Instant::now();
    let noise = s3gen.placed(0);
    let (mut memory, mut made, mut start, mut size) = (HiftMemory::default(), Vec::new(), 0, cut.first);
    while start < tokens.len() {
        let is_last = start + size + cut.ahead + 3 > tokens.len();
        let (end, seen) =
            if is_last { (tokens.len(), tokens.len()) } else { (start + size, start + size + cut.ahead) };
        // The look-ahead's tokens are heard by the encoder and give no frames.
        let heard = if is_last { seen } else { seen + 3 };
        let mel = values(s3gen.mel(&tokens[..heard], reference, &mut noise.clone()).swap_dims(1, 2));
        let rows = &mel[2 * start * MEL_BINS..2 * seen * MEL_BINS];
        made.push(s3gen.hift.extend(&mut memory, rows, 2 * (seen - end), &noise).unwrap());
        (start, size) = (end, (2 * size).min(cut.most));
    }
    println!("    {} blocks run again in {:.3} s", made.len(), started.elapsed().as_secs_f32());
    made
}

fn whole(s3gen: &S3Gen, tokens: &[u32], reference: &Reference) -> Vec<f32> {
    let mut noise = s3gen.placed(0);
    let mel = s3gen.mel(tokens, reference, &mut noise);
    s3gen.wave(mel, &mut noise).unwrap()
}

#[test]
fn one_block_is_the_whole() {
    let (s3gen, (name, voice)) = (pico(), SENTENCES[2]);
    let (tokens, reference) = (Fixture::open(name).ids("speech_tokens_with_silence"), pico_reference(voice));
    let cut = Cut { first: 1000, most: 1000, ahead: 0, behind: 0 };
    let error = max_abs_error(
        &in_blocks(&s3gen, &tokens, &reference, cut).concat(),
        &whole(&s3gen, &tokens, &reference),
    );
    println!("one block: {error:e}");
    assert!(error < 1e-3, "{error:e}");
}

/// With as many frames behind a block as the convolutions reach, cutting changes nothing: not the phase, not the noise.
#[test]
fn a_mel_is_vocoded_in_blocks_as_it_is_in_the_whole() {
    let s3gen = pico();
    let case = Fixture::open(SENTENCES[1].0);
    let mut noise = s3gen.placed(3);
    let mel = || case.tensor::<3>("mel", &device());
    let expected = s3gen.wave(mel(), &mut noise).unwrap();
    let rows = values(mel().swap_dims(1, 2));
    let rows: Vec<&[f32]> = rows.chunks_exact(MEL_BINS).collect();
    for ahead in [0, 2, 4, 6, 8, 10, 14] {
        let (mut memory, mut found, mut start) = (HiftMemory::default(), Vec::new(), 0);
        for size in [7, 1, 20, 11, 1000] {
            let end = rows.len().min(start + size);
            let seen = rows.len().min(end + ahead);
            let block =
                s3gen.hift.extend(&mut memory, &rows[start..seen].concat(), seen - end, &noise).unwrap();
            found.extend(block);
            start = end;
        }
        let error = max_abs_error(&found, &expected);
        println!("vocoder in blocks with {ahead} frames ahead: {error:e}");
        assert!(ahead < 14 || error < 2e-3, "{error:e}");
    }
}

/// How far speech in blocks is from the same speech whole.
struct Distance {
    /// Mean absolute difference of the log-mel spectrograms in decibels, down to 60 below the loudest: within two frames
    /// of a seam, and elsewhere.
    mel: [f32; 2],
    /// Steepest step between two samples within 5 ms of a seam, over the whole's steepest within 20 ms of the place.
    step: f32,
    /// RMS of the samples' difference over the RMS of the whole: within 10 ms of a seam, and elsewhere.
    samples: [f32; 2],
    /// Largest difference of the levels of 20 ms in decibels, down to 40 below the peak: at a seam, and elsewhere.
    level: [f32; 2],
}

impl std::fmt::Display for Distance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mel, step, samples, level } = self;
        write!(
            f,
            "mel {:.2} dB at seams, {:.2} elsewhere; step {step:.2}; samples {:.2}, {:.2}; level {:.1} dB, {:.1}",
            mel[0], mel[1], samples[0], samples[1], level[0], level[1]
        )
    }
}

fn distance(blocks: &[Vec<f32>], whole: &[f32]) -> Distance {
    let joined = blocks.concat();
    assert_eq!(joined.len(), whole.len());
    let mut seams: Vec<usize> = Vec::new();
    for block in &blocks[..blocks.len() - 1] {
        seams.push(seams.last().copied().unwrap_or(0) + block.len());
    }
    let near = |place: usize, within: usize| seams.iter().any(|seam| seam.abs_diff(place) <= within);

    let (a, b) = (prompt_mel(&joined), prompt_mel(whole));
    let floor = b.values.iter().copied().fold(f32::MIN, f32::max) - 60.0 / 8.686;
    let mut mel = [(0.0, 0); 2];
    for (frame, (a, b)) in a.values.chunks_exact(MEL_BINS).zip(b.values.chunks_exact(MEL_BINS)).enumerate() {
        let place = usize::from(!near(frame * 480 + 240, 960));
        let sum: f32 = a.iter().zip(b).map(|(a, b)| (a.max(floor) - b.max(floor)).abs()).sum();
        mel[place] = (mel[place].0 + 8.686 * sum, mel[place].1 + MEL_BINS);
    }

    let steepest = |samples: &[f32], place: usize, within: usize| {
        let range = place.saturating_sub(within)..samples.len().min(place + within);
        samples[range].windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    };
    let step = seams
        .iter()
        .map(|&s| steepest(&joined, s, 120) / (steepest(whole, s, 480) + 1e-3))
        .fold(0.0, f32::max);

    let mut samples = [(0.0, 0.0); 2];
    for (i, (a, b)) in joined.iter().zip(whole).enumerate() {
        let place = usize::from(!near(i, 240));
        samples[place] = (samples[place].0 + (a - b) * (a - b), samples[place].1 + b * b);
    }
    let mut level = [0.0f32; 2];
    let quiet = peak(whole) * 0.01;
    for (i, (a, b)) in joined.chunks(480).zip(whole.chunks(480)).enumerate() {
        if rms(b) > quiet {
            let place = usize::from(!near(i * 480 + 240, 480));
            level[place] = level[place].max(to_decibels(rms(a) / rms(b)).abs());
        }
    }
    Distance {
        mel: mel.map(|(sum, count)| sum / count.max(1) as f32),
        step,
        samples: samples.map(|(a, b): (f32, f32)| (a / b.max(1e-9)).sqrt()),
        level,
    }
}

#[test]
#[ignore = "prints figures for docs/PERFORMANCE.md"]
fn distances_of_pico() {
    let s3gen = pico();
    let mut tokens_of = SENTENCES
        .map(|(name, voice)| (Fixture::open(name).ids("speech_tokens_with_silence"), voice))
        .to_vec();
    let long: Vec<u32> =
        SENTENCES.iter().flat_map(|(name, _)| Fixture::open(name).ids("speech_tokens")).collect();
    tokens_of.push((long, "slt"));
    for (tokens, voice) in tokens_of {
        let reference = pico_reference(voice);
        let started = Instant::now();
        let whole = whole(&s3gen, &tokens, &reference);
        println!("{} tokens, whole in {:.3} s", tokens.len(), started.elapsed().as_secs_f32());
        for (first, ahead, behind) in
            [(8, 0, 0), (8, 3, 0), (8, 3, 16), (8, 3, 32), (8, 3, 64), (8, 3, 1000), (8, 6, 32), (16, 3, 32)]
        {
            let cut = Cut { first, most: 48, ahead, behind };
            let blocks = in_blocks(&s3gen, &tokens, &reference, cut);
            println!("  first {first} ahead {ahead} behind {behind}: {}", distance(&blocks, &whole));
        }
        let again = run_again(&s3gen, &tokens, &reference, Cut::default());
        println!("  run again: {}", distance(&again, &whole));
    }
}

#[test]
#[ignore = "prints figures for docs/PERFORMANCE.md; full size"]
fn distances_of_nano_with_random_weights() {
    let weights = Weights::formula("s3gen_meanflow", &device());
    let config = ModelConfig::nano();
    let s3gen = S3Gen::load(&weights.root(), &config.s3gen, &config.hift, 1).unwrap();
    let some = |count: usize| -> Vec<u32> { (0..count as u32).map(|i| (i * 7919 + 13) % 6561).collect() };
    let mut noise = Seeded::new(1);
    let reference = Reference {
        prompt_tokens: some(250),
        prompt_mel: noise.normal("mel", 500 * MEL_BINS).iter().map(|v| v - 4.0).collect(),
        speaker: noise.normal("x-vector", 192),
    };
    let tokens = some(100);
    let started = Instant::now();
    let whole = whole(&s3gen, &tokens, &reference);
    println!("whole in {:.3} s", started.elapsed().as_secs_f32());
    let started = Instant::now();
    let prepared = s3gen.prepare(&reference).unwrap().unwrap();
    println!("prepared in {:.3} s, {} MB", started.elapsed().as_secs_f32(), prepared.bytes() >> 20);
    for cut in [Cut::default(), Cut { first: 1000, most: 1000, ahead: 0, behind: 0 }] {
        let blocks = in_blocks(&s3gen, &tokens, &reference, cut);
        println!("  {cut:?}: {}", distance(&blocks, &whole));
    }
    println!("  run again: {}", distance(&run_again(&s3gen, &tokens, &reference, Cut::default()), &whole));
}
