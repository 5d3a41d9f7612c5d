//! `declaim queue`: pause, resume and drain, and how the queue is doing. Asks a server with `--server`, else writes to the
//! table of the data directory, which a running server heeds at once.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::Value;

use super::place::Place;
use super::source::{Source, Whose};
use super::{CliError, say_line, tell};
use crate::http::queue_shown;

/// Between two looks at a queue that is drained.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct QueueArgs {
    #[command(flatten)]
    whose: Whose,
    /// As JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// What the queue does, and what waits in it.
    Status,
    /// Take jobs and keep them; what is spoken gives way at its next chunk edge, unless it is of high priority.
    Pause,
    /// End a pause or a drain.
    Resume,
    /// Take no more jobs and wait until none is left, before an upgrade; then stop the server. Its next start takes jobs
    /// again.
    #[command(after_help = "\
Exit codes: 0 nothing is left, 1 jobs are left after --within (they are kept; stop the server, and its next start goes on
with them). `declaim queue resume` takes it back.")]
    Drain {
        /// Seconds to wait at most
        #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
        within: u64,
    },
}

pub(super) fn run(place: &Place, arguments: QueueArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let QueueArgs { whose, json, command } = arguments;
    let source = Source::open(place, whose)?;
    match command {
        QueueCommand::Status => show(&queue(&source)?, json),
        QueueCommand::Pause => show(&set(&source, Wish::Pause)?, json),
        QueueCommand::Resume => show(&set(&source, Wish::Resume)?, json),
        QueueCommand::Drain { within } => {
            if let Source::Data { .. } = source {
                must_run(&place.data_dir()?)?;
            }
            drain(&source, Duration::from_secs(within), json)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Wish {
    Pause,
    Resume,
    Drain,
}

impl Wish {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
        }
    }
}

fn queue(source: &Source) -> Result<Value, CliError> {
    match source {
        Source::Server(server) => server.get("/api/queue"),
        Source::Data { jobs, runtime } => Ok(queue_shown(&runtime.block_on(jobs.queue())?)),
    }
}

fn set(source: &Source, wish: Wish) -> Result<Value, CliError> {
    match source {
        Source::Server(server) => server.post(&format!("/api/queue/{}", wish.as_str())),
        Source::Data { jobs, runtime } => {
            runtime.block_on(async {
                match wish {
                    Wish::Pause => jobs.pause().await,
                    Wish::Resume => jobs.resume().await,
                    Wish::Drain => jobs.drain().await,
                }
            })?;
            queue(source)
        }
    }
}

/// Until nothing is left, a line for each change.
fn drain(source: &Source, within: Duration, json: bool) -> Result<(), CliError> {
    let begun = Instant::now();
    let mut now = set(source, Wish::Drain)?;
    let mut shown = u64::MAX;
    loop {
        let left = ["queued", "running"].iter().filter_map(|key| now[*key].as_u64()).sum::<u64>();
        if left == 0 {
            show(&now, json);
            return Ok(());
        }
        if now["state"] != "draining" {
            return Err(CliError::NotDraining {
                state: now["state"].as_str().unwrap_or_default().to_owned(),
            });
        }
        if begun.elapsed() >= within {
            return Err(CliError::NotDrained { left });
        }
        if left != shown {
            tell(&format!("{left} jobs are left"));
            shown = left;
        }
        std::thread::sleep(PAUSE.min(within.saturating_sub(begun.elapsed())));
        now = queue(source)?;
    }
}

/// Without a server, nothing would ever be spoken.
fn must_run(data_dir: &Path) -> Result<(), CliError> {
    let lock = File::open(data_dir.join("lock")).ok();
    match lock.as_ref().map(File::try_lock) {
        Some(Err(TryLockError::WouldBlock)) => Ok(()),
        Some(Ok(()) | Err(TryLockError::Error(_))) | None => Err(CliError::NotRunning(data_dir.to_owned())),
    }
}

fn show(queue: &Value, json: bool) {
    if json {
        return say_line(&serde_json::to_string_pretty(queue).unwrap_or_default());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say_line(&format!("{}: {} queued, {} running", text(&queue["state"]), queue["queued"], queue["running"]));
    for (priority, counts) in queue["by_priority"].as_object().into_iter().flatten() {
        say_line(&format!("  {priority:6} {} queued, {} running", counts["queued"], counts["running"]));
    }
    if let Some(wait) = queue["longest_wait_sec"].as_f64() {
        say_line(&format!("  the longest wait is {wait:.0} s so far"));
    }
}
