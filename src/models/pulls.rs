//! Pulls in the background of a server: one per model, each on a thread of its own, watched by whoever wants to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Serialize;
use tokio::sync::watch;

use super::error::ModelsError;
use super::progress::Progress;
use super::{Models, Pulled, with_causes};

/// How a pull of this process stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum PullState {
    Running(Progress),
    Done,
    Cancelled,
    Failed { error: String },
}

/// The pulls of this process, by model; ended ones stay until the next.
#[derive(Debug, Default)]
pub(super) struct Pulls(Mutex<BTreeMap<String, Pulling>>);

#[derive(Debug)]
struct Pulling {
    state: watch::Receiver<PullState>,
    stop: Arc<AtomicBool>,
}

impl Pulls {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Pulling>> {
        // The map changes in single steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Models {
    /// Begins to pull a model in the background, or joins the pull that runs already. `None` if it is installed.
    ///
    /// # Errors
    /// What can be known at once: an unknown model, a folder of the user's own.
    pub fn start_pull(
        &self,
        name: &str,
        refresh: bool,
    ) -> Result<Option<watch::Receiver<PullState>>, ModelsError> {
        let name = self.registry().find(name)?.name.clone();
        let mut pulls = self.pulls().all();
        if let Some(running) = pulls.get(&name).filter(|pull| is_running(&pull.state.borrow())) {
            return Ok(Some(running.state.clone()));
        }
        if !refresh && self.is_current(&name)? {
            return Ok(None);
        }
        let (tell, state) = watch::channel(PullState::Running(Progress::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (models, stopped, pulled) = (self.clone(), Arc::clone(&stop), name.clone());
        let work = move || {
            let outcome = models.pull(&pulled, refresh, &mut |progress| {
                tell.send_replace(PullState::Running(progress.clone()));
                if stopped.load(Ordering::Acquire) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let end = match outcome {
                Ok(Pulled::Installed(_) | Pulled::Already(_)) => {
                    tracing::info!(model = pulled, "model installed");
                    PullState::Done
                }
                Err(ModelsError::Cancelled) => PullState::Cancelled,
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(model = pulled, error, "the pull failed");
                    PullState::Failed { error }
                }
            };
            tell.send_replace(end);
        };
        thread::Builder::new().name(format!("pull {name}")).spawn(work).map_err(ModelsError::Thread)?;
        pulls.insert(name, Pulling { state: state.clone(), stop });
        Ok(Some(state))
    }

    /// Stops a pull of this process; what came is kept. Says whether there was one.
    pub fn cancel_pull(&self, name: &str) -> bool {
        let pulls = self.pulls().all();
        let running = pulls.get(name).filter(|pull| is_running(&pull.state.borrow()));
        running.inspect(|pull| pull.stop.store(true, Ordering::Release)).is_some()
    }

    /// The pull of a model that runs, or the last one that ended, since this process began.
    pub fn watch_pull(&self, name: &str) -> Option<watch::Receiver<PullState>> {
        self.pulls().all().get(name).map(|pull| pull.state.clone())
    }

    /// Stops all pulls, as a server does that is stopping.
    pub fn cancel_all_pulls(&self) {
        for pull in self.pulls().all().values() {
            pull.stop.store(true, Ordering::Release);
        }
    }
}

fn is_running(state: &PullState) -> bool {
    matches!(state, PullState::Running(_))
}
