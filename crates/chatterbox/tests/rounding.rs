//! What rounded weights cost: the distance from f32 on the embedded voice and on full-size random weights, and the sameness
//! of a batch and its members.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; figures are shown with --nocapture"
)]

mod common;

use std::ops::ControlFlow;

use chatterbox::noise::{Noise, Replay, Seeded};
use chatterbox::t3::{Decoding, Speaker, T3};
use chatterbox::variant::{ModelConfig, SamplingConfig};
use chatterbox::weights::{Precision, Weights};
use common::{Fixture, device, fixtures, tiny_llama, tiny_t3, values};

/// How far two distributions over tokens lie apart, in nats, and whether their favourites are the same.
fn compare(exact: &[f32], rounded: &[f32]) -> (f64, bool) {
    let (mut p, mut q) = (exact.to_vec(), rounded.to_vec());
    chatterbox::t3::sampling::softmax(&mut p);
    chatterbox::t3::sampling::softmax(&mut q);
    let divergence = p
        .iter()
        .zip(&q)
        .filter(|(p, _)| **p > 0.0)
        .map(|(p, q)| f64::from(*p) * (f64::from(*p) / f64::from(q.max(1e-30))).ln())
        .sum();
    let best = |values: &[f32]| {
        (0..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best })
    };
    (divergence, best(exact) == best(rounded))
}

/// The logits in front of each of `tokens`.
fn forced(
    t3: &T3,
    text: &[u32],
    speaker: &Speaker,
    sampling: &SamplingConfig,
    tokens: &[u32],
) -> Vec<Vec<f32>> {
    let prefix = t3.prefix(text, speaker, sampling).unwrap();
    let mut cache = t3.cache(1, prefix.dims()[1] + tokens.len());
    let mut logits = vec![values(t3.prefill(prefix, &mut cache))];
    logits.extend(tokens[..tokens.len() - 1].iter().map(|token| values(t3.step(*token, &mut cache))));
    logits
}

/// Mean divergence, share of agreeing favourites and the largest difference of any logit.
fn distance(exact: &[Vec<f32>], rounded: &[Vec<f32>]) -> (f64, f64, f32) {
    let (mut divergence, mut agreeing, mut largest) = (0.0, 0, 0.0_f32);
    for (exact, rounded) in exact.iter().zip(rounded) {
        let (apart, same) = compare(exact, rounded);
        divergence += apart;
        agreeing += usize::from(same);
        largest = exact.iter().zip(rounded).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
    }
    let count = exact.len() as f64;
    (divergence / count, f64::from(agreeing as u32) / count, largest)
}

#[test]
fn rounded_weights_say_with_the_embedded_voice_what_exact_ones_say() {
    rounded_weights_say_what_exact_ones_say(3);
}

#[test]
#[ignore = "takes minutes in an unoptimised build; prints the figures of docs/PERFORMANCE.md"]
fn rounded_weights_say_all_sentences_as_exact_ones_do() {
    rounded_weights_say_what_exact_ones_say(1);
}

/// Of the sentences, every `step`th.
fn rounded_weights_say_what_exact_ones_say(step: usize) {
    let device = device();
    let checkpoint = chatterbox::pico::checkpoint(&device).unwrap();
    let config = &checkpoint.config;
    let at = |precision| T3::load(&checkpoint.t3.root().decoding(precision), &config.t3, 1).unwrap();
    let exact = at(Precision::F32);
    let rounded = [Precision::Bf16, Precision::Int8].map(|precision| (precision, at(precision)));
    let voices = chatterbox::pico::voices().unwrap();
    // Sentences that the embedded voice never heard in training.
    let sentences = std::fs::read_to_string(fixtures().join("../../pico/eval_public.txt")).unwrap();
    let sentences: Vec<&str> = sentences.lines().step_by(step).collect();
    let mut logits = [const { Vec::new() }; 3];
    let mut same = [0; 2];
    for (text, voice) in sentences.iter().zip(voices.iter().cycle()) {
        let ids = checkpoint.tokenizer.encode(text, None).unwrap();
        let speaker = &voice.voice.speaker;
        let decode = |t3: &T3| {
            let mut go_on = |_: &[u32]| ControlFlow::Continue(());
            t3.decode(&ids, speaker, &config.sampling, 900, &mut Replay::default(), &mut go_on)
                .unwrap()
                .tokens
        };
        let tokens = decode(&exact);
        logits[0].extend(forced(&exact, &ids, speaker, &config.sampling, &tokens));
        for (index, (_, t3)) in rounded.iter().enumerate() {
            logits[index + 1].extend(forced(t3, &ids, speaker, &config.sampling, &tokens));
            same[index] += usize::from(decode(t3) == tokens);
        }
    }
    let [exact, rest @ ..] = &logits;
    for (((precision, _), logits), same) in rounded.iter().zip(rest).zip(same) {
        let (divergence, agreement, largest) = distance(exact, logits);
        println!(
            "pico {precision}: {same} of {} sentences token for token; of {} tokens {:.2} % agree, divergence {divergence:.1e}, \
             logits to {largest:.3}",
            sentences.len(),
            exact.len(),
            100.0 * agreement
        );
        assert!(agreement > 0.985, "{precision}: {agreement}");
        assert!(divergence < 1e-3, "{precision}: {divergence}");
        assert!(same >= sentences.len() / 2, "{precision}: {same}");
    }
}

