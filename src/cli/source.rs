//! Where a command looks at jobs: at a server, or in a data directory.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::typestate::WithoutBody;
use ureq::{Body, RequestBuilder};

use super::CliError;
use super::place::Place;
use crate::jobs::{Jobs, QueueSettings};

/// For an answer of a server.
const SERVER_PATIENCE: Duration = Duration::from_secs(30);

/// Which of the two, as options of a command.
#[derive(Debug, clap::Args)]
pub(super) struct Whose {
    /// Ask the server at this address, such as <http://127.0.0.1:8004>, instead of using the data directory
    #[arg(long, global = true, env = "DECLAIM_URL", value_name = "URL")]
    server: Option<String>,
    /// A key of that server, where it asks for one
    #[arg(long, global = true, env = "DECLAIM_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

pub(super) enum Source {
    Server(Server),
    Data { jobs: Jobs, runtime: tokio::runtime::Runtime },
}

/// A server, and what opens it.
pub(super) struct Server {
    /// Without a slash at the end.
    url: String,
    key: Option<String>,
}

impl Source {
    pub(super) fn open(place: &Place, whose: Whose) -> Result<Self, CliError> {
        if let Some(url) = whose.server {
            return Ok(Self::Server(Server { url: url.trim_end_matches('/').to_owned(), key: whose.key }));
        }
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
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Self::Data { jobs, runtime } = self {
            runtime.block_on(jobs.close());
        }
    }
}

impl Server {
    /// What it says at `path`.
    pub(super) fn get(&self, path: &str) -> Result<Value, CliError> {
        self.ask(ureq::get(self.at(path)))
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), CliError> {
        self.ask(ureq::delete(self.at(path))).map(|_message| ())
    }

    /// An empty wish.
    pub(super) fn post(&self, path: &str) -> Result<Value, CliError> {
        let request = self.opened(ureq::post(self.at(path))).header("Content-Type", "application/json");
        let request = request.config().http_status_as_error(false).timeout_global(Some(SERVER_PATIENCE));
        self.read(request.build().send("{}"))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn ask(&self, request: RequestBuilder<WithoutBody>) -> Result<Value, CliError> {
        let request =
            self.opened(request).config().http_status_as_error(false).timeout_global(Some(SERVER_PATIENCE));
        self.read(request.build().call())
    }

    fn opened<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header("Authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    /// The JSON that it answers; its own sentence where it refuses.
    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, CliError> {
        let unreachable = |source| CliError::Unreachable { url: self.url.clone(), source: Box::new(source) };
        let mut answer = answer.map_err(unreachable)?;
        let body: Value = answer.body_mut().read_json().map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(body);
        }
        let detail = body.get("detail").and_then(Value::as_str).map(str::to_owned);
        Err(CliError::Refused(detail.unwrap_or_else(|| format!("status {}", answer.status()))))
    }
}
