//! `declaim models`: what can be installed, what is, and the way between.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::place::Place;
use super::signals::cancel_on_signal;
use super::{CliError, say_line, tell};
use crate::config::Settings;
use crate::models::{Listed, Manifest, Models, ModelsError, Phase, Progress, Pulled, State, in_words};
use crate::speech::Cancel;
use crate::speech::chatterbox::{Placement, Prospect, Surroundings, machine, prospect};
use crate::speech::engine::EngineSettings;

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// Every model: its size, whether it is installed, what it is for.
    List {
        /// As a JSON list, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Download models from the Hugging Face hub; goes on where an earlier try ended.
    Pull {
        /// Models by name; `declaim models list` shows them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Look at every byte of an installed model too, and fetch what is damaged or outdated
        #[arg(long)]
        refresh: bool,
    },
    /// Take a model's files from a folder, for machines without a network. The folder stays as it is.
    Import {
        /// Model that the files are
        name: String,
        /// Folder that holds them under the names they were published by
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Remove a model, and what was begun of it.
    Remove {
        /// Models by name
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Read every byte of installed models and compare it with what was published.
    Verify {
        /// Models by name [default: all that are installed]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(super) fn run(place: &Place, arguments: &ModelsArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let settings = place.settings(Vec::new())?;
    let models = place.models(&settings)?;
    match &arguments.command {
        ModelsCommand::List { json } => list(&models, &settings, *json),
        ModelsCommand::Pull { names, refresh } => pull(&models, names, *refresh)?,
        ModelsCommand::Import { name, folder } => {
            let mut meter = Meter::new(stop_signal());
            let imported = models.import(name, folder, &mut |progress| meter.show(progress));
            drop(meter);
            tell_installed(&models, &imported?);
        }
        ModelsCommand::Remove { names } => {
            for name in names {
                let freed = models.remove(name)?;
                say_line(&format!("{name}: removed, {} freed", in_words(freed)));
            }
        }
        ModelsCommand::Verify { names } => verify(&models, names)?,
    }
    Ok(())
}

/// A model, and what to expect of it here.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    listed: &'a Listed,
    #[serde(flatten)]
    prospect: Option<Prospect>,
}

fn list(models: &Models, settings: &Settings, json: bool) {
    let listed = models.list();
    let placement = Placement::from(settings);
    let budget = EngineSettings { memory_bytes: settings.model.memory_bytes, unload_after: None }.budget(0);
    let here = Surroundings { placement: &placement, budget_bytes: budget, machine: machine(true) };
    let rows: Vec<Row<'_>> = listed
        .iter()
        .map(|listed| Row { prospect: prospect(listed.architecture, &here, None), listed })
        .collect();
    if json {
        return say_line(&serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    let width = listed.iter().map(|model| model.name.len()).max().unwrap_or_default();
    let line = |[name, size, state, memory, speed, purpose]: [&str; 6]| {
        say_line(&format!("{name:width$}  {size:>8}  {state:14}  {memory:>8}  {speed:>6}  {purpose}"));
    };
    line(["name", "size", "state", "memory", "speed", "purpose"]);
    for Row { listed: model, prospect } in &rows {
        let memory = prospect.map_or_else(|| "-".to_owned(), |prospect| in_words(prospect.memory_bytes));
        let speed = prospect.and_then(|prospect| prospect.real_time_factor);
        let speed = speed.map_or_else(|| "-".to_owned(), |factor| format!("{:.1}x", 1.0 / factor));
        line([&model.name, &size(model), &state(model), &memory, &speed, &model.purpose]);
    }
    say_line("\nmemory: while it is loaded; speed: seconds of speech in a second on this machine, about");
    for Row { listed: model, prospect } in &rows {
        if prospect.is_some_and(|prospect| !prospect.fits_memory) {
            say_line(&format!(
                "{} needs more memory than models may take here ({})",
                model.name,
                in_words(budget)
            ));
        }
    }
    for model in &listed {
        if let State::Damaged { problem } = &model.state {
            say_line(&format!("\n{} is incomplete: {problem}", model.name));
        }
    }
    if listed.iter().all(|model| model.state == State::Missing) {
        say_line("\nNone is installed, so the built-in pico speaks. To download one:");
        say_line("  declaim models pull nano       for the CPU");
        say_line("  declaim models pull turbo      for a GPU");
    }
}

fn size(model: &Listed) -> String {
    model.size_bytes.map_or_else(|| "?".to_owned(), in_words)
}

fn state(model: &Listed) -> String {
    match &model.state {
        State::Missing => "-".to_owned(),
        State::Installed => "installed".to_owned(),
        State::Damaged { .. } => "incomplete".to_owned(),
        State::Partial { partial_bytes } => match model.size_bytes {
            Some(size) if size > 0 => format!("{} % here", (partial_bytes * 100 / size).min(99)),
            _ => format!("{} here", in_words(*partial_bytes)),
        },
    }
}

fn pull(models: &Models, names: &[String], refresh: bool) -> Result<(), CliError> {
    // All names first: a slip in the second must not be found after gigabytes of the first.
    for name in names {
        models.registry().find(name)?;
    }
    let stop = stop_signal();
    for name in names {
        let mut meter = Meter::new(stop.clone());
        let pulled = models.pull(name, refresh, &mut |progress| meter.show(progress));
        drop(meter);
        if matches!(pulled, Err(ModelsError::Cancelled)) {
            tell("what was downloaded is kept; the next pull goes on from there");
        }
        match pulled? {
            Pulled::Installed(manifest) => tell_installed(models, &manifest),
            Pulled::Already(manifest) => {
                say_line(&format!("{}: already installed; --refresh checks every byte", manifest.name));
            }
        }
    }
    Ok(())
}

fn tell_installed(models: &Models, manifest: &Manifest) {
    let folder = models.store().folder(&manifest.name);
    say_line(&format!("{}: installed, {} in {}", manifest.name, in_words(manifest.size()), folder.display()));
}

fn verify(models: &Models, names: &[String]) -> Result<(), CliError> {
    let installed = || models.list().into_iter().filter(|model| model.state != State::Missing);
    let names = if names.is_empty() {
        installed()
            .filter(|model| !matches!(model.state, State::Partial { .. }))
            .map(|model| model.name)
            .collect()
    } else {
        names.to_vec()
    };
    if names.is_empty() {
        say_line("None is installed.");
    }
    let stop = stop_signal();
    let mut first_problem = None;
    for name in names {
        let mut meter = Meter::new(stop.clone());
        let damages = models.verify(&name, &mut |progress| meter.show(progress));
        drop(meter);
        let damages = damages?;
        for damage in &damages {
            say_line(&format!("{name}: {} {}", damage.file, damage.problem));
        }
        match damages.len() {
            0 => say_line(&format!("{name}: every byte is as it should be")),
            count => {
                let problems = format!("{count} of its files");
                first_problem.get_or_insert(CliError::DamagedModel { model: name, problems });
            }
        }
    }
    first_problem.map_or(Ok(()), Err)
}

/// Set at the first Ctrl-C.
fn stop_signal() -> Cancel {
    let stop = Cancel::default();
    cancel_on_signal(stop.clone());
    stop
}

/// Shows progress: a bar on a terminal, a line now and then elsewhere. Tells to stop when that is wanted.
struct Meter {
    stop: Cancel,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Meter {
    fn new(stop: Cancel) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1000);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} % {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { stop, bar, last_line: Instant::now() }
    }

    fn show(&mut self, progress: &Progress) -> ControlFlow<()> {
        match &self.bar {
            Some(bar) => {
                bar.set_position((progress.share() * 1000.0) as u64);
                bar.set_message(sentence(progress));
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                tell(&format!("{:.0} %, {}", progress.share() * 100.0, sentence(progress)));
            }
            None => {}
        }
        if self.stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `1.2 of 3.0 GB, 2 of 8 files, 42 MB/s, 43 s left`
fn sentence(progress: &Progress) -> String {
    if let Some(waiting) = &progress.waiting {
        return waiting.clone();
    }
    let mut parts = vec![match progress.phase {
        Phase::Resolving => return "asking the hub".to_owned(),
        Phase::Publishing => return "putting it in place".to_owned(),
        Phase::Checking | Phase::Downloading => {
            format!("{} of {}", in_words(progress.bytes_done), in_words(progress.bytes_total))
        }
    }];
    if progress.phase == Phase::Checking {
        parts.push("checking what is here".to_owned());
    }
    parts.push(format!("{} of {} files", progress.files_done, progress.files_total));
    parts.extend(progress.bytes_per_second.map(|speed| format!("{}/s", in_words(speed as u64))));
    parts.extend(progress.seconds_left.map(|seconds| format!("{} left", duration_in_words(seconds))));
    parts.join(", ")
}

fn duration_in_words(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5400 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_as_a_sentence() {
        let progress = Progress {
            phase: Phase::Downloading,
            bytes_done: 1_200_000_000,
            bytes_total: 2_990_000_000,
            files_done: 2,
            files_total: 8,
            bytes_per_second: Some(42e6),
            seconds_left: Some(42.6),
            ..Progress::default()
        };
        assert_eq!(sentence(&progress), "1.20 GB of 2.99 GB, 2 of 8 files, 42 MB/s, 43 s left");
        let waiting = Progress { waiting: Some("the hub is busy".to_owned()), ..progress };
        assert_eq!(sentence(&waiting), "the hub is busy");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (seconds, words) in [(0.2, "1 s"), (89.0, "89 s"), (91.0, "2 min"), (7321.0, "2 h 2 min")] {
            assert_eq!(duration_in_words(seconds), words);
        }
    }
}