#[test]
#[ignore = "builds Nano's weights from their formula three times: a gigabyte and minutes"]
fn rounded_weights_stay_close_at_full_size() {
    let case = Fixture::open("full_t3_nano");
    let speaker = Speaker {
        embedding: case.floats("speaker_emb"),
        prompt: case.ids("prompt_tokens"),
        ..Speaker::default()
    };
    let text = case.ids("text_tokens");
    let config = ModelConfig::nano();
    let vocabulary = config.t3.speech_vocab;
    let reference: Vec<Vec<f32>> = [case.floats("prefill_logits"), case.floats("forced_logits")]
        .concat()
        .chunks_exact(vocabulary)
        .map(<[f32]>::to_vec)
        .collect();
    let tokens = [case.ids("forced_tokens"), vec![0]].concat();
    for (precision, bound) in [(Precision::F32, 1e-8), (Precision::Bf16, 1e-3), (Precision::Int8, 5e-3)] {
        let weights = Weights::formula("t3_nano_v1", &device());
        let t3 = T3::load(&weights.root().decoding(precision), &config.t3, 1).unwrap();
        let logits = forced(&t3, &text, &speaker, &config.sampling, &tokens);
        let (divergence, agreement, largest) = distance(&reference, &logits);
        let mut go_on = |_: &[u32]| ControlFlow::Continue(());
        let expected = case.ids("greedy_tokens");
        let greedy = t3
            .decode(&text, &speaker, &config.sampling, expected.len(), &mut Replay::default(), &mut go_on)
            .unwrap()
            .tokens;
        let same = greedy.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        println!(
            "nano {precision}: of {} positions {:.0} % agree, divergence {divergence:.1e}, logits to {largest:.4}, \
             greedy {same} of {}",
            logits.len(),
            100.0 * agreement,
            expected.len()
        );
        assert!(divergence < bound, "{precision}: {divergence}");
    }
}

/// Decodes utterances together, the later ones joining once an earlier one has ended, `together` at a time.
fn in_company(t3: &T3, mut waiting: Vec<(Decoding, Seeded)>, together: usize) -> Vec<(usize, Vec<u32>)> {
    waiting.reverse();
    let mut index = 0;
    let mut running: Vec<(usize, Decoding, Seeded)> = Vec::new();
    let mut done = Vec::new();
    loop {
        while running.len() < together {
            let Some((decoding, noise)) = waiting.pop() else { break };
            running.push((index, decoding, noise));
            index += 1;
        }
        if running.is_empty() {
            done.sort_unstable();
            return done;
        }
        for (_, decoding, noise) in &mut running {
            decoding.draw(noise as &mut dyn Noise).unwrap();
        }
        let (ended, rest): (Vec<_>, Vec<_>) = running.into_iter().partition(|(_, d, _)| d.has_ended());
        done.extend(ended.into_iter().map(|(index, decoding, _)| (index, decoding.finish().tokens)));
        running = rest;
        let mut decodings: Vec<&mut Decoding> = running.iter_mut().map(|(_, decoding, _)| decoding).collect();
        t3.advance(&mut decodings).unwrap();
    }
}

/// Utterances of different texts, lengths and seeds decode to the same tokens alone and in company.
fn company_changes_nothing(t3: &T3, config: &ModelConfig, guidance: bool) {
    let mut noise = Seeded::new(11);
    let mut sampling = config.sampling.clone();
    if guidance {
        sampling.cfg_weight = 0.5;
    }
    let speaker =
        Speaker { embedding: noise.normal("speaker", config.t3.speaker_width), ..Speaker::default() };
    let text = |n: usize| -> Vec<u32> { (0..n).map(|i| ((i * 37 + 5 * n) % 30) as u32).collect() };
    let begin = |n: usize| t3.begin(&text(n), &speaker, &sampling, 10 + 7 * (n % 4)).unwrap();
    let lengths = [3, 9, 5, 14, 1, 8, 6];
    let alone: Vec<(usize, Vec<u32>)> = lengths
        .into_iter()
        .enumerate()
        .map(|(index, n)| {
            let mut done = in_company(t3, vec![(begin(n), Seeded::new(100 + index as u64))], 1);
            (index, done.remove(0).1)
        })
        .collect();
    assert!(alone.iter().any(|(_, tokens)| tokens.len() > 5), "{alone:?}");
    for together in [2, 3, 5, 7] {
        let waiting =
            lengths.into_iter().enumerate().map(|(index, n)| (begin(n), Seeded::new(100 + index as u64)));
        assert_eq!(in_company(t3, waiting.collect(), together), alone, "{together} at a time");
    }
}

#[test]
fn gpt2_utterances_decode_to_the_bit_alike_alone_and_in_company() {
    company_changes_nothing(&tiny_t3(1), &common::tiny_config(), false);
}

#[test]
fn guided_llama_utterances_decode_to_the_bit_alike_alone_and_in_company() {
    company_changes_nothing(&tiny_llama(1), &common::tiny_original_config(), true);
}

#[test]
fn rounded_utterances_decode_to_the_bit_alike_alone_and_in_company() {
    let checkpoint = chatterbox::pico::checkpoint(&device()).unwrap();
    let mut config = checkpoint.config.clone();
    // Greedy by itself; drawn here, so that a difference in any logit would show sooner or later.
    config.sampling.temperature = 1.0;
    config.sampling.top_k = 0;
    for precision in [Precision::Bf16, Precision::Int8] {
        let t3 = T3::load(&checkpoint.t3.root().decoding(precision), &config.t3, 1).unwrap();
        company_changes_nothing(&t3, &config, false);
    }
}
