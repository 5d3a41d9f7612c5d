//! Patience with the hub: waits that double, as long as the hub wishes where it says so, and an end to it after some tries
//! in a row that brought nothing.

use std::time::Duration;

use super::error::{HubError, ModelsError};
use super::hub::HubSettings;
use super::progress::Shared;

/// The longest wait between two tries that is of our own choosing.
const LONGEST: Duration = Duration::from_mins(1);
/// The longest wait that the hub may ask for; beyond it, people are told instead.
const LONGEST_ASKED: Duration = Duration::from_mins(10);

/// The tries for one file.
pub(super) struct Tries<'a> {
    settings: &'a HubSettings,
    shared: &'a Shared,
    file: &'a str,
    /// In a row.
    failed: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(settings: &'a HubSettings, shared: &'a Shared, file: &'a str) -> Self {
        Self { settings, shared, file, failed: 0 }
    }

    /// Something came: a line that breaks again and again still gets there.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next try.
    ///
    /// # Errors
    /// `error` itself where another try cannot help; that tries are used up; [`ModelsError::Cancelled`].
    pub(super) fn after(&mut self, error: HubError) -> Result<(), ModelsError> {
        if self.shared.is_stopped() {
            return Err(ModelsError::Cancelled);
        }
        if !error.is_transient() {
            return Err(error.into());
        }
        self.failed += 1;
        if self.failed > self.settings.retries {
            let gave_up =
                HubError::GaveUp { file: self.file.to_owned(), tries: self.failed, source: Box::new(error) };
            return Err(gave_up.into());
        }
        let asked = match error {
            HubError::Busy { retry_after, .. } => retry_after,
            _ => None,
        };
        if let Some(after) = asked.filter(|asked| *asked > LONGEST_ASKED) {
            return Err(HubError::ComeBackLater { after }.into());
        }
        let wait = asked.unwrap_or_else(|| self.own_wait());
        tracing::info!(file = self.file, ?wait, error = crate::models::with_causes(&error), "trying again");
        self.shared.wait(wait, &format!("{error}; trying again in {} s", wait.as_secs_f32().ceil()));
        if self.shared.is_stopped() { Err(ModelsError::Cancelled) } else { Ok(()) }
    }

    fn own_wait(&self) -> Duration {
        let doubled = self.settings.retry_wait.saturating_mul(1 << (self.failed - 1).min(16));
        doubled.min(LONGEST.max(self.settings.retry_wait))
    }
}

/// Asks until there is an answer, or no point in asking.
pub(super) fn persist<T>(
    mut tries: Tries<'_>,
    mut ask: impl FnMut() -> Result<T, HubError>,
) -> Result<T, ModelsError> {
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) => tries.after(error)?,
        }
    }
}
