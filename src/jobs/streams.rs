//! Who listens to which job: the live views of the runs of this process, and how many readers follow each.
//!
//! A view exists while somebody listens or a worker speaks. The worker asks at every chunk whether to speak in blocks, and at
//! the end whether the chunks' files may go: the last reader removes them otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{JobId, Shared, log_span, with_causes};
use crate::speech::SpeechRequest;
use crate::speech::stream::{Ending, Heard, Live, Place, Reader};

#[derive(Debug, Default)]
pub(super) struct Streams {
    entries: Mutex<HashMap<JobId, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    live: Arc<Live>,
    listeners: usize,
    /// A worker has it in hand.
    is_spoken: bool,
    /// It has its result, so nobody but its listeners needs its chunks. One that failed may be tried again with them.
    is_completed: bool,
}

impl Streams {
    /// The view of a job, for the worker that speaks it.
    pub(super) fn of(&self, id: JobId) -> Arc<Live> {
        let mut entries = self.lock();
        let entry = entries.entry(id).or_default();
        entry.is_spoken = true;
        Arc::clone(&entry.live)
    }

    /// What is known of the result of a job that is spoken.
    pub(super) fn heard(&self, id: JobId, sample_rate: u32) -> Option<Heard> {
        let live = self.lock().get(&id).map(|entry| Arc::clone(&entry.live));
        live?.heard(sample_rate)
    }

    pub(super) fn listeners(&self, id: JobId) -> usize {
        self.lock().get(&id).map_or(0, |entry| entry.listeners)
    }

    /// The job's run is over, for good with an ending. Whether nobody reads its chunks any more.
    pub(super) fn end(&self, id: JobId, ending: Option<Ending>) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&id) else { return true };
        entry.is_spoken = false;
        if let Some(ending) = ending {
            entry.is_completed = ending == Ending::Completed;
            entry.live.end(ending);
        }
        let is_unheard = entry.listeners == 0;
        if is_unheard {
            entries.remove(&id);
        }
        is_unheard
    }

    fn join(&self, id: JobId) -> Arc<Live> {
        let mut entries = self.lock();
        let entry = entries.entry(id).or_default();
        entry.listeners += 1;
        Arc::clone(&entry.live)
    }

    /// Whether that was the last listener of a job that has its result.
    fn leave(&self, id: JobId) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&id) else { return false };
        entry.listeners -= 1;
        let (is_unheard, is_completed) = (entry.listeners == 0, entry.is_completed);
        if is_unheard && !entry.is_spoken {
            entries.remove(&id);
        }
        is_unheard && is_completed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        // Counts and handles only, each changed at once.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener of a job, from before its row is looked at until it has heard enough.
#[derive(Debug)]
pub struct Listening {
    shared: Arc<Shared>,
    id: JobId,
    live: Arc<Live>,
}

impl Listening {
    pub(super) fn to(shared: &Arc<Shared>, id: JobId) -> Self {
        let live = shared.streams.join(id);
        Self { shared: Arc::clone(shared), id, live }
    }

    /// Reads what `request`, that of the job, becomes. Only while the listening lasts.
    pub fn reader(&self, request: SpeechRequest, place: Place) -> Reader {
        let (outputs, id) = (self.shared.outputs.clone(), self.id);
        Reader::new(Arc::clone(&self.live), request, place, move |chunk| {
            outputs.chunk_path(id, u32::try_from(chunk).unwrap_or(u32::MAX))
        })
    }
}

impl Drop for Listening {
    /// Removes files where it is the last: it belongs on a thread that may block.
    fn drop(&mut self) {
        if self.shared.streams.leave(self.id)
            && self.shared.settings.max_chunk_bytes == 0
            && let Err(error) = self.shared.outputs.remove_chunks(self.id)
        {
            let _entered = log_span(self.id).entered();
            tracing::warn!(error = with_causes(&error), "chunks stay until the next clean-up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_job_go_with_its_end_or_with_its_last_listener() {
        let (streams, id) = (Streams::default(), JobId::new());
        streams.of(id);
        assert!(streams.end(id, Some(Ending::Completed)), "nobody listened");
        streams.join(id);
        streams.join(id);
        streams.of(id);
        assert!(!streams.end(id, None), "the run is interrupted, the listeners wait");
        assert!(!streams.end(id, Some(Ending::Completed)));
        assert!(!streams.leave(id));
        assert!(streams.leave(id), "the last one");
        assert_eq!(streams.lock().len(), 0);
    }

    #[test]
    fn a_job_that_failed_keeps_its_files_and_is_heard_again_when_it_is_tried_again() {
        let (streams, id) = (Streams::default(), JobId::new());
        let live = streams.of(id);
        streams.join(id);
        assert!(!streams.end(id, Some(Ending::Broken)));
        streams.of(id).begin(24_000, &[]);
        assert!(!live.is_broken(), "a new run is not the one that failed");
        streams.end(id, Some(Ending::Broken));
        assert!(!streams.leave(id), "its files stay for another try");
    }

    #[test]
    fn leaving_before_the_end_leaves_the_files_to_the_worker() {
        let (streams, id) = (Streams::default(), JobId::new());
        streams.of(id);
        streams.join(id);
        assert!(!streams.leave(id));
        assert!(streams.end(id, Some(Ending::Completed)));
        assert_eq!(streams.lock().len(), 0);
    }
}
