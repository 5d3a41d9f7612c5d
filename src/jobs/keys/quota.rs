//! How much one key may do.
//!
//! Characters per minute are a pace: what was sent runs out at the limit's own pace, and a text is taken when it fits into
//! what is left, or when nothing is owed. So a book can be sent by a key whose pace is lower than a book, and is then made
//! up for. Audio seconds per day are a budget, for each day in UTC: what was made counts, and what waits counts by its
//! length, so that a full queue cannot overdraw it by more than the estimate is wrong.

use std::time::Duration;

use crate::config::Settings;

/// Characters that a second of speech takes, about: what waits is counted by it until it is made.
const CHARACTERS_PER_SECOND: u64 = 15;

/// Milliseconds.
const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

/// The most that one key may do; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub characters_per_minute: Option<u32>,
    pub audio_seconds_per_day: Option<u32>,
}

impl Quota {
    pub const NONE: Self = Self { characters_per_minute: None, audio_seconds_per_day: None };
}

impl From<&Settings> for Quota {
    fn from(settings: &Settings) -> Self {
        Self {
            characters_per_minute: settings.limits.characters_per_minute,
            audio_seconds_per_day: settings.limits.audio_seconds_per_day,
        }
    }
}

/// Where a key differs from the settings: `None` does not, 0 has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnQuota {
    pub characters_per_minute: Option<u32>,
    pub audio_seconds_per_day: Option<u32>,
}

impl OwnQuota {
    /// What holds for the key.
    pub fn over(self, usual: Quota) -> Quota {
        let one = |own: Option<u32>, usual| own.map_or(usual, |own| Some(own).filter(|limit| *limit > 0));
        Quota {
            characters_per_minute: one(self.characters_per_minute, usual.characters_per_minute),
            audio_seconds_per_day: one(self.audio_seconds_per_day, usual.audio_seconds_per_day),
        }
    }
}

/// Why a wish is beyond a key's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdrawn {
    Characters {
        limit: u32,
        retry_in: Duration,
    },
    Audio {
        limit: u32,
        retry_in: Duration,
    },
    /// Not even a whole day would do.
    TooLong {
        limit: u32,
        seconds: u64,
    },
}

/// What still counts against the minute, in thousandths of characters, some milliseconds after it was `spent`. A clock that
/// was set back forgives.
pub(in crate::jobs) fn still_spent(spent: i64, elapsed: i64, limit: u32) -> i64 {
    if elapsed < 0 {
        return 0;
    }
    let run_out = elapsed.saturating_mul(limit.into()).saturating_mul(1000) / MINUTE;
    spent.saturating_sub(run_out).max(0)
}

/// Whether so many characters may follow when this much, in thousandths, still counts.
pub(in crate::jobs) fn admit_characters(still: i64, characters: u64, limit: u32) -> Result<(), Overdrawn> {
    let wanted = i64::try_from(characters).unwrap_or(i64::MAX).saturating_mul(1000);
    let most = i64::from(limit) * 1000;
    let beyond = if wanted > most { still } else { still + wanted - most };
    if beyond <= 0 {
        return Ok(());
    }
    // At a pace of `most` a minute, rounded up.
    let wait = beyond.saturating_mul(MINUTE) / most + 1;
    Err(Overdrawn::Characters { limit, retry_in: Duration::from_millis(wait.cast_unsigned()) })
}

/// Whether `more` milliseconds of audio may follow on a day on which `made` were made already, with so many characters
/// waiting.
pub(in crate::jobs) fn admit_audio(
    made: u64,
    waiting: u64,
    more: u64,
    limit: u32,
    now: i64,
) -> Result<(), Overdrawn> {
    let most = u64::from(limit) * 1000;
    if more > most {
        return Err(Overdrawn::TooLong { limit, seconds: more / 1000 });
    }
    if made.saturating_add(estimated_ms(waiting)).saturating_add(more) <= most {
        return Ok(());
    }
    Err(Overdrawn::Audio { limit, retry_in: until_midnight(now) })
}

/// How long a text of so many characters is spoken, in milliseconds, about.
pub(in crate::jobs) fn estimated_ms(characters: u64) -> u64 {
    characters.saturating_mul(1000) / CHARACTERS_PER_SECOND
}

/// The day of a time, counted from the Unix epoch in UTC.
pub(in crate::jobs) fn day_of(now: i64) -> i64 {
    now.div_euclid(DAY)
}

fn until_midnight(now: i64) -> Duration {
    Duration::from_millis((DAY - now.rem_euclid(DAY)).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(outcome: Result<(), Overdrawn>) -> Option<u64> {
        match outcome {
            Err(Overdrawn::Characters { retry_in, .. } | Overdrawn::Audio { retry_in, .. }) => {
                Some(retry_in.as_secs())
            }
            _ => None,
        }
    }

    #[test]
    fn a_keys_own_quota_goes_before_the_usual_one_and_0_is_none() {
        let usual = Quota { characters_per_minute: Some(10), audio_seconds_per_day: Some(20) };
        assert_eq!(OwnQuota::default().over(usual), usual);
        let own = OwnQuota { characters_per_minute: Some(0), audio_seconds_per_day: Some(5) };
        assert_eq!(own.over(usual), Quota { characters_per_minute: None, audio_seconds_per_day: Some(5) });
    }

    #[test]
    fn what_was_spent_runs_out_at_the_limits_own_pace() {
        assert_eq!(still_spent(60_000, 30_000, 60), 30_000);
        assert_eq!(still_spent(60_000, 60_000, 60), 0);
        assert_eq!(still_spent(60_000, i64::MAX, 60), 0);
        assert_eq!(still_spent(60_000, -1, 60), 0, "the clock was set back");
    }

    #[test]
    fn a_text_that_fits_is_taken_and_another_waits_until_it_does() {
        assert_eq!(admit_characters(0, 60, 60), Ok(()));
        assert_eq!(admit_characters(30_000, 30, 60), Ok(()));
        // 31 more than fit, at one a second.
        assert_eq!(wait(admit_characters(60_000, 31, 60)), Some(31));
    }

    #[test]
    fn a_text_beyond_the_limit_is_taken_by_a_key_that_owes_nothing() {
        assert_eq!(admit_characters(0, 500_000, 60), Ok(()));
        assert_eq!(wait(admit_characters(10_000, 500_000, 60)), Some(10));
        assert_eq!(wait(admit_characters(500_000_000, 1, 60)), Some(499_941));
    }

    #[test]
    fn a_day_has_its_audio_and_not_more_whatever_waits() {
        let noon = DAY / 2;
        assert_eq!(admit_audio(0, 0, 10_000, 10, noon), Ok(()));
        assert_eq!(admit_audio(5_000, 0, 5_000, 10, noon), Ok(()));
        assert_eq!(wait(admit_audio(5_000, 15, 5_000, 10, noon)), Some(12 * 3600));
        assert_eq!(
            admit_audio(0, 0, estimated_ms(1500), 10, noon),
            Err(Overdrawn::TooLong { limit: 10, seconds: 100 }),
            "waiting for tomorrow would not help"
        );
        assert_eq!((day_of(DAY - 1), day_of(DAY)), (0, 1));
    }
}
