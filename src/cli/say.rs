//! `declaim say`: text into a file, on this machine, without a server or a queue.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::place::Place;
use super::serve::{library, model_flags};
use super::signals::cancel_on_signal;
use super::{CliError, tell};
use crate::speech::catalog::Catalog;
use crate::speech::direct::{self, SpeakError};
use crate::speech::model::ModelError;
use crate::speech::request::{self, Draft};
use crate::speech::{AudioFormat, Cancel};

#[derive(Debug, clap::Args)]
pub(super) struct SayArgs {
    /// What to say; - reads it from standard input
    text: String,
    /// File to write, - for standard output; its extension chooses the format
    #[arg(short, long, value_name = "FILE", default_value = "speech.wav")]
    output: PathBuf,
    /// Voice, by id or name; `declaim voices` lists them
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Model to speak with [default: the configured one]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Device to run it on [default: the configured one]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// How the CPU keeps the token model's weights: auto, f32, bf16 or int8 [default: the configured one]
    #[arg(long, value_name = "NAME")]
    precision: Option<String>,
    /// Number that repeats a take; 0 draws one
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// Tempo, 0.25 to 4; the pitch stays
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    speed: Option<f64>,
    /// wav, flac, mp3, opus, aac, m4a or pcm [default: what the file's extension says]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Bit rate of mp3, opus, aac and m4a, in kbit/s [default: the configured one]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    bitrate: Option<i64>,
    /// Samples per second, 8000 to 48000 [default: the configured ones]
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    sample_rate: Option<i64>,
    /// Loudness of the whole in LUFS, -40 to -8; 0 leaves it as it is [default: the configured one]
    #[arg(long, value_name = "LUFS", allow_negative_numbers = true)]
    loudness: Option<f64>,
    /// Say the text as it is written, without reading numbers and symbols out
    #[arg(long)]
    no_normalize: bool,
}

pub(super) fn run(place: &Place, arguments: &SayArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let flags = model_flags(arguments.model.clone(), arguments.device.clone(), arguments.precision.clone());
    let settings = place.settings(flags)?;
    let to_stdout = arguments.output == Path::new("-");
    let format = match &arguments.format {
        Some(name) => request::format(name)?,
        None if to_stdout => settings.audio_output.format,
        None => request::format(&format_name(&arguments.output)?)?,
    };
    let catalog =
        Catalog::installed(&settings, &place.models(&settings)?, library(&settings, &place.data_dir()?));
    let info = catalog.default_model().map_err(CliError::NoModel)?;
    let draft = Draft { format: Some(format.name().to_owned()), ..draft(arguments)? };
    let request = draft.check(&settings, &catalog)?;
    let mut model = catalog.load(&info.name).map_err(CliError::Model)?;

    let scratch = Scratch::new()?;
    let spoken_to = scratch.0.join("speech");
    let out = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&spoken_to)
        .map_err(|source| CliError::File { doing: "create", path: spoken_to.clone(), source })?;
    let cancel = Cancel::default();
    cancel_on_signal(cancel.clone());
    let bar = progress_bar();
    let started = Instant::now();
    let spoken = direct::speak(model.as_mut(), &info, &request, &scratch.0, out, &cancel, &mut |progress| {
        bar.set_position((progress.share * 1000.0) as u64);
        if progress.total_chunks > 1 {
            bar.set_message(format!("chunk {} of {}", progress.chunk, progress.total_chunks));
        }
    });
    bar.finish_and_clear();
    let spoken = spoken.map_err(|error| match error {
        SpeakError::Model(ModelError::Cancelled) => CliError::Interrupted,
        other => CliError::Speak(other),
    })?;
    let elapsed = started.elapsed().as_secs_f64();
    deliver(&spoken_to, &arguments.output, to_stdout)?;

    let seconds = spoken.duration_ms as f64 / 1000.0;
    let target =
        if to_stdout { "standard output".to_owned() } else { arguments.output.display().to_string() };
    tell(&format!(
        "{target}: {seconds:.2} s of audio in {elapsed:.2} s, real-time factor {:.3} (model {}, voice {}, seed {})",
        elapsed / seconds.max(0.001),
        info.name,
        request.voice,
        request.seed,
    ));
    Ok(())
}

fn draft(arguments: &SayArgs) -> Result<Draft, CliError> {
    let text = if arguments.text == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|source| CliError::File {
            doing: "read",
            path: PathBuf::from("standard input"),
            source,
        })?;
        text
    } else {
        arguments.text.clone()
    };
    Ok(Draft {
        text,
        voice: arguments.voice.clone(),
        seed: arguments.seed,
        speed: arguments.speed,
        normalize: arguments.no_normalize.then_some(false),
        bitrate_kbps: arguments.bitrate,
        sample_rate: arguments.sample_rate,
        loudness_lufs: arguments.loudness,
        ..Draft::default()
    })
}

/// The extension of a file, where it is that of a format.
pub(super) fn format_name(path: &Path) -> Result<String, CliError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let known = extension.parse::<AudioFormat>();
    known.map(|_| extension.to_owned()).map_err(|_unknown| CliError::Extension { found: path.to_owned() })
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}") {
        bar.set_style(style);
    }
    bar
}

/// The finished speech to where it was wanted; a file that was there before stays whole until the new one is.
pub(super) fn deliver(from: &Path, to: &Path, to_stdout: bool) -> Result<(), CliError> {
    let failed = |source| CliError::File { doing: "write", path: to.to_owned(), source };
    if to_stdout {
        let mut speech = File::open(from).map_err(failed)?;
        io::copy(&mut speech, &mut io::stdout().lock()).map_err(failed)?;
        return Ok(());
    }
    let mut aside = to.as_os_str().to_owned();
    aside.push(".part");
    // Another disk than that of the temporary files is usual, so it is copied, then renamed.
    let moved = fs::copy(from, &aside).and_then(|_bytes| fs::rename(&aside, to));
    moved.map_err(|source| {
        // Nothing was there before; nothing to keep.
        let _ = fs::remove_file(&aside);
        failed(source)
    })
}

/// A folder for the chunks, removed with everything in it at the end.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, CliError> {
        let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
        let path = std::env::temp_dir().join(format!("declaim-say-{}-{nanos}", std::process::id()));
        let created = fs::create_dir(&path);
        created.map_err(|source| CliError::File { doing: "create", path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
