//! Calls back: tells a client's own server that a job has ended.
//!
//! What is owed is a row, written in the very statement that ends the job, so it survives whatever happens then. A call is
//! signed, tried again with growing pauses until somebody takes it, and given up in the end. It never reaches into the
//! private network unless that is allowed ([`address`]).

pub mod address;
mod call;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{JobId, Jobs, Shared, StoreError, log_span, now_ms, with_causes};
use crate::config::Settings;
use crate::files::{FileError, write_bytes};
use call::{Call, Caller};

/// How long the task trusts its wake-up; a retry may be due.
const POLL: Duration = Duration::from_secs(1);

/// Calls made at one time.
const AT_ONCE: u32 = 8;

/// The wait before the second try; doubles up to [`LONGEST`]. Sixteen tries take about a day.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_hours(3);

/// The file with the secret that was drawn, where none is configured.
const SECRET_FILE: &str = "webhook-secret";

/// How calls are made; `webhooks` in config.yaml.
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// Calls are signed with it; `None` uses the one that is drawn once for a data directory.
    pub secret: Option<String>,
    /// Addresses of the private network and of this machine may be called.
    pub allow_private: bool,
    /// Tries before a call is given up.
    pub max_attempts: u32,
    /// For one call, from the look-up of the name to the end of the answer.
    pub patience: Duration,
}

impl From<&Settings> for WebhookSettings {
    fn from(settings: &Settings) -> Self {
        let webhooks = &settings.webhooks;
        Self {
            secret: webhooks.secret.clone(),
            allow_private: webhooks.allow_private,
            max_attempts: webhooks.max_attempts,
            patience: webhooks.patience,
        }
    }
}

/// A call that is owed.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) seq: i64,
    pub(super) job: JobId,
    pub(super) url: String,
    /// The state that the job ended in.
    pub(super) event: String,
    /// Tries so far.
    pub(super) attempts: u32,
}

/// What became of a call, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WebhookStatus {
    pub url: String,
    pub event: String,
    /// `due`, `delivered` or `given up`.
    pub state: String,
    pub attempts: u32,
    /// Of the last try.
    pub problem: Option<String>,
}

/// Makes the calls that are owed.
#[derive(Debug)]
pub struct Webhooks {
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    max_attempts: u32,
}

impl Webhooks {
    /// Draws the secret of this data directory where it has none yet.
    ///
    /// # Errors
    /// When the secret can neither be read nor written.
    pub fn open(jobs: &Jobs, data_dir: &Path, settings: &WebhookSettings) -> Result<Self, FileError> {
        let secret = match &settings.secret {
            Some(secret) => secret.clone(),
            None => drawn_secret(data_dir)?,
        };
        let caller = Arc::new(Caller::new(secret, settings.allow_private, settings.patience));
        Ok(Self { shared: Arc::clone(&jobs.shared), caller, max_attempts: settings.max_attempts })
    }

    /// Calls until told to stop. A call that is on its way then is made again by the next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut ended = self.shared.wakeups.ends();
        loop {
            ended.mark_unchanged();
            let called = match self.call_due().await {
                Ok(called) => called,
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), "cannot look for calls that are owed");
                    0
                }
            };
            let wait = async {
                if called == 0 {
                    // Elapsing is as good as a wake-up: either way the table is looked at again.
                    let _ = tokio::time::timeout(POLL, ended.changed()).await;
                }
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    /// How many calls were made.
    async fn call_due(&self) -> Result<usize, StoreError> {
        let now = now_ms();
        let latest = now.saturating_add(LONGEST.as_millis() as i64);
        let due = self.shared.store.due_webhooks(now, latest, AT_ONCE).await?;
        let made = due.len();
        let mut calls = JoinSet::new();
        for due in due {
            let Some(job) = self.shared.store.get(due.job).await? else { continue };
            let body = json!({
                "event": due.event,
                "job_id": job.id.to_string(),
                "status": job.status,
                "created_at": job.created_at as f64 / 1000.0,
                "completed_at": job.finished_at.map(|at| at as f64 / 1000.0),
                "model": job.request.model,
                "voice": job.request.voice,
                "seed": job.request.seed,
                "error": job.error,
                "result_url": job.output.as_ref().map(|_there| format!("/tts/{}/result", job.id)),
                "file_size_bytes": job.output.as_ref().map(|output| output.bytes),
                "duration_sec": job.output.as_ref().map(|output| output.duration_ms as f64 / 1000.0),
                "batch_id": job.batch.as_ref().map(|(id, _position)| id),
            });
            let call = Call { id: due.seq, url: due.url.clone(), body: body.to_string() };
            let caller = Arc::clone(&self.caller);
            calls.spawn(async move {
                let answered = spawn_blocking(move || caller.make(&call, now_ms() / 1000)).await;
                (due, answered.unwrap_or_else(|_panicked| Err("the call crashed".to_owned())))
            });
        }
        while let Some(called) = calls.join_next().await {
            // The task itself only waits.
            let Ok((due, answered)) = called else { continue };
            self.note(&due, answered).await?;
        }
        Ok(made)
    }

    async fn note(&self, due: &Due, answered: Result<(), String>) -> Result<(), StoreError> {
        let store = &self.shared.store;
        match answered {
            Ok(()) => {
                log_span(due.job).in_scope(|| tracing::info!(url = due.url, "called back"));
                self.shared.meters.called("delivered");
                store.webhook_delivered(due.seq).await
            }
            Err(problem) => {
                let again = (due.attempts + 1 < self.max_attempts).then(|| pause(due.attempts));
                log_span(due.job)
                    .in_scope(|| tracing::warn!(url = due.url, problem, ?again, "a call back failed"));
                self.shared.meters.called(if again.is_some() { "failed" } else { "given_up" });
                let due_at = again.map(|pause| now_ms() + pause.as_millis() as i64);
                store.webhook_failed(due.seq, &problem, due_at).await
            }
        }
    }
}

fn pause(attempts: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST)
}

fn drawn_secret(data_dir: &Path) -> Result<String, FileError> {
    let path = data_dir.join(SECRET_FILE);
    match std::fs::read_to_string(&path) {
        Ok(secret) if !secret.trim().is_empty() => return Ok(secret.trim().to_owned()),
        Ok(_empty) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(FileError::new("read", &path, error)),
    }
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| FileError::new("draw a secret for", &path, std::io::Error::other(error)))?;
    let secret = format!("{:x}", Sha256::digest(bytes));
    write_bytes(data_dir, SECRET_FILE, secret.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| FileError::new("protect", &path, error))?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let secret = drawn_secret(folder.path()).unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(drawn_secret(folder.path()).unwrap(), secret);
    }

    #[test]
    fn pauses_double_up_to_three_hours() {
        let seconds: Vec<u64> = (0..13).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(&seconds[..4], [5, 10, 20, 40]);
        assert_eq!(seconds[12], 3 * 3600);
        assert_eq!(pause(u32::MAX), LONGEST);
    }
}
