//! The command line: one file per command, one enum for everything that can go wrong, and the exit codes.
//!
//! A failure is one sentence, a hint where there is one, and a code: 0 done, 1 failed, 2 wrong use or configuration,
//! 130 interrupted.

mod backup;
mod bench;
mod compare;
mod convert;
mod doctor;
mod error;
mod import_upstream;
mod jobs;
mod keys;
mod mcp;
mod models;
mod place;
mod queue;
mod say;
mod serve;
mod signals;
mod source;
mod voices;
mod watermark;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use error::CliError;
use place::Place;
use serve::ServeArgs;

use crate::speech::chatterbox::keep_tuning_in;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 130 interrupted.
Settings can also stand in DATA/config.yaml or in the environment, as DECLAIM_SERVER__PORT=9000.";

/// A self-hosted speech server: text in, speech out.
///
/// Without a command it serves: open <http://127.0.0.1:8004> in a browser, or send text to /tts with curl.
#[derive(Debug, Parser)]
#[command(name = "declaim", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what declaim does without a command).
    #[command(after_help = EXIT_CODES)]
    Serve(ServeArgs),
    /// Speak a text into a file, without a server.
    Say(say::SayArgs),
    /// Say a recording again in another voice, without a server.
    Convert(convert::ConvertArgs),
    /// List the voices, add clips to speak with, check, rename and remove them.
    Voices(voices::VoicesArgs),
    /// List, download, import, check and remove models.
    Models(models::ModelsArgs),
    /// List, show and cancel jobs.
    Jobs(jobs::JobsArgs),
    /// Pause, resume and drain the queue.
    Queue(queue::QueueArgs),
    /// Copy the job database into a file while the server runs, and check the copy.
    Backup(backup::BackupArgs),
    /// Make, list and revoke the keys that a server asks for.
    Keys(keys::KeysArgs),
    /// Find the watermark in a recording.
    Watermark(watermark::WatermarkArgs),
    /// Check devices, data directory, disk, database, files, model and port; exits with 1 if something is wrong.
    Doctor(doctor::DoctorArgs),
    /// Bring over the settings, voices and clips of Chatterbox-TTS-Server.
    ImportUpstream(import_upstream::ImportArgs),
    /// Offer a running server's tools to an assistant, by the Model Context Protocol on standard input and output.
    Mcp(mcp::McpArgs),
    /// Measure how fast a model speaks on this machine.
    Bench(bench::BenchArgs),
}

/// Parses the arguments of the process and runs the command.
pub fn run() -> ExitCode {
    let Cli { place, serve: top_level, command } = Cli::parse();
    if command.is_some() && top_level != ServeArgs::default() {
        let message =
            "--host, --port, --model and --device go after the command, as in `declaim serve --port 9000`";
        Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message).exit();
    }
    if let Ok(data_dir) = place.data_dir() {
        keep_tuning_in(&data_dir.join("tuning"));
    }
    let done = match command {
        None => serve::run(&place, top_level),
        Some(Command::Serve(arguments)) => serve::run(&place, arguments),
        Some(Command::Say(arguments)) => say::run(&place, &arguments),
        Some(Command::Convert(arguments)) => convert::run(&place, &arguments),
        Some(Command::Voices(arguments)) => voices::run(&place, arguments),
        Some(Command::Models(arguments)) => models::run(&place, &arguments),
        Some(Command::Jobs(arguments)) => jobs::run(&place, arguments),
        Some(Command::Queue(arguments)) => queue::run(&place, arguments),
        Some(Command::Backup(arguments)) => backup::run(&place, &arguments),
        Some(Command::Keys(arguments)) => keys::run(&place, arguments),
        Some(Command::Watermark(arguments)) => match watermark::run(&place, &arguments) {
            Ok(found) => return found,
            Err(error) => Err(error),
        },
        Some(Command::Doctor(arguments)) => doctor::run(&place, &arguments),
        Some(Command::ImportUpstream(arguments)) => import_upstream::run(&place, &arguments),
        Some(Command::Mcp(arguments)) => mcp::run(&arguments),
        Some(Command::Bench(arguments)) => bench::run(&place, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {}", crate::jobs::with_causes(&error)));
            if let Some(hint) = error.hint() {
                tell(&format!("hint: {hint}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// A line for scripts and people, on standard output. A reader that went away is no error.
fn say_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A line for people only, on standard error, so that output can be piped.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_no_command_means() {
        let cli = Cli::try_parse_from(["declaim", "--port", "9", "--data", "/x"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.serve.port, Some(9));
    }

    #[test]
    fn the_data_directory_may_stand_before_or_after_the_command() {
        for arguments in [["declaim", "--data", "/x", "voices"], ["declaim", "voices", "--data", "/x"]] {
            let cli = Cli::try_parse_from(arguments).unwrap();
            assert_eq!(cli.place.data_dir().unwrap(), std::path::Path::new("/x"));
        }
    }
}
