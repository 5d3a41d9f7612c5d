//! `declaim voices`: what can be spoken with, and the clips that people add. Works on the data directory, also beside a
//! running server, which sees the change with its next request.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::place::Place;
use super::serve::{library, model_flags};
use super::{CliError, say_line, tell};
use crate::config::Settings;
use crate::jobs::{Jobs, QueueSettings};
use crate::speech::catalog::Catalog;
use crate::speech::request::default_voice;
use crate::voices::clip::{self, ClipError, ClipInfo};
use crate::voices::{Added, LibraryError, Upload};

#[derive(Debug, clap::Args)]
pub(super) struct VoicesArgs {
    #[command(flatten)]
    list: ListArgs,
    #[command(subcommand)]
    command: Option<VoicesCommand>,
}

#[derive(Debug, Default, PartialEq, clap::Args)]
struct ListArgs {
    /// Model whose voices to list [default: the configured one]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// As a JSON list, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum VoicesCommand {
    /// The voices of a model (what `voices` does without a command).
    List(ListArgs),
    /// Add a clip whose voice models can speak with: wav, mp3, flac, ogg, opus, m4a or webm.
    Add {
        file: PathBuf,
        /// What to call the voice [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        /// Language that is spoken in it [default: en]
        #[arg(long, value_name = "CODE")]
        language: Option<String>,
        /// A note that the speaker agrees, kept with the voice
        #[arg(long, value_name = "NOTE")]
        consent: Option<String>,
    },
    /// Give a voice another name; its id stays.
    Rename { voice: String, name: String },
    /// Remove a voice that was added.
    Remove { voice: String },
    /// Say how well a voice can be learned from a clip, without adding it.
    Check {
        file: PathBuf,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(place: &Place, arguments: VoicesArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let VoicesArgs { list: top_level, command } = arguments;
    if command.is_some() && top_level != ListArgs::default() {
        return Err(CliError::Usage("--model and --json go with `voices list`".to_owned()));
    }
    match command.unwrap_or(VoicesCommand::List(top_level)) {
        VoicesCommand::List(asked) => list(place, asked),
        VoicesCommand::Add { file, name, language, consent } => {
            add(place, &file, Upload { name, language, consent, ..Upload::default() })
        }
        VoicesCommand::Rename { voice, name } => {
            let settings = place.settings(Vec::new())?;
            let renamed = library(&settings, &place.data_dir()?).rename(&voice, &name)?;
            say_line(&format!("{} is called {}", renamed.id, renamed.name));
            Ok(())
        }
        VoicesCommand::Remove { voice } => remove(place, &voice),
        VoicesCommand::Check { file, json } => check(place, &file, json),
    }
}

fn catalog(place: &Place, settings: &Settings) -> Result<Catalog, CliError> {
    let catalog =
        Catalog::installed(settings, &place.models(settings)?, library(settings, &place.data_dir()?));
    // A command that finds the folder read-only still lists what is there.
    if let Err(error) = catalog.library().adopt(&catalog.own_voice_ids()) {
        tracing::warn!(
            error = crate::jobs::with_causes(&error),
            "the folder of voices was not looked through"
        );
    }
    Ok(catalog)
}

fn list(place: &Place, asked: ListArgs) -> Result<(), CliError> {
    let settings = place.settings(model_flags(asked.model, None))?;
    let catalog = catalog(place, &settings)?;
    let info = catalog.default_model()?;
    if asked.json {
        say_line(&serde_json::to_string_pretty(&info.voices).unwrap_or_default());
        return Ok(());
    }
    let default = default_voice(&settings, &info);
    let width = info.voices.iter().map(|voice| voice.id.chars().count()).max().unwrap_or_default();
    for voice in &info.voices {
        let mark = if voice.id == default { "*" } else { " " };
        let about: Vec<&str> = voice.gender.as_deref().into_iter().chain([voice.language.as_str()]).collect();
        say_line(&format!(
            "{mark} {:width$}  {} ({}). {}",
            voice.id,
            voice.name,
            about.join(", "),
            voice.origin
        ));
    }
    for clip in catalog.library().clips().iter() {
        if let Some(why) = info.why_not(clip) {
            say_line(&format!("- {:width$}  {}. {why}", clip.id, clip.name));
        }
    }
    say_line("\n* speaks when a request names no voice");
    Ok(())
}

fn add(place: &Place, file: &Path, upload: Upload) -> Result<(), CliError> {
    let settings = place.settings(Vec::new())?;
    let catalog = catalog(place, &settings)?;
    let bytes = read(file, catalog.library().limits().max_clip_bytes)?;
    let file_name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let upload = Upload { bytes, file_name, ..upload };
    let Added { clip, is_new } = catalog.library().add(upload, &catalog.own_voice_ids())?;
    let done = if is_new { "added" } else { "was there already" };
    say_line(&format!("{} ({}), {:.1} seconds, {done}", clip.id, clip.name, clip.seconds));
    for advice in clip.quality.advice(clip.seconds, &clip::NEEDS) {
        tell(&format!("note: {advice}"));
    }
    if catalog.models_for(&clip).is_empty() {
        tell("note: none of the installed models can speak with it");
    }
    Ok(())
}

fn remove(place: &Place, voice: &str) -> Result<(), CliError> {
    let settings = place.settings(Vec::new())?;
    let data_dir = place.data_dir()?;
    let library = library(&settings, &data_dir);
    let voice = library.find(voice).map_err(LibraryError::from)?.id;
    let jobs = jobs_needing(&settings, &data_dir, &voice)?;
    if jobs > 0 {
        return Err(CliError::VoiceInUse { voice, jobs });
    }
    say_line(&format!("{} removed", library.remove(&voice)?.id));
    Ok(())
}

fn check(place: &Place, file: &Path, json: bool) -> Result<(), CliError> {
    let settings = place.settings(Vec::new())?;
    let limits = library(&settings, &place.data_dir()?).limits();
    let info = clip::inspect(&read(file, limits.max_clip_bytes)?, &limits).map_err(LibraryError::from)?;
    let advice: Vec<String> =
        info.quality.advice(info.seconds, &clip::NEEDS).iter().map(ToString::to_string).collect();
    if json {
        let report = json!({
            "duration_sec": info.seconds,
            "sample_rate": info.sample_rate,
            "format": info.extension,
            "quality": info.quality,
            "advice": advice,
        });
        say_line(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        print_check(&info, &advice);
    }
    Ok(())
}

fn read(file: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let failed = |source| CliError::File { doing: "read", path: file.to_owned(), source };
    if fs::metadata(file).map_err(failed)?.len() > most {
        return Err(LibraryError::Clip(ClipError::TooLarge { most }).into());
    }
    fs::read(file).map_err(failed)
}

/// Unfinished jobs of this data directory that name the voice.
fn jobs_needing(settings: &Settings, data_dir: &Path, voice: &str) -> Result<u64, CliError> {
    if !data_dir.join("declaim.db").is_file() {
        return Ok(0);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    runtime.block_on(async {
        let jobs = Jobs::open(data_dir, QueueSettings::from(settings)).await?;
        let needing = jobs.needing_voice(voice).await;
        jobs.close().await;
        Ok(needing?)
    })
}

fn print_check(info: &ClipInfo, advice: &[String]) {
    let ClipInfo { seconds, sample_rate, extension, quality } = info;
    say_line(&format!("{seconds:.1} seconds of {extension} at {sample_rate} Hz"));
    say_line(&format!("peak             {:6.1} dB", quality.peak_db));
    if let Some(loudness) = quality.loudness_lufs {
        say_line(&format!("loudness         {loudness:6.1} LUFS"));
    }
    if let Some(decibels) = quality.signal_to_noise_db {
        say_line(&format!("speech over noise {decibels:5.1} dB"));
    }
    say_line(&format!("silence          {:6.1} %", quality.silence * 100.0));
    say_line(&format!("overdriven       {:6.2} %", quality.clipped * 100.0));
    say_line(&format!("bandwidth        {:6.1} kHz", quality.bandwidth_hz / 1000.0));
    if advice.is_empty() {
        say_line("A good clip.");
    }
    for sentence in advice {
        say_line(sentence);
    }
}
