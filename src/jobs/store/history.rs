//! The history: pages of jobs by what they are, and what is done with single ones afterwards.
//!
//! Pages go from the newest to the oldest and resume from a job's number of arrival, so a page never changes by what
//! arrives or ends meanwhile. Each filter has an index that is in that order already: a page costs what it shows, however
//! long the history is.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::reading::{COLUMNS, read_job};
use super::{Result, Store, StoreError};
use crate::jobs::{Filter, Job, JobId, JobStatus, with_causes};

/// Words that a beginning is looked up as; where more begin so, it is looked for as a beginning.
const MOST_WORDS: u32 = 64;

impl Store {
    /// The newest first. A row that this program cannot read, because a newer one wrote it, does not hide the others.
    pub(in crate::jobs) async fn list(&self, filter: &Filter) -> Result<Vec<Job>> {
        // A common word beside a rare state is looked for in every text that has it; others must not wait for that.
        let (turn, wanted) = match filter.search.as_deref() {
            Some(typed) => {
                let turn = self.searches.acquire().await.map_err(|_closed| StoreError::Closed)?;
                (Some(turn), self.wanted(typed, filter.owner.as_deref()).await?)
            }
            None => (None, None),
        };
        let rows = page(filter, wanted).build().fetch_all(&self.readers).await?;
        drop(turn);
        let readable = |row: &SqliteRow| {
            read_job(row)
                .inspect_err(|error| tracing::warn!(error = with_causes(error), "left a job out"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// What somebody types as a query of the index of words; `None` where there is nothing to look for.
    async fn wanted(&self, typed: &str, owner: Option<&str>) -> Result<Option<String>> {
        let typed = words(typed);
        let Some(last) = typed.last() else { return Ok(None) };
        // Only of these it is known here how the index writes them.
        let meant =
            if last.is_ascii() { self.begun_with(&last.to_ascii_lowercase()).await? } else { Vec::new() };
        Ok(query(&typed, &meant, owner))
    }

    /// The words of all texts that begin so; none where they are more than [`MOST_WORDS`].
    async fn begun_with(&self, beginning: &str) -> Result<Vec<String>> {
        // From each word to the next one: the index has a word as often as a text does.
        let rows = sqlx::query(
            "with recursive word (term) as (
                 select (select term from jobs_words where term >= ?1 limit 1)
                 union all
                 select (select term from jobs_words where term >= word.term || char(1) limit 1)
                 from word where word.term < ?2 limit ?3
             )
             select term from word where term >= ?1 and term < ?2",
        )
        .bind(beginning)
        .bind(format!("{beginning}{}", char::MAX))
        .bind(MOST_WORDS + 1)
        .fetch_all(&self.readers)
        .await?;
        if rows.len() > MOST_WORDS as usize {
            return Ok(Vec::new());
        }
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
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

fn page(filter: &Filter, wanted: Option<String>) -> QueryBuilder<Sqlite> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("select ");
    query.push(COLUMNS).push(", null as queue_position from ");
    // Where something is searched, the index of words gives the order; else the arrival does.
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
        let mut list =
            query.push(if is_search { " and +status in (" } else { " and status in (" }).separated(", ");
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

fn words(typed: &str) -> Vec<&str> {
    typed.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// All of these words, in texts of this owner, if one is named. The last one is perhaps not typed to its end: it stands for
/// the words that are `meant`, each of which the index knows in order of arrival; where none is said, for whatever begins so,
/// which is gathered before the newest of it is known.
fn query(words: &[&str], meant: &[String], owner: Option<&str>) -> Option<String> {
    let quoted = |word: &str| format!("\"{word}\"");
    let (last, before) = words.split_last()?;
    let last = match meant {
        [] => format!("{}*", quoted(last)),
        meant => format!("({})", meant.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" OR ")),
    };
    let all: Vec<String> = before.iter().map(|word| quoted(word)).chain([last]).collect();
    let words = format!("text : ({})", all.join(" AND "));
    Some(match owner {
        Some(owner) => format!("{words} AND whose : {}", quoted(&owner.replace('"', ""))),
        None => words,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_is_a_query() {
        for (typed, expected) in [
            ("hello", Some("text : (\"hello\"*)")),
            ("don't AND \"x\" OR *", Some("text : (\"don\" AND \"t\" AND \"AND\" AND \"x\" AND \"OR\"*)")),
            (" -- () ", None),
            ("", None),
        ] {
            assert_eq!(query(&words(typed), &[], None).as_deref(), expected);
        }
        let meant = ["light".to_owned(), "lighthouse".to_owned()];
        let of_one = "text : (\"old\" AND (\"light\" OR \"lighthouse\")) AND whose : \"a-b\"";
        assert_eq!(query(&["old", "light"], &meant, Some("a-b")).as_deref(), Some(of_one));
    }
}
