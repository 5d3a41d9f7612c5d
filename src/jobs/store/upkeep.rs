//! A look at a database file as it is, for the command line: its schema is left alone, and nothing is written to it.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::{BUSY_TIMEOUT, MIGRATIONS, Result, read_id, read_status};
use crate::jobs::{JobId, JobStatus};

/// Findings of SQLite's own check that are told.
const MOST_FINDINGS: usize = 20;

/// An open database file.
#[derive(Debug)]
pub(in crate::jobs) struct Look {
    connection: SqliteConnection,
}

/// A result that a row promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct Promised {
    pub(in crate::jobs) seq: i64,
    pub(in crate::jobs) id: JobId,
    pub(in crate::jobs) file_name: String,
    pub(in crate::jobs) bytes: u64,
}

impl Look {
    pub(in crate::jobs) async fn at(path: &Path) -> Result<Self> {
        let options =
            SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
        Ok(Self { connection: options.connect().await? })
    }

    pub(in crate::jobs) async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }

    /// Its schema, and the one of this program.
    pub(in crate::jobs) async fn schema(&mut self) -> Result<(i64, usize)> {
        let row = sqlx::query("pragma user_version").fetch_one(&mut self.connection).await?;
        Ok((row.try_get(0)?, MIGRATIONS.len()))
    }

    pub(in crate::jobs) async fn jobs(&mut self) -> Result<u64> {
        let row = sqlx::query("select count(*) from jobs").fetch_one(&mut self.connection).await?;
        Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
    }

    /// Writes a copy of this moment to a file that is empty or not there. Writers are not kept waiting.
    pub(in crate::jobs) async fn copy_to(&mut self, path: &str) -> Result<()> {
        sqlx::query("vacuum into ?").bind(path).execute(&mut self.connection).await?;
        Ok(())
    }

    /// What SQLite finds wrong with the file, and which rows refer to none. A `thorough` look also compares each index with
    /// its table, which takes minutes for millions of rows.
    pub(in crate::jobs) async fn findings(&mut self, thorough: bool) -> Result<Vec<String>> {
        let check = if thorough { "pragma integrity_check(20)" } else { "pragma quick_check(20)" };
        let mut findings = Vec::new();
        for row in sqlx::query(check).fetch_all(&mut self.connection).await? {
            let said: String = row.try_get(0)?;
            if said != "ok" {
                findings.push(said);
            }
        }
        let orphans = sqlx::query("pragma foreign_key_check").fetch_all(&mut self.connection).await?;
        for row in orphans.iter().take(MOST_FINDINGS) {
            let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            findings.push(format!("a row of {table} refers to none of {parent}"));
        }
        Ok(findings)
    }

    /// Results that rows promise, from after this number of arrival on.
    pub(in crate::jobs) async fn promised(&mut self, after: i64, limit: u32) -> Result<Vec<Promised>> {
        sqlx::query(
            "select seq, id, output_file, output_bytes from jobs
             where status = 'completed' and seq > ? order by seq limit ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Promised {
                seq: row.try_get(0)?,
                id: read_id(row.try_get(1)?)?,
                file_name: row.try_get(2)?,
                bytes: row.try_get::<i64, _>(3)?.cast_unsigned(),
            })
        })
        .collect()
    }

    /// Chunks of jobs that are not at their end, or may be tried again.
    pub(in crate::jobs) async fn kept_chunks(&mut self, limit: u32) -> Result<Vec<(JobId, u32)>> {
        sqlx::query(
            "select chunks.job_id, chunks.position from chunks join jobs on jobs.id = chunks.job_id
             where jobs.status in ('queued', 'running', 'failed') limit ?",
        )
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await?
        .iter()
        .map(|row| Ok((read_id(row.try_get(0)?)?, row.try_get(1)?)))
        .collect()
    }

    /// Where a job stands, and the file of its result.
    pub(in crate::jobs) async fn standing(
        &mut self,
        id: JobId,
    ) -> Result<Option<(JobStatus, Option<String>)>> {
        sqlx::query("select status, output_file from jobs where id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut self.connection)
            .await?
            .map(|row| Ok((read_status(row.try_get(0)?)?, row.try_get(1)?)))
            .transpose()
    }
}
