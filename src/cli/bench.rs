//! `declaim bench`: how fast a model speaks here, on one text, with everything but the model kept out of the clock.

use std::time::Instant;

use serde::Serialize;

use super::place::Place;
use super::serve::model_flags;
use super::{CliError, say_line};
use crate::speech::model::{self, ChunkRequest, SpeechModel};
use crate::speech::{Cancel, Sampling};

/// One ordinary sentence; about five seconds of speech.
const SENTENCE: &str = "The quick brown fox jumps over the lazy dog while the farmer sleeps in the shade.";

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// Model to measure [default: the configured one]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Device to run it on [default: the configured one]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// What to say
    #[arg(long, default_value = SENTENCE, hide_default_value = true)]
    text: String,
    /// How often; the median counts
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// As JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// The figures. Times are seconds, medians over the runs; the first run, which warms caches, is not counted.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    device: String,
    runs: u32,
    load_sec: f64,
    /// To the first finished token.
    first_token_sec: f64,
    speak_sec: f64,
    audio_sec: f64,
    /// `speak_sec` / `audio_sec`; below 1 is faster than listening.
    real_time_factor: f64,
}

pub(super) fn run(place: &Place, arguments: BenchArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let settings = place.settings(model_flags(arguments.model, arguments.device))?;
    let started = Instant::now();
    let mut model =
        model::load(&settings.model.name, &settings.tts_engine.device).map_err(CliError::Model)?;
    let load_sec = started.elapsed().as_secs_f64();
    measure(model.as_mut(), &arguments.text)?;
    let takes = (0..arguments.runs).map(|_| measure(model.as_mut(), &arguments.text));
    let takes = takes.collect::<Result<Vec<_>, _>>()?;
    let (speak_sec, audio_sec) =
        (median(takes.iter().map(|take| take.speak)), median(takes.iter().map(|take| take.audio)));
    let info = model.info();
    let report = Report {
        model: info.name.clone(),
        device: info.device.clone(),
        runs: arguments.runs,
        load_sec,
        first_token_sec: median(takes.iter().map(|take| take.first_token)),
        speak_sec,
        audio_sec,
        real_time_factor: speak_sec / audio_sec.max(f64::MIN_POSITIVE),
    };
    if arguments.json {
        say_line(&serde_json::to_string_pretty(&report).unwrap_or_default());
        return Ok(());
    }
    say_line(&format!("{} on {}, median of {}", report.model, report.device, report.runs));
    say_line(&format!("load              {:9.3} s", report.load_sec));
    say_line(&format!("first token       {:9.3} s", report.first_token_sec));
    say_line(&format!("speaking          {:9.3} s for {:.2} s of audio", report.speak_sec, report.audio_sec));
    say_line(&format!("real-time factor  {:9.4}", report.real_time_factor));
    Ok(())
}

/// One take, in seconds.
struct Take {
    first_token: f64,
    speak: f64,
    audio: f64,
}

fn measure(model: &mut dyn SpeechModel, text: &str) -> Result<Take, CliError> {
    let (voice, sample_rate) = (model.info().default_voice.clone(), model.info().sample_rate);
    let chunk = ChunkRequest { text: text.to_owned(), voice, sampling: Sampling::default(), seed: 1 };
    let started = Instant::now();
    let mut first_token = None;
    let samples = model
        .speak(&chunk, &Cancel::default(), &mut |_share| {
            first_token.get_or_insert_with(|| started.elapsed());
        })
        .map_err(CliError::Model)?;
    let speak = started.elapsed();
    Ok(Take {
        first_token: first_token.unwrap_or(speak).as_secs_f64(),
        speak: speak.as_secs_f64(),
        audio: samples.len() as f64 / f64::from(sample_rate.max(1)),
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_middles() {
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(close(median([3.0, 1.0, 2.0].into_iter()), 2.0));
        assert!(close(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5));
    }
}
