//! `declaim bench`: how fast a model speaks here, stage by stage.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use serde::Serialize;

use super::compare;
use super::place::Place;
use super::serve::model_flags;
use super::{CliError, say_line};
use crate::speech::chatterbox::{bench, measure};
use crate::speech::{chunk, normalize};

/// What the text front end is timed on: numbers, dates and abbreviations, as prose has them.
const PARAGRAPH: &str = "On March 5, 2024, Dr. Smith paid $1,250.50 for 3 kg of apples at 10:30 a.m. Was it worth it? \
    \"Certainly,\" he said; the 21st century began in the 1990s, no. 5 of 12 was sold out, and 75% of it was gone.";

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// Model to measure
    #[arg(long, value_enum, default_value = "pico")]
    model: Measured,
    /// Full-size weights made from a formula: speed without a download. Needed for all but pico
    #[arg(long)]
    random_weights: bool,
    /// Device to run it on [default: the configured one]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// How T3's weights are kept on the CPU: auto, f32, bf16 or int8 [default: the configured one]
    #[arg(long, value_name = "NAME")]
    precision: Option<String>,
    /// Sequences that decode together in the measurement of batches; 0 leaves it out
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=8))]
    batch: u16,
    /// Threads of the CPU backend [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Lengths of the utterances in speech tokens (25 a second)
    #[arg(long, value_name = "NUMBER", value_delimiter = ',', default_values_t = [100, 250], value_parser = clap::value_parser!(u16).range(1..=750))]
    tokens: Vec<u16>,
    /// Tokens of the reference clip that S3Gen continues; pico has none
    #[arg(long, value_name = "NUMBER", default_value_t = 250, value_parser = clap::value_parser!(u16).range(0..=250))]
    prompt_tokens: u16,
    /// Repetitions after the first; the best one counts
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// An earlier report, made with --json, to put today's times beside
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    compare: Option<PathBuf>,
    /// As JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Measured {
    Pico,
    Nano,
    Turbo,
    Original,
}

/// The model's figures and the text front end's.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    model: bench::Report,
    text: TextReport,
}

#[derive(Debug, Serialize)]
struct TextReport {
    characters: usize,
    /// Reading out and cutting into chunks.
    best_s: f64,
}

pub(super) fn run(place: &Place, arguments: &BenchArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let settings =
        place.settings(model_flags(None, arguments.device.clone(), arguments.precision.clone()))?;
    let measured = match (arguments.model, arguments.random_weights) {
        (Measured::Pico, false) => bench::Model::Pico,
        (Measured::Nano, true) => bench::Model::RandomNano,
        (Measured::Turbo, true) => bench::Model::RandomTurbo,
        (Measured::Original, true) => bench::Model::RandomOriginal,
        (Measured::Pico, true) => {
            return Err(CliError::Usage("pico is embedded; leave --random-weights out".to_owned()));
        }
        (Measured::Nano | Measured::Turbo | Measured::Original, false) => {
            return Err(CliError::Usage(
                "the weights of this model are not installed; add --random-weights to measure its speed"
                    .to_owned(),
            ));
        }
    };
    let options = bench::Options {
        model: measured,
        prompt_tokens: arguments.prompt_tokens.into(),
        utterances: arguments.tokens.iter().map(|&tokens| tokens.into()).collect(),
        batch: arguments.batch.into(),
        repetitions: arguments.runs.into(),
    };
    let before = arguments.compare.as_deref().map(compare::read).transpose()?;
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    let text = text_front_end();
    let figures = measure(&options, &(&settings).into(), arguments.threads.map(usize::from), &mut |stage| {
        bar.set_message(stage.to_owned());
    });
    bar.finish_and_clear();
    let report = Report { model: figures.map_err(CliError::Model)?, text };
    if arguments.json {
        say_line(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        print(&report);
    }
    if let Some(before) = before {
        compare::print(&before, &serde_json::to_value(&report).unwrap_or_default())?;
    }
    Ok(())
}

/// The best of a few passes over one paragraph.
fn text_front_end() -> TextReport {
    let limits = chunk::Limits { target: 120, cap: 150, split: true };
    let pass = || {
        let started = Instant::now();
        let chunks = chunk::split(&normalize::normalize(PARAGRAPH), limits);
        debug_assert!(!chunks.is_empty());
        started.elapsed().as_secs_f64()
    };
    let best_s = (0..20).map(|_| pass()).fold(f64::INFINITY, f64::min);
    TextReport { characters: PARAGRAPH.chars().count(), best_s }
}

fn print(report: &Report) {
    let Report { model, text } = report;
    say_line(&format!(
        "{} ({} weights, T3 in {}) on {}: {}",
        model.model, model.weights, model.precision, model.device, model.device_reason
    ));
    say_line("");
    if let Some(machine) = &model.machine {
        say_line(&format!(
            "processor      {:9.1} GB/s of weights read, {:.0} GFLOP/s of products",
            machine.read_gb_per_s, machine.product_gflop_per_s
        ));
    }
    say_line(&format!("load           {:9.3} s", model.load_s));
    say_line(&format!("text           {:9.3} ms for {} characters", text.best_s * 1e3, text.characters));
    say_line(&format!(
        "T3 prefix      {:9.3} s for {} positions",
        model.prefill.best_s, model.prefill.positions
    ));
    say_line(&format!(
        "T3 step        {:9.2} ms best, {:.2} ms median: {:.0} tokens/s ({:.1} × real time)",
        model.step.best_s * 1e3,
        model.step.median_s * 1e3,
        model.step.tokens_per_s,
        model.step.tokens_per_s / 25.0
    ));
    if let Some(machine) = &model.machine {
        let bound = model.step.bytes as f64 / machine.read_gb_per_s / 1e9;
        say_line(&format!(
            "               {:9.2} ms would be the time to read its {:.0} MB: {:.0} % of the best step",
            bound * 1e3,
            model.step.bytes as f64 / 1e6,
            100.0 * bound / model.step.best_s
        ));
    }
    if let Some(batch) = &model.batch {
        say_line(&format!(
            "T3 batch       {:9.2} ms for a step of {} sequences: {:.2} ms per token",
            batch.best_s * 1e3,
            batch.sequences,
            batch.best_per_token_s * 1e3
        ));
    }
    for utterance in &model.utterances {
        say_line("");
        say_line(&format!(
            "{} tokens = {:.1} s of audio{}",
            utterance.tokens,
            utterance.audio_s,
            if utterance.prompt_tokens > 0 {
                format!(", behind a prompt of {} tokens", utterance.prompt_tokens)
            } else {
                String::new()
            }
        ));
        for (stage, seconds) in [
            ("T3", utterance.t3_s),
            ("S3Gen", utterance.s3gen_s),
            ("HiFT", utterance.hift_s),
            ("total", utterance.total_s),
        ] {
            say_line(&format!("  {stage:<12} {seconds:9.3} s"));
        }
        say_line(&format!("  real-time factor {:.4}", utterance.rtf));
    }
    say_line("");
    say_line(&format!("first audio    {:9.3} s", model.first_audio_s));
    if let Some(blocks) = &model.blocks {
        say_line(&format!("  {} tokens in blocks {:6.3} s", blocks.tokens, blocks.total_s));
        say_line(&format!("  once for a voice {:9.3} s", blocks.voice_s));
    }
    if let Some(megabytes) = model.peak_memory_mb {
        say_line(&format!("peak memory    {megabytes:9.0} MB"));
    }
}
