//! Keys, the sessions of browsers that have one, and what keys have used.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Result, Store, StoreError};
use crate::jobs::keys::{
    Overdrawn, OwnQuota, Quota, Scopes, admit_audio, admit_characters, day_of, estimated_ms, still_spent,
};

/// Sessions of one key; the oldest go.
const MOST_SESSIONS: u32 = 100;

/// Days for which it is known how much audio a key made.
const DAYS_KEPT: i64 = 90;

const COLUMNS: &str =
    "keys.id, name, hint, scopes, characters_per_minute, audio_seconds_per_day, keys.created_at,
     revoked_at, last_used_at";

/// A row; see [`crate::jobs::keys::Key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct KeyRow {
    pub(in crate::jobs) id: String,
    pub(in crate::jobs) name: String,
    pub(in crate::jobs) hint: String,
    pub(in crate::jobs) scopes: Scopes,
    pub(in crate::jobs) own_quota: OwnQuota,
    pub(in crate::jobs) created_at: i64,
    pub(in crate::jobs) revoked_at: Option<i64>,
    pub(in crate::jobs) last_used_at: Option<i64>,
}

/// What became of a wish to add a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jobs) enum KeyAddition {
    Added,
    NameTaken,
    TooMany,
}

/// What a key has used, as the rows say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::jobs) struct Used {
    /// Thousandths of characters that counted against the minute at `spent_at`.
    pub(in crate::jobs) spent: i64,
    pub(in crate::jobs) spent_at: i64,
    /// Made on the day that was asked for, in milliseconds.
    pub(in crate::jobs) audio_ms: u64,
}

