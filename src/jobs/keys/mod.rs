//! Keys: who may ask, for what, and how much. They live in the job database, so a command line that revokes one is heard by
//! the running server with the next request.
//!
//! A key is 192 random bits. Only its SHA-256 is kept: nobody can try out so many, so a slow hash, which words that people
//! choose need, would cost every request its time and gain nothing. It is found by that digest in an index, not compared
//! byte by byte; how long that takes could tell something of the digest at most, from which no key can be computed.

mod quota;
mod scope;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use quota::{Overdrawn, OwnQuota, Quota};
pub(super) use quota::{admit_audio, admit_characters, day_of, estimated_ms, still_spent};
pub use scope::{Scope, Scopes, UnknownScope};

use super::store::{KeyAddition, KeyRow, Store};
use super::{Jobs, StoreError, now_ms, with_causes};

/// What a key begins with: people and scanners for leaked secrets know it by that.
const KEY_PREFIX: &str = "dcl_";

/// What the word of a browser's session begins with.
const SESSION_PREFIX: &str = "dcs_";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 24;

/// Characters of a key that stay legible in lists: the prefix and 16 of its 192 bits.
const HINT: usize = KEY_PREFIX.len() + 4;

/// Longest name, in characters.
const LONGEST_NAME: usize = 64;

/// Keys that are valid at one time.
const MOST_KEYS: u32 = 1000;

/// How long a browser stays signed in.
pub const SESSION_LASTS: Duration = Duration::from_hours(30 * 24);

/// Between two notes that a key was used: a note is a synced write.
const NOTED_EVERY: i64 = 60_000;

/// Between two looks whether the key behind an open line was revoked.
const REVOCATION_POLL: Duration = Duration::from_secs(1);

/// A key as it is kept. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: String,
    pub name: String,
    /// Its first characters.
    pub hint: String,
    pub scopes: Scopes,
    /// Where it differs from the settings.
    pub own_quota: OwnQuota,
    /// What holds for it.
    pub quota: Quota,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    /// To the minute.
    pub last_used_at: Option<i64>,
}

/// What a key has used of its quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Characters that count against the minute now.
    pub characters: u64,
    /// Audio made today, in milliseconds.
    pub audio_ms: u64,
}

