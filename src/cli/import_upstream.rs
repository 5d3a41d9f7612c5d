//! `declaim import-upstream`: brings over a folder of Chatterbox-TTS-Server, that is its settings, its voices and the clips
//! that people gave it. The folder is only read, and running it twice adds nothing twice.

use std::fs;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::serve::library;
use super::{CliError, say_line};
use crate::config::upstream::{Translated, translate};
use crate::files;
use crate::speech::catalog::Catalog;
use crate::voices::{Library, Upload};

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The folder of Chatterbox-TTS-Server, with config.yaml, voices and reference_audio
    folder: PathBuf,
}

/// The folders of clips.
const CLIPS: [&str; 2] = ["voices", "reference_audio"];

pub(super) fn run(place: &Place, arguments: &ImportArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let folder = &arguments.folder;
    let clips: Vec<PathBuf> =
        CLIPS.iter().map(|name| folder.join(name)).filter(|path| path.is_dir()).collect();
    let config = folder.join("config.yaml");
    if clips.is_empty() && !config.is_file() {
        return Err(CliError::Usage(format!(
            "{} has neither config.yaml nor voices nor reference_audio",
            folder.display()
        )));
    }
    let data_dir = place.data_dir()?;
    fs::create_dir_all(&data_dir).map_err(cannot("create", &data_dir))?;
    if config.is_file() {
        settings(&config, &data_dir)?;
    }
    // After the settings, which say how long a clip may be.
    let settings = place.settings(Vec::new())?;
    let models = place.models(&settings)?;
    let catalog = Catalog::installed(&settings, &models, library(&settings, &data_dir));
    for folder in clips {
        add_clips(&folder, catalog.library(), &catalog.own_voice_ids())?;
    }
    Ok(())
}

/// Writes config.yaml, or says what could go into the one that is there.
fn settings(theirs: &Path, data_dir: &Path) -> Result<(), CliError> {
    let text = fs::read_to_string(theirs).map_err(cannot("read", theirs))?;
    let translated: Translated = translate(&theirs.display().to_string(), &text)?;
    let ours = data_dir.join("config.yaml");
    if ours.exists() {
        say_line(&format!("{} is there already and stays; theirs would be:", ours.display()));
        say_line(&translated.to_yaml());
    } else {
        files::write_bytes(data_dir, "config.yaml", translated.to_yaml().as_bytes())
            .map_err(CliError::Write)?;
        say_line(&format!("settings: {} written to {}", translated.settings.len(), ours.display()));
    }
    for left_out in &translated.left_out {
        say_line(&format!("left out: {left_out}"));
    }
    if let Some(model) = translated.model {
        say_line(&format!("it spoke with {model}; `declaim models pull {model}` brings that model"));
    }
    Ok(())
}

fn add_clips(folder: &Path, library: &Library, taken: &[String]) -> Result<(), CliError> {
    let paths = files::entries(folder).map_err(CliError::Write)?;
    let mut added = 0;
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).map_err(cannot("read", &path))?;
        match library.add(Upload { bytes, file_name: Some(name.clone()), ..Upload::default() }, taken) {
            Ok(voice) => added += usize::from(voice.is_new),
            Err(error) => say_line(&format!("left out: {name}: {error}")),
        }
    }
    say_line(&format!("voices: {added} added from {}", folder.display()));
    Ok(())
}

fn cannot(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { doing, path, source }
}
