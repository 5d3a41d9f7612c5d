//! The history: pages of jobs by what they are, and what is done with single ones afterwards.
//!
//! Pages go from the newest to the oldest and resume from a job's number of arrival, so a page never changes by what
//! arrives or ends meanwhile. Each filter has an index that is in that order already: a page costs what it shows, however
//! long the history is.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use super::reading::{COLUMNS, read_job};
use super::{Result, Store, StoreError};
use crate::jobs::{Filter, Job, JobId, JobStatus, with_causes};

impl Store {
    /// The newest first. A row that this program cannot read, because a newer one wrote it, does not hide the others.
    pub(in crate::jobs) async fn list(&self, filter: &Filter) -> Result<Vec<Job>> {
        // A common word beside a rare state is looked for in every text that has it; others must not wait for that.
        let turn = match filter.search {
            Some(_) => Some(self.searches.acquire().await.map_err(|_closed| StoreError::Closed)?),
            None => None,
        };
        let rows = page(filter).build().fetch_all(&self.readers).await?;
        drop(turn);
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
    let wanted = filter.search.as_deref().and_then(|typed| words(typed, filter.owner.as_deref()));
    let is_search = wanted.is_some();
    let order = if let Some(wanted) = wanted {
        query
            .push("jobs_text join jobs on jobs.seq = jobs_text.rowid where jobs_text match ")
            .push_bind(wanted);
        "jobs_text.rowid"
    } else {
        query.push("jobs where true");
        "jobs.seq"
    };
    // One index serves a page: of words; of a batch, or of favourites; of an owner and states; of a voice and states; of states.
    // A plus keeps the planner from another one.
    let is_narrow = is_search || filter.batch.is_some() || filter.favourite;
    if let Some(owner) = &filter.owner {
        query.push(if is_narrow { " and +owner = " } else { " and owner = " }).push_bind(owner);
    }
    let voice = "json_extract(request, '$.voice')";
    if let Some(wanted) = &filter.voice {
        query.push(if is_narrow || filter.owner.is_some() { " and +" } else { " and " });
        query.push(voice).push(" = ").push_bind(wanted);
    }
    // Within each state an index is in the order of arrival, so all of them are named where none is asked for.
    let is_by_state = !is_narrow && (filter.owner.is_some() || filter.voice.is_some());
    let statuses = match filter.statuses.as_slice() {
        [] if is_by_state => JobStatus::ALL.as_slice(),
        asked => asked,
    };
    if !statuses.is_empty() {
        let mut list = query.push(" and status in (").separated(", ");
        for status in statuses {
            list.push_bind(status.as_str());
        }
        list.push_unseparated(")");
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

/// What somebody types as a query of the index of words: all of them, the last one perhaps not typed to its end, in texts of
/// this owner, if one is named. `None` where there is nothing to look for.
fn words(text: &str, owner: Option<&str>) -> Option<String> {
    let found: Vec<String> = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect();
    if found.is_empty() {
        return None;
    }
    let words = format!("text : ({}*)", found.join(" "));
    Some(match owner {
        Some(owner) => format!("{words} AND whose : \"{}\"", owner.replace('"', "")),
        None => words,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_is_a_query() {
        for (typed, query) in [
            ("hello", Some("text : (\"hello\"*)")),
            ("don't AND \"x\" OR *", Some("text : (\"don\" \"t\" \"AND\" \"x\" \"OR\"*)")),
            (" -- () ", None),
            ("", None),
        ] {
            assert_eq!(words(typed, None).as_deref(), query);
        }
        let of_one = "text : (\"hello\"*) AND whose : \"a-b\"";
        assert_eq!(words("hello", Some("a-b")).as_deref(), Some(of_one));
    }
}