/// A key that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    pub name: String,
    pub scopes: Scopes,
    pub quota: OwnQuota,
}

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the name of a key has 1 to {LONGEST_NAME} characters, none of them a control character")]
    Name,
    #[error("there is a key {0:?} already; revoke it first, or choose another name")]
    NameTaken(String),
    #[error("there are {MOST_KEYS} keys already; revoke those that nobody uses")]
    TooMany,
    #[error("this machine gives no random numbers")]
    Random(#[source] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A word that was made, and nobody but its holder will have again.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    // Logs are read by others.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

/// What is remembered of keys between two requests; the rows are the truth.
#[derive(Debug, Default)]
pub(super) struct KeyMemory {
    /// When the use of each was noted last.
    noted: Mutex<HashMap<String, i64>>,
    /// Which were valid, and when that was looked up.
    valid: Mutex<Option<(Instant, HashSet<String>)>>,
}

impl Jobs {
    /// Makes a key. Its secret is told here and never again.
    pub async fn create_key(&self, new: NewKey) -> Result<(Key, Secret), KeyError> {
        let NewKey { name, scopes, quota } = new;
        if name.chars().count() > LONGEST_NAME || name.trim().is_empty() || name.chars().any(char::is_control)
        {
            return Err(KeyError::Name);
        }
        let secret = drawn(KEY_PREFIX)?;
        let row = KeyRow {
            id: Uuid::now_v7().hyphenated().to_string(),
            name: name.trim().to_owned(),
            hint: secret.0.chars().take(HINT).collect(),
            scopes,
            own_quota: quota,
            created_at: now_ms(),
            revoked_at: None,
            last_used_at: None,
        };
        match self.shared.store.add_key(&row, &digest(&secret.0), MOST_KEYS).await? {
            KeyAddition::Added => Ok((self.complete(row), secret)),
            KeyAddition::NameTaken => Err(KeyError::NameTaken(row.name)),
            KeyAddition::TooMany => Err(KeyError::TooMany),
        }
    }

    /// The keys in order of their making, each with what it has used; with the revoked ones if they are wanted.
    pub async fn keys(&self, with_revoked: bool) -> Result<Vec<(Key, Usage)>, StoreError> {
        let rows = self.shared.store.keys(with_revoked).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let key = self.complete(row);
            let usage = self.usage(&key).await?;
            keys.push((key, usage));
        }
        Ok(keys)
    }

    /// Whether there is no valid key.
    pub async fn has_no_key(&self) -> Result<bool, StoreError> {
        Ok(self.shared.store.keys(false).await?.is_empty())
    }

    /// What a key has used of its quota.
    pub async fn usage(&self, key: &Key) -> Result<Usage, StoreError> {
        let now = now_ms();
        let used = self.shared.store.used(&key.id, day_of(now)).await?;
        let characters = key
            .quota
            .characters_per_minute
            .map_or(0, |limit| still_spent(used.spent, now - used.spent_at, limit).cast_unsigned() / 1000);
        Ok(Usage { characters, audio_ms: used.audio_ms })
    }

    /// Revokes the key with this id, or else of this name. From then on it opens nothing, on a running server too. Its jobs
    /// stay. `None` where there is no such key.
    pub async fn revoke_key(&self, id_or_name: &str) -> Result<Option<Key>, StoreError> {
        let revoked = self.shared.store.revoke_key(id_or_name, now_ms()).await?;
        *self.memory().valid() = None;
        Ok(revoked.map(|row| self.complete(row)))
    }

    /// The valid key that this word is.
    pub async fn key_of(&self, secret: &str) -> Result<Option<Key>, StoreError> {
        // Spares the look-up for the words that other services' clients send where they are told that any will do.
        if !secret.starts_with(KEY_PREFIX) {
            return Ok(None);
        }
        let row = self.shared.store.key_by_digest(&digest(secret)).await?;
        Ok(row.map(|row| self.noted(row)))
    }

    /// The valid key behind a browser's session.
    pub async fn key_of_session(&self, word: &str) -> Result<Option<Key>, StoreError> {
        if !word.starts_with(SESSION_PREFIX) {
            return Ok(None);
        }
        let row = self.shared.store.key_by_session(&digest(word), now_ms()).await?;
        Ok(row.map(|row| self.noted(row)))
    }

    /// Signs a browser in: the word that stands for the key there, for [`SESSION_LASTS`].
    pub async fn begin_session(&self, key: &Key) -> Result<Secret, KeyError> {
        let word = drawn(SESSION_PREFIX)?;
        let lasts = i64::try_from(SESSION_LASTS.as_millis()).unwrap_or(i64::MAX);
        self.shared.store.add_session(&digest(&word.0), &key.id, now_ms(), lasts).await?;
        Ok(word)
    }

    /// Signs a browser out.
    pub async fn end_session(&self, word: &str) -> Result<(), StoreError> {
        self.shared.store.remove_session(&digest(word)).await
    }

    /// Resolves once the key is revoked: for lines that stay open. An error of the database revokes nothing.
    pub async fn revoked(&self, id: &str) {
        loop {
            tokio::time::sleep(REVOCATION_POLL).await;
            match self.is_valid(id).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), "cannot see whether a key was revoked");
                }
            }
        }
    }

    /// Why so many milliseconds are beyond a key's audio of the day, if they are. For what is no job; jobs are checked when
    /// they are added.
    pub async fn beyond_audio(
        &self,
        owner: &str,
        milliseconds: u64,
    ) -> Result<Option<Overdrawn>, StoreError> {
        self.shared.store.beyond_audio(owner, milliseconds, self.shared.settings.quota, now_ms()).await
    }

    /// Counts audio that was made for a key, and was no job.
    pub async fn count_audio(&self, owner: &str, milliseconds: u64) -> Result<(), StoreError> {
        if owner.is_empty() {
            return Ok(());
        }
        self.shared.store.count_audio(owner, day_of(now_ms()), milliseconds).await
    }

    async fn is_valid(&self, id: &str) -> Result<bool, StoreError> {
        if let Some((looked_up, valid)) = &*self.memory().valid()
            && looked_up.elapsed() < REVOCATION_POLL
        {
            return Ok(valid.contains(id));
        }
        // Many lines may look at once after the second is over; each look costs little.
        let valid: HashSet<String> =
            self.shared.store.keys(false).await?.into_iter().map(|row| row.id).collect();
        let is_valid = valid.contains(id);
        *self.memory().valid() = Some((Instant::now(), valid));
        Ok(is_valid)
    }

    fn complete(&self, row: KeyRow) -> Key {
        let KeyRow { id, name, hint, scopes, own_quota, created_at, revoked_at, last_used_at } = row;
        let quota = own_quota.over(self.shared.settings.quota);
        Key { id, name, hint, scopes, own_quota, quota, created_at, revoked_at, last_used_at }
    }

    /// Notes the use of a key now and then, behind the back of the request.
    fn noted(&self, row: KeyRow) -> Key {
        let now = now_ms();
        let is_due = {
            let mut noted = self.memory().noted();
            let last = noted.get(&row.id).copied().or(row.last_used_at);
            let is_due = last.is_none_or(|last| (now - last).abs() >= NOTED_EVERY);
            if is_due {
                noted.insert(row.id.clone(), now);
            }
            is_due
        };
        if is_due {
            let (store, id): (Store, String) = (self.shared.store.clone(), row.id.clone());
            tokio::spawn(async move {
                if let Err(error) = store.note_use(&id, now).await {
                    tracing::warn!(error = with_causes(&error), "cannot note that a key was used");
                }
            });
        }
        self.complete(row)
    }

    fn memory(&self) -> &KeyMemory {
        &self.shared.keys
    }
}

impl KeyMemory {
    fn noted(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        // A number for each key, set at once.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn valid(&self) -> MutexGuard<'_, Option<(Instant, HashSet<String>)>> {
        // Replaced whole.
        self.valid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drawn(prefix: &str) -> Result<Secret, KeyError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    let mut secret = prefix.to_owned();
    for byte in bytes {
        // A String takes whatever is written.
        let _ = write!(secret, "{byte:02x}");
    }
    Ok(Secret(secret))
}

fn digest(secret: &str) -> String {
    format!("{:x}", Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_different_and_never_logged() {
        let (one, other) = (drawn(KEY_PREFIX).unwrap(), drawn(KEY_PREFIX).unwrap());
        assert_ne!(one, other);
        assert_eq!((one.0.len(), &one.0[..4]), (52, "dcl_"));
        assert_eq!(format!("{one:?}"), "Secret");
        assert_eq!(digest(&one.0).len(), 64);
    }
}
