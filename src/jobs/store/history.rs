//! The history: pages of jobs by what they are, and what is done with single ones afterwards.
//!
//! Pages go from the newest to the oldest and resume from a job's number of arrival, so a page never changes by what
//! arrives or ends meanwhile. Each filter has an index that is in that order already: a page costs what it shows, however
//! long the history is.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use super::reading::{COLUMNS, read_job};
use super::{Result, Store};
use crate::jobs::{Filter, Job, JobId, with_causes};

impl Store {
    /// The newest first. A row that this program cannot read, because a newer one wrote it, does not hide the others.
    pub(in crate::jobs) async fn list(&self, filter: &Filter) -> Result<Vec<Job>> {
        let rows = page(filter).build().fetch_all(&self.readers).await?;
        let readable = |row: &SqliteRow| {
            read_job(row)
                .inspect_err(|error| tracing::warn!(error = with_causes(error), "left a job out"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Keeps a job for ever, or no longer. Whether it is there.
    pub(in crate::jobs) async fn set_favourite(&self, id: JobId, favourite: bool) -> Result<bool> {
        let set = sqlx::query("update jobs set favourite = ? where id = ?")
            .bind(favourite)
            .bind(id.to_string())
            .execute(&self.writer)
            .await?;
        Ok(set.rows_affected() > 0)
    }
}

fn page(filter: &Filter) -> QueryBuilder<Sqlite> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("select ");
    query.push(COLUMNS).push(", null as queue_position from ");
    // Where something is searched, the index of words gives the order; else the arrival does.
    let order = if let Some(wanted) = filter.search.as_deref().and_then(words) {
        query
            .push("jobs_text join jobs on jobs.seq = jobs_text.rowid where jobs_text match ")
            .push_bind(wanted);
        "jobs_text.rowid"
    } else {
        query.push("jobs where true");
        "jobs.seq"
    };
    // One index serves a page; a plus keeps the planner from taking the one that everything matches.
    let is_narrow = filter.statuses.len() == 1
        || filter.voice.is_some()
        || filter.batch.is_some()
        || filter.favourite
        || order == "jobs_text.rowid";
    if let Some(owner) = &filter.owner {
        query.push(if is_narrow { " and +owner = " } else { " and owner = " }).push_bind(owner);
    }
    match filter.statuses.as_slice() {
        [] => {}
        [status] => {
            query.push(" and status = ").push_bind(status.as_str());
        }
        several => {
            let mut list = query.push(" and status in (").separated(", ");
            for status in several {
                list.push_bind(status.as_str());
            }
            list.push_unseparated(")");
        }
    }
    if let Some(voice) = &filter.voice {
        query.push(" and json_extract(request, '$.voice') = ").push_bind(voice);
    }
    if let Some(batch) = &filter.batch {
        query.push(" and batch_id = ").push_bind(batch);
    }
    if filter.favourite {
        query.push(" and favourite = 1");
    }
    // Time as arrival: where a page begins and ends is found in the index of times, and nothing between is looked at.
    if let Some(since) = filter.since {
        query
            .push(" and ")
            .push(order)
            .push(" >= coalesce((select seq from jobs where created_at >= ")
            .push_bind(since)
            .push(" order by created_at, seq limit 1), 9223372036854775807) and created_at >= ")
            .push_bind(since);
    }
    if let Some(until) = filter.until {
        query
            .push(" and ")
            .push(order)
            .push(" <= coalesce((select seq from jobs where created_at < ")
            .push_bind(until)
            .push(" order by created_at desc, seq desc limit 1), 0) and created_at < ")
            .push_bind(until);
    }
    if let Some(before) = filter.before {
        query.push(" and ").push(order).push(" < ").push_bind(before);
    }
    query.push(" order by ").push(order).push(" desc limit ").push_bind(filter.limit);
    query
}

/// What somebody types as a query of the index of words: all of them, the last one perhaps not typed to its end. `None`
/// where there is nothing to look for.
fn words(text: &str) -> Option<String> {
    let found: Vec<String> = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect();
    if found.is_empty() { None } else { Some(format!("{}*", found.join(" "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_is_a_query() {
        for (typed, query) in [
            ("hello", Some("\"hello\"*")),
            ("don't AND \"x\" OR *", Some("\"don\" \"t\" \"AND\" \"x\" \"OR\"*")),
            (" -- () ", None),
            ("", None),
        ] {
            assert_eq!(words(typed).as_deref(), query);
        }
    }
}
