//! How the queue does with a million jobs behind it, and how many it takes in a second. Measures; run by hand:
//! `cargo test --workspace --lib -- --ignored --nocapture a_million_jobs`. The figures stand in docs/OPERATIONS.md.

use std::time::{Duration, Instant};

use sqlx::Executor;

use super::tests::{Table, request, table};
use super::{Addition, Bounds};
use crate::jobs::{Client, Filter, JobId, JobStatus, NewJob, Priority, Quota};

const ROWS: u32 = 1_000_000;
const CLIENTS: usize = 64;
const CLAIMS: usize = 300;

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

async fn timed<T>(times: &mut Vec<Duration>, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    times.push(begun.elapsed());
    done
}

/// Ended jobs, each with its events and its words, written as the program writes them but in one transaction.
async fn fill(table: &Table) {
    let request = serde_json::to_string(&request("WORDS")).unwrap().replace('\'', "''");
    let fill = format!(
        "begin;
         with recursive number (n) as (select 1 union all select n + 1 from number where n < {ROWS})
         insert into jobs (id, priority, request, created_at, due_at, model, status, progress, finished_at,
                           output_file, output_bytes, output_duration_ms, error)
         select printf('00000000-0000-7000-8000-%012x', n), 0,
                replace('{request}', 'WORDS', printf('Sentence number %d about topic%d.', n, n % 1000)),
                n, n, 'tone',
                case when n % 100 = 0 then 'failed' else 'completed' end,
                case when n % 100 = 0 then 50 else 100 end, n + 1,
                case when n % 100 = 0 then null else 'x' end, case when n % 100 = 0 then null else 1 end,
                case when n % 100 = 0 then null else 1 end, case when n % 100 = 0 then 'why' end
         from number;
         commit;"
    );
    let mut writer = table.store.writer.acquire().await.unwrap();
    writer.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(fill))).await.unwrap();
}

/// Takes up jobs; the time that the slowest of a hundred took.
async fn claims(table: &Table, name: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..CLAIMS {
        let claimed = timed(&mut times, async {
            let next = table.store.next(2000, None).await.unwrap().unwrap();
            table.store.claim(&next, 0, 2000).await.unwrap()
        });
        assert!(claimed.await.is_some());
    }
    let slowest = percentile(&mut times, 99);
    println!("{name}: p50 {:.1?}, p99 {slowest:.1?}", percentile(&mut times, 50));
    slowest
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a database with a million rows; prints times"]
async fn a_million_jobs_behind_it_do_not_slow_the_queue_down() {
    let table = table().await;
    for number in 0..CLAIMS {
        let new = NewJob::new(request(&format!("{number}.")), Priority::Normal);
        let bounds = Bounds { total: 100_000, per_client: 100_000, quota: Quota::NONE };
        table.store.add(vec![(JobId::new(), new)], 1000, bounds).await.unwrap();
    }
    // What this machine can do at this moment, to compare with.
    claims(&table, "claim, without a history").await;
    let begun = Instant::now();
    fill(&table).await;
    println!("filled {ROWS} rows in {:.0?}", begun.elapsed());

    let mut adding = Vec::new();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let store = table.store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                for number in 0..30 {
                    let client = Client { owner: String::new(), name: client.to_string() };
                    let new = NewJob {
                        client,
                        ..NewJob::new(request(&format!("New {number}.")), Priority::Normal)
                    };
                    let bounds = Bounds { total: 100_000, per_client: 100_000, quota: Quota::NONE };
                    let added = timed(&mut times, store.add(vec![(JobId::new(), new)], 1000, bounds)).await;
                    assert_eq!(added.unwrap(), Addition::Added);
                }
                times
            })
        })
        .collect();
    for task in tasks {
        adding.extend(task.await.unwrap());
    }
    let rate = adding.len() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{CLIENTS} clients: {rate:.0} jobs a second accepted and synced, p99 {:.1?}",
        percentile(&mut adding, 99)
    );
    assert!(rate >= 300.0);

    let loaded = claims(&table, "claim").await;

    let page = |filter: Filter| Filter { limit: 50, ..filter };
    for (name, filter) in [
        ("newest", Filter::default()),
        ("deep", Filter { before: Some(i64::from(ROWS) / 2), ..Filter::default() }),
        ("failed", Filter { statuses: vec![JobStatus::Failed], ..Filter::default() }),
        (
            "completed, deep",
            Filter { statuses: vec![JobStatus::Completed], before: Some(1000), ..Filter::default() },
        ),
        ("words of all", Filter { search: Some("sentence".to_owned()), ..Filter::default() }),
        ("words of some", Filter { search: Some("topic77 numb".to_owned()), ..Filter::default() }),
        ("voice", Filter { voice: Some("hum".to_owned()), ..Filter::default() }),
        ("time", Filter { until: Some(1000), ..Filter::default() }),
    ] {
        let mut times = Vec::new();
        for _ in 0..20 {
            let found = timed(&mut times, table.store.list(&page(filter.clone()))).await.unwrap();
            assert!(!found.is_empty(), "{name}");
        }
        let slowest = percentile(&mut times, 99);
        println!("list, {name}: p50 {:.1?}, p99 {slowest:.1?}", percentile(&mut times, 50));
        // The last word may be a beginning, and the index gathers all texts with such a word before the first is shown: known,
        // printed. It is what both searches take; a whole word comes in order, in a tenth of a millisecond.
        assert!(slowest < Duration::from_millis(50) || name.starts_with("words"), "{name}");
    }
    assert!(loaded < Duration::from_millis(20), "{loaded:?}");
}
