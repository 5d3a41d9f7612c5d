//! What the database and the disk say, read from outside the program.
//!
//! Two triggers, put into the database before the first round, note every completion and every chunk in the very
//! transaction that makes it. So "none twice" is checked against what was committed, not against what the rows say
//! in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use declaim::jobs::{Jobs, QueueSettings};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row};

const TRIGGERS: &str = "
    create table witnessed_completions (job_id text);
    create table witnessed_chunks (job_id text, position integer);
    create index completions_of_job on witnessed_completions (job_id);
    create index chunks_of_job on witnessed_chunks (job_id, position);
    create trigger completion after update of status on jobs when new.status = 'completed'
        begin insert into witnessed_completions values (new.id); end;
    create trigger chunk_insert after insert on chunks
        begin insert into witnessed_chunks values (new.job_id, new.position); end;
    create trigger chunk_update after update on chunks
        begin insert into witnessed_chunks values (new.job_id, new.position); end;
";

/// A job as the database has it.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) status: String,
    /// What was to be said.
    pub(crate) text: String,
    pub(crate) error: Option<String>,
    pub(crate) output_file: Option<String>,
    pub(crate) output_bytes: Option<i64>,
    pub(crate) completions: i64,
    /// The texts of the finished chunks, in order.
    pub(crate) chunk_texts: Vec<String>,
    /// Positions and digests of the finished chunks, in order.
    pub(crate) chunk_digests: Vec<(i64, String)>,
    /// Samples of all finished chunks.
    pub(crate) chunk_samples: i64,
    /// How often a chunk was finished that was finished before.
    pub(crate) chunks_redone: i64,
}

/// Makes the database and its witnesses, with no server near.
pub(crate) fn prepare(data_dir: &Path) {
    block_on(async {
        Jobs::open(data_dir, QueueSettings::default()).await.unwrap().close().await;
        let mut connection = open(&data_dir.join("declaim.db")).await;
        connection.execute(sqlx::raw_sql(TRIGGERS)).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// What the database knows.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// By id.
    pub(crate) jobs: BTreeMap<String, JobRow>,
    /// Batches: how many jobs each had when it was accepted, and how many it has.
    pub(crate) batches: BTreeMap<String, (i64, i64)>,
    /// Events by number: whose, and what.
    pub(crate) events: BTreeMap<i64, (String, String)>,
}

/// All jobs by id.
pub(crate) fn jobs(data_dir: &Path) -> BTreeMap<String, JobRow> {
    facts(data_dir).expect("the database can be read").jobs
}

/// Reads a copy, so that the server itself has to recover what the kill left behind.
///
/// # Errors
/// What is wrong with the database.
pub(crate) fn facts(data_dir: &Path) -> Result<Facts, String> {
    let copy = tempfile::tempdir().unwrap();
    for name in ["declaim.db", "declaim.db-wal"] {
        let from = data_dir.join(name);
        if from.exists() {
            std::fs::copy(from, copy.path().join(name)).unwrap();
        }
    }
    block_on(async {
        let options = SqliteConnectOptions::new().filename(copy.path().join("declaim.db"));
        let mut connection =
            SqliteConnection::connect_with(&options).await.map_err(|error| error.to_string())?;
        let facts = read(&mut connection).await.map_err(|error| error.to_string());
        let _ = connection.close().await;
        facts
    })
}

async fn read(connection: &mut SqliteConnection) -> Result<Facts, sqlx::Error> {
    let damage: String =
        sqlx::query("pragma integrity_check").fetch_one(&mut *connection).await?.try_get(0)?;
    if damage != "ok" {
        return Err(sqlx::Error::Protocol(format!("the database is damaged: {damage}")));
    }
    let rows = sqlx::query(
        "select id, status, json_extract(request, '$.text') as text, error, output_file, output_bytes,
                (select count(*) from witnessed_completions where job_id = jobs.id) as completions,
                (select coalesce(sum(samples), 0) from chunks where job_id = jobs.id) as chunk_samples,
                (select count(*) - count(distinct position) from witnessed_chunks where job_id = jobs.id)
                    as chunks_redone
         from jobs",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut facts = Facts::default();
    for row in rows {
        let id: String = row.get("id");
        let job = JobRow {
            status: row.get("status"),
            text: row.get("text"),
            error: row.get("error"),
            output_file: row.get("output_file"),
            output_bytes: row.get("output_bytes"),
            completions: row.get("completions"),
            chunk_texts: Vec::new(),
            chunk_digests: Vec::new(),
            chunk_samples: row.get("chunk_samples"),
            chunks_redone: row.get("chunks_redone"),
        };
        facts.jobs.insert(id, job);
    }
    let chunks = "select job_id, text, position, digest from chunks order by job_id, position";
    for row in sqlx::query(chunks).fetch_all(&mut *connection).await? {
        let job = facts.jobs.get_mut(row.get::<&str, _>(0)).ok_or(sqlx::Error::RowNotFound)?;
        job.chunk_texts.push(row.get(1));
        job.chunk_digests.push((row.get(2), row.get(3)));
    }
    let batches = "select id, total, (select count(*) from jobs where batch_id = batches.id) from batches";
    for row in sqlx::query(batches).fetch_all(&mut *connection).await? {
        facts.batches.insert(row.get(0), (row.get(1), row.get(2)));
    }
    for row in sqlx::query("select seq, job_id, kind from events").fetch_all(&mut *connection).await? {
        facts.events.insert(row.get(0), (row.get(1), row.get(2)));
    }
    Ok(facts)
}

/// Whether some waiting or running job died with the server and has finished no chunk since. Reads beside the running
/// server, and is gone before that is killed: whoever closes a database last tidies it up.
pub(crate) fn has_unpardoned_deaths(data_dir: &Path) -> bool {
    block_on(async {
        let mut connection = open(&data_dir.join("declaim.db")).await;
        let row = sqlx::query("select exists (select 1 from jobs where crashes > 0 and finished_at is null)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        row.get(0)
    })
}

/// Every file under the folders of results and chunks, with what changes when it is written anew.
pub(crate) fn files(data_dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![data_dir.join("outputs"), data_dir.join("chunks")];
    while let Some(folder) = folders.pop() {
        // A running server removes folders while they are read.
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => {
                    found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
                }
                Err(_) => {}
            }
        }
    }
    found
}

/// Folders left for chunks.
pub(crate) fn chunk_folders(data_dir: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(data_dir.join("chunks")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

async fn open(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
