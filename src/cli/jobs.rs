//! `declaim jobs`: the queue from outside. Asks a server with `--server`, else reads the data directory itself; both
//! show the same fields, because both are the status that the server would send.

use std::time::Duration;

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::place::Place;
use super::source::{Source, Whose};
use super::{CliError, say_line};
use crate::http::Status;
use crate::jobs::{CancelOutcome, DeleteOutcome, Filter, JobId, JobStatus, RetryOutcome};

/// Longest piece of a text in a list, in characters.
const EXCERPT: usize = 50;

/// Between two looks at a job that is watched.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct JobsArgs {
    #[command(flatten)]
    whose: Whose,
    /// As JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// The newest jobs, newest first.
    List {
        /// How many at most
        #[arg(long, default_value_t = 20, value_name = "NUMBER")]
        limit: u32,
    },
    /// Everything known about one job.
    Show { id: String },
    /// Follow a job to its end.
    Watch { id: String },
    /// Cancel a job that waits or is being spoken.
    Cancel { id: String },
    /// Try a failed job again; chunks that are finished are kept.
    Retry { id: String },
    /// Forget an ended job and its audio.
    Delete { id: String },
}

pub(super) fn run(place: &Place, arguments: JobsArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let JobsArgs { whose, json, command } = arguments;
    let source = Source::open(place, whose)?;
    match command {
        JobsCommand::List { limit } => print_list(&source.list(limit)?, json),
        JobsCommand::Show { id } => print_job(&source.show(&id)?, json),
        JobsCommand::Watch { id } => watch(&source, &id, json)?,
        JobsCommand::Cancel { id } => {
            source.cancel(&id)?;
            say_line(&format!("Job {id} cancelled successfully"));
        }
        JobsCommand::Retry { id } => {
            source.retry(&id)?;
            say_line(&format!("Job {id} is queued again"));
        }
        JobsCommand::Delete { id } => {
            source.delete(&id)?;
            say_line(&format!("Job {id} deleted"));
        }
    }
    Ok(())
}

impl Source {
    fn list(&self, limit: u32) -> Result<Vec<Value>, CliError> {
        match self {
            Self::Server(server) => {
                let answer = server.get(&format!("/api/jobs?limit={limit}"))?;
                Ok(answer["jobs"].as_array().cloned().unwrap_or_default())
            }
            Self::Data { jobs, runtime } => Ok(runtime
                .block_on(jobs.list(&Filter { limit, ..Filter::default() }))?
                .iter()
                .map(|job| Status::listed(job).to_json())
                .collect()),
        }
    }

    fn show(&self, id: &str) -> Result<Value, CliError> {
        match self {
            Self::Server(server) => server.get(&format!("/tts/{id}/status")),
            Self::Data { jobs, runtime } => {
                let job = runtime.block_on(jobs.get(parse(id)?))?;
                job.map(|job| Status::listed(&job).to_json())
                    .ok_or_else(|| CliError::UnknownJob(id.to_owned()))
            }
        }
    }

    fn cancel(&self, id: &str) -> Result<(), CliError> {
        match self {
            Self::Server(server) => server.delete(&format!("/tts/{id}")),
            Self::Data { jobs, runtime } => match runtime.block_on(jobs.cancel(parse(id)?))? {
                CancelOutcome::Cancelled => Ok(()),
                CancelOutcome::AlreadyFinished(status) => {
                    Err(CliError::AlreadyFinished { id: id.to_owned(), status })
                }
                CancelOutcome::Unknown => Err(CliError::UnknownJob(id.to_owned())),
            },
        }
    }

    fn retry(&self, id: &str) -> Result<(), CliError> {
        match self {
            Self::Server(server) => server.post(&format!("/api/jobs/{id}/retry")).map(|_answer| ()),
            Self::Data { jobs, runtime } => match runtime.block_on(jobs.retry(parse(id)?))? {
                RetryOutcome::Queued => Ok(()),
                RetryOutcome::NotFailed(status) => Err(CliError::JobIs {
                    id: id.to_owned(),
                    status,
                    instead: "only failed jobs can be retried",
                }),
                RetryOutcome::Unknown => Err(CliError::UnknownJob(id.to_owned())),
            },
        }
    }

    fn delete(&self, id: &str) -> Result<(), CliError> {
        match self {
            Self::Server(server) => server.delete(&format!("/api/jobs/{id}")),
            Self::Data { jobs, runtime } => match runtime.block_on(jobs.delete(parse(id)?))? {
                DeleteOutcome::Deleted => Ok(()),
                DeleteOutcome::NotEnded(status) => {
                    Err(CliError::JobIs { id: id.to_owned(), status, instead: "cancel it first" })
                }
                DeleteOutcome::Unknown => Err(CliError::UnknownJob(id.to_owned())),
            },
        }
    }
}

/// Until its status is final, a line for each change.
fn watch(source: &Source, id: &str, json: bool) -> Result<(), CliError> {
    let mut shown = String::new();
    loop {
        let job = source.show(id)?;
        let text = |key: &str| job[key].as_str().unwrap_or_default();
        let line = if json {
            job.to_string()
        } else {
            let chunks = match (&job["current_chunk"], &job["total_chunks"]) {
                (Value::Number(current), Value::Number(total)) => format!("  chunk {current} of {total}"),
                _ => String::new(),
            };
            let why = [text("waiting_for"), text("error")].concat();
            format!("{:9}  {:>3}%{chunks}  {why}", text("status"), job["progress"]).trim_end().to_owned()
        };
        if line != shown {
            say_line(&line);
            shown = line;
        }
        if text("status").parse::<JobStatus>().is_ok_and(JobStatus::is_final) {
            return Ok(());
        }
        std::thread::sleep(WATCH_PAUSE);
    }
}

/// What is no id is no job either.
fn parse(id: &str) -> Result<JobId, CliError> {
    id.parse().map_err(|_no_uuid| CliError::UnknownJob(id.to_owned()))
}

fn print_list(jobs: &[Value], json: bool) {
    if json {
        return say_line(&serde_json::to_string_pretty(jobs).unwrap_or_default());
    }
    if jobs.is_empty() {
        return say_line("No jobs.");
    }
    say_line(&format!("{:36}  {:9}  {:>4}  {:19}  text", "job", "status", "%", "created"));
    for job in jobs {
        let text = |key: &str| job[key].as_str().unwrap_or_default();
        let excerpt: String = text("text").split_whitespace().collect::<Vec<_>>().join(" ");
        say_line(&format!(
            "{:36}  {:9}  {:>4}  {:19}  {}",
            text("job_id"),
            text("status"),
            job["progress"],
            local_time(job["created_at"].as_f64().unwrap_or_default()),
            excerpt.chars().take(EXCERPT).collect::<String>(),
        ));
    }
}

fn print_job(job: &Value, json: bool) {
    if json {
        return say_line(&serde_json::to_string_pretty(job).unwrap_or_default());
    }
    for (key, value) in job.as_object().into_iter().flatten() {
        let shown = match value {
            Value::String(text) => text.clone(),
            Value::Number(seconds) if key.ends_with("_at") => {
                local_time(seconds.as_f64().unwrap_or_default())
            }
            other => other.to_string(),
        };
        say_line(&format!("{key:17} {shown}"));
    }
}

fn local_time(unix_seconds: f64) -> String {
    let moment = jiff::Timestamp::from_millisecond((unix_seconds * 1000.0) as i64).unwrap_or_default();
    moment.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
