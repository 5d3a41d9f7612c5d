//! What takes minutes, run by hand: `scripts/soak` and
//! `cargo test --workspace --test crash -- --ignored --nocapture ten_thousand`. The figures stand in docs/OPERATIONS.md.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::request;
use crate::ledger::Ledger;
use crate::server::Server;
use crate::{CLIENTS, Dice, load, number_from_env, seed, witness};

const JOBS: usize = 10_000;
/// In one batch.
const TOGETHER: usize = 1000;
/// Longer than any machine should take.
const DRAIN_BOUND: Duration = Duration::from_mins(30);

#[test]
#[ignore = "speaks ten thousand jobs; prints the time"]
fn ten_thousand_queued_jobs_are_spoken_in_the_order_in_which_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    witness::prepare(data_dir);
    let environment = [
        ("DECLAIM_LIMITS__MAX_QUEUED_JOBS", "20000"),
        ("DECLAIM_LIMITS__MAX_QUEUED_JOBS_PER_CLIENT", "20000"),
        ("DECLAIM_TONE_MS_PER_TOKEN", "0"),
    ];
    let mut server = Server::start_with(data_dir, &environment);
    let port = server.port();
    let begun = Instant::now();
    for batch in 0..JOBS / TOGETHER {
        let items: Vec<String> = (0..TOGETHER).map(|item| format!("{}.", batch * TOGETHER + item)).collect();
        let answer = request(port, "POST", "/api/batches", Some(&json!({ "items": items }))).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());
    }
    println!("{JOBS} jobs accepted in {:.1?}", begun.elapsed());
    loop {
        let open = request(port, "GET", "/api/jobs?status=queued,running&limit=1", None).unwrap().json();
        if open["jobs"].as_array().unwrap().is_empty() {
            break;
        }
        assert!(begun.elapsed() < DRAIN_BOUND, "{open}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let took = begun.elapsed();
    server.stop();
    let facts = witness::facts(data_dir).unwrap();
    let of_kind = |wanted: &str| {
        let events = facts.events.values().filter(|(_, kind)| kind == wanted);
        events.map(|(id, _)| id.as_str()).collect::<Vec<_>>()
    };
    let queued = of_kind("queued");
    assert_eq!(queued.len(), JOBS);
    assert!(of_kind("started") == queued, "some were taken up before others that came first");
    assert!(of_kind("completed") == queued);
    println!("{JOBS} jobs spoken in order in {took:.0?}, {:.0} a second", JOBS as f64 / took.as_secs_f64());
}

/// A server under load for as long as `DECLAIM_SOAK_MIN` says, ten minutes if it says nothing.
#[test]
#[ignore = "takes ten minutes; prints the memory"]
fn soak_under_load_takes_no_more_memory_with_time() {
    let minutes = number_from_env("DECLAIM_SOAK_MIN").unwrap_or(10);
    let mut dice = Dice(seed());
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    witness::prepare(data_dir);
    let mut server = Server::start(data_dir);
    let port = server.port();
    let ledger = Mutex::new(Ledger::default());
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let mut samples: Vec<(f64, f64)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (dice, stop, ledger) = (Dice(dice.roll() | 1), &stop, &ledger);
            scope.spawn(move || load::load(port, dice, stop, ledger));
        }
        let mut told = 0;
        while begun.elapsed() < Duration::from_secs(60 * minutes) {
            std::thread::sleep(Duration::from_secs(1));
            let now = begun.elapsed().as_secs_f64() / 60.0;
            samples.push((now, server.resident_mb()));
            if now as u64 > told {
                told = now as u64;
                println!("{told} min: {:.1} MB", samples.last().unwrap().1);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    load::drain(port, &ledger);
    server.stop();
    let ledger = ledger.into_inner().unwrap();
    ledger.check_the_end(data_dir);
    // The first fifth is for what grows until it is warm.
    let warm: Vec<(f64, f64)> = samples.split_off(samples.len() / 5);
    let slope = slope(&warm);
    println!(
        "{minutes} minutes, {} jobs accepted; memory {:.1} MB at the end, slope {slope:+.3} MB a minute; answers: {:?}",
        ledger.accepted.len(),
        warm.last().unwrap().1,
        ledger.answers,
    );
    // What is in memory goes up and down by 15 MB with what happens to be in hand, which makes a slope of one or two.
    assert!(slope < 3.0, "memory grows by {slope} MB a minute");
}

/// Of the straight line that fits best.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    above / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}