impl Store {
    pub(in crate::jobs) async fn add_key(
        &self,
        key: &KeyRow,
        digest: &str,
        most: u32,
    ) -> Result<KeyAddition> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let found =
            sqlx::query("select count(*), coalesce(sum(name = ?), 0) from keys where revoked_at is null")
                .bind(&key.name)
                .fetch_one(&mut *transaction)
                .await?;
        if found.try_get::<i64, _>(1)? > 0 {
            return Ok(KeyAddition::NameTaken);
        }
        if found.try_get::<i64, _>(0)? >= i64::from(most) {
            return Ok(KeyAddition::TooMany);
        }
        sqlx::query(
            "insert into keys (id, name, digest, hint, scopes, characters_per_minute, audio_seconds_per_day, created_at)
             values (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(digest)
        .bind(&key.hint)
        .bind(key.scopes.to_string())
        .bind(key.own_quota.characters_per_minute)
        .bind(key.own_quota.audio_seconds_per_day)
        .bind(key.created_at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(KeyAddition::Added)
    }

    /// In order of their making.
    pub(in crate::jobs) async fn keys(&self, with_revoked: bool) -> Result<Vec<KeyRow>> {
        let query = format!("select {COLUMNS} from keys where ? or revoked_at is null order by id");
        sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(with_revoked)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(read_key)
            .collect()
    }

    pub(in crate::jobs) async fn key_by_digest(&self, digest: &str) -> Result<Option<KeyRow>> {
        let query = format!("select {COLUMNS} from keys where digest = ? and revoked_at is null");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(digest).fetch_optional(&self.readers).await?;
        row.as_ref().map(read_key).transpose()
    }

    pub(in crate::jobs) async fn key_by_session(&self, digest: &str, now: i64) -> Result<Option<KeyRow>> {
        let query = format!(
            "select {COLUMNS} from sessions join keys on keys.id = key_id
             where sessions.digest = ? and expires_at > ? and revoked_at is null"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(digest)
            .bind(now)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read_key).transpose()
    }

    /// Revokes the key with this id, else that of this name, and ends its sessions.
    pub(in crate::jobs) async fn revoke_key(&self, id_or_name: &str, now: i64) -> Result<Option<KeyRow>> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let query = format!(
            "update keys set revoked_at = ?1 where revoked_at is null and id = coalesce(
                 (select id from keys where id = ?2), (select id from keys where name = ?2 and revoked_at is null)
             )
             returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(now)
            .bind(id_or_name)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let key = read_key(&row)?;
        sqlx::query("delete from sessions where key_id = ?").bind(&key.id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(key))
    }

    pub(in crate::jobs) async fn note_use(&self, id: &str, now: i64) -> Result<()> {
        sqlx::query("update keys set last_used_at = ? where id = ?")
            .bind(now)
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Adds a session that `lasts` so many milliseconds, in the place of those that are over or too many.
    pub(in crate::jobs) async fn add_session(
        &self,
        digest: &str,
        key: &str,
        now: i64,
        lasts: i64,
    ) -> Result<()> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        sqlx::query("insert into sessions (digest, key_id, created_at, expires_at) values (?, ?, ?, ?)")
            .bind(digest)
            .bind(key)
            .bind(now)
            .bind(now.saturating_add(lasts))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "delete from sessions where expires_at <= ?1 or (key_id = ?2 and digest not in (
                 select digest from sessions where key_id = ?2 order by created_at desc limit ?3
             ))",
        )
        .bind(now)
        .bind(key)
        .bind(MOST_SESSIONS)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    pub(in crate::jobs) async fn remove_session(&self, digest: &str) -> Result<()> {
        sqlx::query("delete from sessions where digest = ?").bind(digest).execute(&self.writer).await?;
        Ok(())
    }

    pub(in crate::jobs) async fn used(&self, id: &str, day: i64) -> Result<Used> {
        let row = sqlx::query(
            "select spent, spent_at,
                    coalesce((select milliseconds from audio_made where owner = keys.id and day = ?), 0)
             from keys where id = ?",
        )
        .bind(day)
        .bind(id)
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(Used::default()) };
        Ok(Used {
            spent: row.try_get(0)?,
            spent_at: row.try_get(1)?,
            audio_ms: row.try_get::<i64, _>(2)?.cast_unsigned(),
        })
    }

    /// Why so many milliseconds are beyond an owner's audio of the day, if they are.
    pub(in crate::jobs) async fn beyond_audio(
        &self,
        owner: &str,
        milliseconds: u64,
        usual: Quota,
        now: i64,
    ) -> Result<Option<Overdrawn>> {
        let mut connection = self.readers.acquire().await?;
        let Some((quota, _, _)) = quota_of(&mut connection, owner, usual).await? else { return Ok(None) };
        check_audio(&mut connection, owner, milliseconds, quota, now).await
    }

    pub(in crate::jobs) async fn count_audio(&self, owner: &str, day: i64, milliseconds: u64) -> Result<()> {
        sqlx::query(
            "insert into audio_made (owner, day, milliseconds) values (?, ?, ?)
             on conflict (owner, day) do update set milliseconds = milliseconds + excluded.milliseconds",
        )
        .bind(owner)
        .bind(day)
        .bind(milliseconds.cast_signed())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Forgets sessions that are over, and how much audio was made long ago.
    pub(in crate::jobs) async fn tidy_keys(&self, now: i64) -> Result<()> {
        sqlx::query("delete from sessions where expires_at <= ?").bind(now).execute(&self.writer).await?;
        sqlx::query("delete from audio_made where day < ?")
            .bind(day_of(now) - DAYS_KEPT)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

/// Takes so many characters out of an owner's quota, or says why not and takes nothing. Within the transaction that adds
/// the jobs, so that two wishes at one time do not both get what is enough for one.
pub(super) async fn spend(
    connection: &mut SqliteConnection,
    owner: &str,
    characters: u64,
    usual: Quota,
    now: i64,
) -> Result<Option<Overdrawn>> {
    let Some((quota, spent, spent_at)) = quota_of(connection, owner, usual).await? else { return Ok(None) };
    if let Some(overdrawn) = check_audio(connection, owner, estimated_ms(characters), quota, now).await? {
        return Ok(Some(overdrawn));
    }
    let Some(limit) = quota.characters_per_minute else { return Ok(None) };
    let still = still_spent(spent, now - spent_at, limit);
    if let Err(overdrawn) = admit_characters(still, characters, limit) {
        return Ok(Some(overdrawn));
    }
    let more = i64::try_from(characters).unwrap_or(i64::MAX).saturating_mul(1000);
    sqlx::query("update keys set spent = ?, spent_at = ? where id = ?")
        .bind(still.saturating_add(more))
        .bind(now)
        .bind(owner)
        .execute(connection)
        .await?;
    Ok(None)
}

/// What holds for an owner, and what it has spent; `None` for who has no key.
async fn quota_of(
    connection: &mut SqliteConnection,
    owner: &str,
    usual: Quota,
) -> Result<Option<(Quota, i64, i64)>> {
    if owner.is_empty() {
        return Ok(None);
    }
    let row = sqlx::query(
        "select characters_per_minute, audio_seconds_per_day, spent, spent_at from keys where id = ?",
    )
    .bind(owner)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let own = OwnQuota { characters_per_minute: row.try_get(0)?, audio_seconds_per_day: row.try_get(1)? };
    Ok(Some((own.over(usual), row.try_get(2)?, row.try_get(3)?)))
}

async fn check_audio(
    connection: &mut SqliteConnection,
    owner: &str,
    milliseconds: u64,
    quota: Quota,
    now: i64,
) -> Result<Option<Overdrawn>> {
    let Some(limit) = quota.audio_seconds_per_day else { return Ok(None) };
    let row = sqlx::query(
        "select coalesce((select milliseconds from audio_made where owner = ?1 and day = ?2), 0),
                coalesce((select sum(cost) from jobs where finished_at is null and owner <> '' and owner = ?1), 0)",
    )
    .bind(owner)
    .bind(day_of(now))
    .fetch_one(connection)
    .await?;
    let (made, waiting): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(admit_audio(made.cast_unsigned(), waiting.cast_unsigned(), milliseconds, limit, now).err())
}

fn read_key(row: &SqliteRow) -> Result<KeyRow> {
    let scopes: &str = row.try_get("scopes")?;
    Ok(KeyRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        hint: row.try_get("hint")?,
        scopes: scopes.parse().map_err(|_unknown| StoreError::Unknown(scopes.to_owned()))?,
        own_quota: OwnQuota {
            characters_per_minute: row.try_get("characters_per_minute")?,
            audio_seconds_per_day: row.try_get("audio_seconds_per_day")?,
        },
        created_at: row.try_get("created_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}
