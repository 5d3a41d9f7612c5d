//! Where data and settings come from, and how much is logged: the flags that every command shares.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use serde_json::Value;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::CliError;
use crate::config::saved::SAVED;
use crate::config::{self, Settings, Sources};
use crate::models::{HubSettings, Models};

#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Directory for jobs, audio and config.yaml [default: this platform's data directory, as ~/.local/share/declaim]
    #[arg(long, global = true, env = "DECLAIM_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Settings file [default: DATA/config.yaml, if there is one]
    #[arg(long, global = true, env = "DECLAIM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or pairs such as declaim=debug
    #[arg(long, global = true, env = "DECLAIM_LOG", value_name = "LEVEL")]
    log: Option<String>,
    /// How log lines are written: text, or json, an object in each line, for programs that gather logs
    #[arg(long, global = true, env = "DECLAIM_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Place {
    pub(super) fn data_dir(&self) -> Result<PathBuf, CliError> {
        if let Some(folder) = &self.data {
            return Ok(folder.clone());
        }
        let platform = etcetera::base_strategy::choose_native_strategy().map_err(CliError::NoHome)?;
        Ok(platform.data_dir().join("declaim"))
    }

    /// The settings with these flags on top. Keys that nobody reads are warned about.
    pub(super) fn settings(&self, flags: Vec<(&'static str, Value)>) -> Result<Settings, CliError> {
        let in_data =
            self.data_dir().ok().map(|folder| folder.join("config.yaml")).filter(|file| file.is_file());
        let file = self.config.clone().or(in_data);
        let saved = self.data_dir().ok().map(|folder| folder.join(SAVED)).filter(|file| file.is_file());
        // A variable that is not Unicode is none of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let (settings, unknown) =
            config::load(&Sources { file: file.as_deref(), saved: saved.as_deref(), environment, flags })?;
        for key in unknown {
            tracing::warn!("{key}");
        }
        Ok(settings)
    }

    /// The models of these settings, in the data directory.
    pub(super) fn models(&self, settings: &Settings) -> Result<Models, CliError> {
        let hub = HubSettings::new(&settings.hub, &|name| std::env::var(name).ok());
        Ok(Models::new(&self.data_dir()?, &settings.models, hub)?)
    }

    /// Logs to standard error: what was asked for, else `usual`.
    pub(super) fn start_log(&self, usual: &str) -> Result<(), CliError> {
        let wanted = self.log.as_deref().filter(|level| !level.trim().is_empty()).unwrap_or(usual);
        let targets: Targets = wanted.parse().map_err(|_unreadable| CliError::LogLevel(wanted.to_owned()))?;
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        let lines = match self.log_format.as_deref().map(str::trim) {
            None | Some("" | "text") => {
                lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
            }
            // The fields of a line beside its message; those of what it happened in, such as the job, in `spans`.
            Some("json") => lines.json().flatten_event(true).with_current_span(false).boxed(),
            Some(other) => return Err(CliError::LogFormat(other.to_owned())),
        };
        tracing_subscriber::registry().with(lines.with_filter(targets)).init();
        Ok(())
    }
}
