//! Where a command looks at jobs: at a server, or in a data directory.

use std::time::Duration;

use serde_json::Value;

use super::CliError;
use super::place::Place;
use crate::jobs::{Jobs, QueueSettings};

/// For an answer of a server.
const SERVER_PATIENCE: Duration = Duration::from_secs(30);

pub(super) enum Source {
    /// Its address, without a slash at the end.
    Server(String),
    Data {
        jobs: Jobs,
        runtime: tokio::runtime::Runtime,
    },
}

impl Source {
    /// The server at this address, else the data directory.
    pub(super) fn open(place: &Place, server: Option<String>) -> Result<Self, CliError> {
        if let Some(url) = server {
            return Ok(Self::Server(url.trim_end_matches('/').to_owned()));
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

    pub(super) fn get(&self, address: &str) -> Result<Value, CliError> {
        self.ask(ureq::get(address).config())
    }

    pub(super) fn delete_at(&self, address: &str) -> Result<(), CliError> {
        self.ask(ureq::delete(address).config()).map(|_message| ())
    }

    /// An empty wish.
    pub(super) fn post(&self, address: &str) -> Result<Value, CliError> {
        let request = ureq::post(address)
            .header("Content-Type", "application/json")
            .config()
            .http_status_as_error(false)
            .timeout_global(Some(SERVER_PATIENCE))
            .build();
        self.read(request.send("{}"))
    }

    fn ask(&self, request: Asked) -> Result<Value, CliError> {
        let request = request.http_status_as_error(false).timeout_global(Some(SERVER_PATIENCE));
        self.read(request.build().call())
    }

    /// The JSON that a server answers; its own sentence where it refuses.
    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, CliError> {
        let url = match self {
            Self::Server(url) => url.clone(),
            Self::Data { .. } => String::new(),
        };
        let unreachable = |source| CliError::Unreachable { url: url.clone(), source: Box::new(source) };
        let mut answer = answer.map_err(unreachable)?;
        let body: Value = answer.body_mut().read_json().map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(body);
        }
        let detail = body.get("detail").and_then(Value::as_str).map(str::to_owned);
        Err(CliError::Refused(detail.unwrap_or_else(|| format!("status {}", answer.status()))))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Self::Data { jobs, runtime } = self {
            runtime.block_on(jobs.close());
        }
    }
}

type Asked = ureq::config::ConfigBuilder<ureq::typestate::RequestScope<ureq::typestate::WithoutBody>>;
