//! `declaim convert`: a recording said again in another voice, on this machine, without a server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::place::Place;
use super::say::{Scratch, deliver, format_name, progress_bar};
use super::serve::{library, model_flags};
use super::signals::cancel_on_signal;
use super::{CliError, tell};
use crate::speech::Cancel;
use crate::speech::catalog::Catalog;
use crate::speech::conversion::{Wish, heard, write};
use crate::speech::model::ModelError;

/// Larger files are none that the decoder takes.
const LARGEST: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct ConvertArgs {
    /// Recording of somebody who speaks: wav, mp3, flac, ogg, opus, m4a or webm, at most ten minutes
    file: PathBuf,
    /// Voice that is to say it, by id or name; `declaim voices` lists them
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// File to write, - for standard output; its extension chooses the format
    #[arg(short, long, value_name = "FILE", default_value = "converted.wav")]
    output: PathBuf,
    /// Model to convert with [default: the configured one]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Device to run it on [default: the configured one]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Number that repeats a take; 0 draws one
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// Format of the result [default: what the file's extension says]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
}

pub(super) fn run(place: &Place, arguments: &ConvertArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let settings = place.settings(model_flags(arguments.model.clone(), arguments.device.clone(), None))?;
    let to_stdout = arguments.output == Path::new("-");
    let format = match &arguments.format {
        None if to_stdout => None,
        None => Some(format_name(&arguments.output)?),
        Some(name) => Some(name.clone()),
    };
    let catalog =
        Catalog::installed(&settings, &place.models(&settings)?, library(&settings, &place.data_dir()?));
    let info = catalog.default_model().map_err(CliError::NoModel)?;
    let wish = Wish { model: None, voice: arguments.voice.clone(), format, seed: arguments.seed };
    let request = wish.check(&settings, &catalog)?;
    let unreadable = |source| CliError::File { doing: "read", path: arguments.file.clone(), source };
    if fs::metadata(&arguments.file).map_err(unreadable)?.len() > LARGEST {
        return Err(CliError::Usage(format!(
            "{} is larger than {} MB",
            arguments.file.display(),
            LARGEST >> 20
        )));
    }
    let recording = heard(fs::read(&arguments.file).map_err(unreadable)?, &request)?;
    let mut model = catalog.load(&info.name).map_err(CliError::Model)?;

    let cancel = Cancel::default();
    cancel_on_signal(cancel.clone());
    let bar = progress_bar();
    let started = Instant::now();
    let converted =
        model.convert(&recording, &cancel, &mut |share| bar.set_position((share * 1000.0) as u64));
    bar.finish_and_clear();
    let samples = converted.map_err(|error| match error {
        ModelError::Cancelled => CliError::Interrupted,
        other => CliError::Convert(other),
    })?;
    let elapsed = started.elapsed().as_secs_f64();

    let scratch = Scratch::new()?;
    let written_to = scratch.0.join("converted");
    let unwritable = |source| CliError::File { doing: "write", path: written_to.clone(), source };
    let out = File::create(&written_to).map_err(unwritable)?;
    let duration_ms = write(&samples, info.sample_rate, &request, out).map_err(unwritable)?;
    deliver(&written_to, &arguments.output, to_stdout)?;
    let seconds = duration_ms as f64 / 1000.0;
    tell(&format!(
        "{}: {seconds:.2} s of audio in {elapsed:.2} s (model {}, voice {}, seed {})",
        arguments.output.display(),
        info.name,
        request.voice,
        request.seed,
    ));
    Ok(())
}
