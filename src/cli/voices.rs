//! `declaim voices`: what a model can sound like.

use super::place::Place;
use super::serve::model_flags;
use super::{CliError, say_line};
use crate::speech::model;
use crate::speech::request::default_voice;

#[derive(Debug, clap::Args)]
pub(super) struct VoicesArgs {
    /// Model whose voices to list [default: the configured one]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// As a JSON list, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, arguments: VoicesArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    // The processor is there at once; a graphics device would be set up for nothing.
    let settings = place.settings(model_flags(arguments.model, Some("cpu".to_owned())))?;
    let model = model::load(&settings.model.name, &settings.tts_engine.device).map_err(CliError::Model)?;
    let info = model.info();
    if arguments.json {
        say_line(&serde_json::to_string_pretty(&info.voices).unwrap_or_default());
        return Ok(());
    }
    let default = default_voice(&settings, info);
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
    say_line("\n* speaks when a request names no voice");
    Ok(())
}
