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

/// Ended jobs of ten owners, each with its events and its words, written as the program writes them but in one transaction.
/// Of a hundred jobs one failed, or was cancelled every now and then; of a thousand one has another voice.
async fn fill(table: &Table) {
    let request = serde_json::to_string(&request("WORDS")).unwrap().replace('\'', "''");
    let fill = format!(
        "begin;
         with recursive number (n) as (select 1 union all select n + 1 from number where n < {ROWS})
         insert into jobs (id, priority, request, created_at, due_at, model, status, progress, finished_at,
                           output_file, output_bytes, output_duration_ms, error, owner)
         select printf('00000000-0000-7000-8000-%012x', n), 0,
                replace(replace('{request}', 'WORDS', printf('Sentence number %d about topic%d.', n, n % 1000)),
                        'hum', case when n % 1000 = 0 then 'rare' else 'hum' end),
                n, n, 'tone',
                case when n % 50000 = 100 then 'cancelled' when n % 100 = 0 then 'failed' else 'completed' end,
                case when n % 100 = 0 then 50 else 100 end, n + 1,
                case when n % 100 = 0 then null else 'x' end, case when n % 100 = 0 then null else 1 end,
                case when n % 100 = 0 then null else 1 end,
                case when n % 50000 = 100 then null when n % 100 = 0 then 'why' end, 'key' || (n % 10)
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

    pages(&table).await;
    assert!(loaded < Duration::from_millis(20), "{loaded:?}");
}

/// Pages by all that can be asked for, alone and together, with many and with few that match.
async fn pages(table: &Table) {
    let all = Filter { limit: 50, ..Filter::default() };
    let states = |states: &[JobStatus]| Filter { statuses: states.to_vec(), ..all.clone() };
    let voice = |voice: &str| Filter { voice: Some(voice.to_owned()), ..all.clone() };
    let owner = |owner: &str| Filter { owner: Some(owner.to_owned()), ..all.clone() };
    let words = |words: &str| Filter { search: Some(words.to_owned()), ..all.clone() };
    let middle = i64::from(ROWS) / 2;
    let window = |filter: Filter| Filter { since: Some(middle), until: Some(middle + 20_000), ..filter };
    let deep = |filter: Filter| Filter { before: Some(1000), ..filter };
    let rare = [JobStatus::Cancelled];
    for (name, filter) in [
        ("newest", all.clone()),
        ("deep", deep(all.clone())),
        ("failed", states(&[JobStatus::Failed])),
        ("completed, deep", deep(states(&[JobStatus::Completed]))),
        ("failed or cancelled", states(&[JobStatus::Failed, JobStatus::Cancelled])),
        ("voice", voice("hum")),
        ("voice, deep", deep(voice("hum"))),
        ("rare voice", voice("rare")),
        ("voice, rare state", Filter { statuses: rare.to_vec(), ..voice("hum") }),
        ("time", Filter { until: Some(1000), ..all.clone() }),
        ("window", window(all.clone())),
        ("window, failed", window(states(&[JobStatus::Failed]))),
        ("window, rare voice", window(voice("rare"))),
        ("window, words", window(words("sentence"))),
        ("owner", owner("key3")),
        ("owner, rare state", Filter { statuses: rare.to_vec(), ..owner("key0") }),
        ("owner, voice", Filter { voice: Some("hum".to_owned()), ..owner("key3") }),
        ("words of all", words("sentence")),
        ("words of all, begun", words("s")),
        ("words of some", words("topic77 numb")),
        ("words of all, owner", Filter { search: Some("sentence".to_owned()), ..owner("key3") }),
        (
            "words of all, failed",
            Filter { search: Some("sentence".to_owned()), ..states(&[JobStatus::Failed]) },
        ),
    ] {
        time_page(table, name, &filter, true).await;
    }
    // Each text that has the word is looked at: known, printed.
    let slow = Filter { search: Some("sentence".to_owned()), ..states(&rare) };
    time_page(table, "words of all, rare state", &slow, false).await;
}

async fn time_page(table: &Table, name: &str, filter: &Filter, is_quick: bool) {
    let mut times = Vec::new();
    for _ in 0..if is_quick { 20 } else { 3 } {
        let found = timed(&mut times, table.store.list(filter)).await.unwrap();
        assert!(!found.is_empty(), "{name}");
    }
    let slowest = percentile(&mut times, 99);
    println!("list, {name}: p50 {:.1?}, p99 {slowest:.1?}", percentile(&mut times, 50));
    assert!(!is_quick || slowest < Duration::from_millis(50), "{name}");
}
