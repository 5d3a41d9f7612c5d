//! `declaim jobs`: the queue from outside. Asks a server with `--server`, else reads the data directory itself; both
//! show the same fields, because both are the status that the server would send.

use std::time::Duration;

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::place::Place;
use super::{CliError, say_line};
use crate::http::Status;
use crate::jobs::{
    CancelOutcome, DeleteOutcome, Filter, JobId, JobStatus, Jobs, QueueSettings, RetryOutcome,
};

/// Longest piece of a text in a list, in characters.
const EXCERPT: usize = 50;

/// For an answer of a server.
const SERVER_PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at a job that is watched.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct JobsArgs {
    /// Ask the server at this address, such as <http://127.0.0.1:8004>, instead of reading the data directory
    #[arg(long, global = true, env = "DECLAIM_URL", value_name = "URL")]
    server: Option<String>,
    /// A key of that server, where it asks for one
    #[arg(long, global = true, env = "DECLAIM_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
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
    let JobsArgs { server, key, json, command } = arguments;
    let source = match server {
        Some(url) => {
            Source::Server(Door { url: url.trim_end_matches('/').to_owned(), key: key.unwrap_or_default() })
        }
        None => Source::open(place)?,
    };
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

/// Where a server is, and what opens it; the key is empty where none is asked for.
struct Door {
    url: String,
    key: String,
}

/// Where jobs are looked up.
enum Source {
    Server(Door),
    Data { jobs: Jobs, runtime: tokio::runtime::Runtime },
}

impl Source {
    fn open(place: &Place) -> Result<Self, CliError> {
        let data_dir = place.data_dir()?;
        let settings = place.settings(Vec::new())?;
        if !data_dir.join("declaim.db").is_file() {
            return Err(CliError::NoJobs(data_dir));
        }
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
        let jobs = runtime.block_on(Jobs::open(&data_dir, QueueSettings::from(&settings)))?;
        Ok(Self::Data { jobs, runtime })
    }

    fn list(&self, limit: u32) -> Result<Vec<Value>, CliError> {
        match self {
            Self::Server(door) => {
                let answer = ask(ureq::get(format!("{}/api/jobs?limit={limit}", door.url)), door)?;
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
            Self::Server(door) => ask(ureq::get(format!("{}/tts/{id}/status", door.url)), door),
            Self::Data { jobs, runtime } => {
                let job = runtime.block_on(jobs.get(parse(id)?))?;
                job.map(|job| Status::listed(&job).to_json())
                    .ok_or_else(|| CliError::UnknownJob(id.to_owned()))
            }
        }
    }

    fn cancel(&self, id: &str) -> Result<(), CliError> {
        match self {
            Self::Server(door) => {
                ask(ureq::delete(format!("{}/tts/{id}", door.url)), door).map(|_message| ())
            }
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
            Self::Server(door) => send_nothing(&format!("{}/api/jobs/{id}/retry", door.url), door),
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
            Self::Server(door) => {
                ask(ureq::delete(format!("{}/api/jobs/{id}", door.url)), door).map(|_message| ())
            }
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

impl Drop for Source {
    fn drop(&mut self) {
        if let Self::Data { jobs, runtime } = self {
            runtime.block_on(jobs.close());
        }
    }
}

/// What is no id is no job either.
fn parse(id: &str) -> Result<JobId, CliError> {
    id.parse().map_err(|_no_uuid| CliError::UnknownJob(id.to_owned()))
}

/// An empty wish, whose answer matters only where it is a refusal.
fn send_nothing(address: &str, door: &Door) -> Result<(), CliError> {
    let request = with_key(ureq::post(address), door)
        .header("Content-Type", "application/json")
        .config()
        .http_status_as_error(false)
        .timeout_global(Some(SERVER_PATIENCE))
        .build();
    let unreachable = |source| CliError::Unreachable { url: door.url.clone(), source: Box::new(source) };
    read(request.send("{}").map_err(unreachable)?, &door.url).map(|_answer| ())
}

fn with_key<B>(request: ureq::RequestBuilder<B>, door: &Door) -> ureq::RequestBuilder<B> {
    if door.key.is_empty() {
        request
    } else {
        request.header("Authorization", format!("Bearer {}", door.key))
    }
}

/// The JSON that a server answers; its own sentence where it refuses.
fn ask(request: ureq::RequestBuilder<ureq::typestate::WithoutBody>, door: &Door) -> Result<Value, CliError> {
    let unreachable = |source| CliError::Unreachable { url: door.url.clone(), source: Box::new(source) };
    let request =
        with_key(request, door).config().http_status_as_error(false).timeout_global(Some(SERVER_PATIENCE));
    read(request.build().call().map_err(unreachable)?, &door.url)
}

fn read(mut answer: ureq::http::Response<ureq::Body>, url: &str) -> Result<Value, CliError> {
    let unreachable = |source| CliError::Unreachable { url: url.to_owned(), source: Box::new(source) };
    let body: Value = answer.body_mut().read_json().map_err(unreachable)?;
    if answer.status().is_success() {
        return Ok(body);
    }
    let detail = body.get("detail").and_then(Value::as_str).map(str::to_owned);
    Err(CliError::Refused(detail.unwrap_or_else(|| format!("status {}", answer.status()))))
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
