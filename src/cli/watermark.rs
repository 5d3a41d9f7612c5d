//! `declaim watermark`: whether a recording carries the mark that the Chatterbox models leave in what they speak.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::place::Place;
use super::{CliError, say_line};
use crate::speech::chatterbox::{Detection, detect};

/// Larger files are none that the decoder takes.
const LARGEST: u64 = 64 << 20;
/// Of a recording without the mark, so that scripts can tell it from a failure.
const NOT_MARKED: u8 = 3;

#[derive(Debug, clap::Args)]
pub(super) struct WatermarkArgs {
    #[command(subcommand)]
    command: WatermarkCommand,
}

#[derive(Debug, Subcommand)]
enum WatermarkCommand {
    /// Listen for the watermark in a recording: wav, mp3, flac, ogg, opus, m4a or webm, at most ten minutes.
    ///
    /// Exit codes: 0 it is there, 3 it is not, 1 the file or the watermark's networks cannot be used.
    Detect {
        file: PathBuf,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(place: &Place, arguments: &WatermarkArgs) -> Result<ExitCode, CliError> {
    place.start_log("warn")?;
    let WatermarkCommand::Detect { file, json } = &arguments.command;
    let failed = |source| CliError::File { doing: "read", path: file.clone(), source };
    if fs::metadata(file).map_err(failed)?.len() > LARGEST {
        return Err(CliError::Usage(format!("{} is larger than {} MB", file.display(), LARGEST >> 20)));
    }
    let bytes = fs::read(file).map_err(failed)?;
    let found = detect(&place.models(&place.settings(Vec::new())?)?, bytes)?;
    let Detection { confidence, at, length } = found;
    if *json {
        let found = json!({
            "file": file,
            "marked": found.is_marked(),
            "confidence": confidence,
            "at_sec": at.as_secs_f64(),
            "duration_sec": length.as_secs_f64(),
        });
        say_line(&found.to_string());
    } else {
        say_line(&format!("{}: {} (confidence {confidence:.3})", file.display(), in_words(confidence)));
    }
    Ok(if found.is_marked() { ExitCode::SUCCESS } else { ExitCode::from(NOT_MARKED) })
}

fn in_words(confidence: f32) -> &'static str {
    match confidence {
        0.9.. => "the watermark is there",
        0.5..0.9 => "the watermark is probably there, weakened",
        0.1..0.5 => "there is probably no watermark",
        _ => "there is no watermark",
    }
}
