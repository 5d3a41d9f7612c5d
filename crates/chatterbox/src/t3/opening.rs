//! The beginning of a sequence that every text in a voice has in common: it is read once, and its keys and values are kept.

use std::sync::{Arc, Mutex, PoisonError};

use super::Speaker;
use super::cache::Cache;

/// A cache of one row that holds the conditioning of a voice.
pub(super) type Opening = Arc<Cache>;

/// The opening of the voice that spoke last.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<(Speaker, f32, Opening)>>);

impl Kept {
    /// The opening for this speaker and exaggeration, made anew where the one that is kept is of another.
    pub(super) fn get(&self, speaker: &Speaker, exaggeration: f32, read: impl FnOnce() -> Cache) -> Opening {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((whose, how, opening)) = &*lock()
            && whose == speaker
            && *how == exaggeration
        {
            return Arc::clone(opening);
        }
        let opening = Arc::new(read());
        *lock() = Some((speaker.clone(), exaggeration, Arc::clone(&opening)));
        opening
    }
}
