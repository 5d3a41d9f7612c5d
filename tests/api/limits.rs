//! Limits and estimates, from outside: what is refused, when to come back, and when a job will have ended.

use std::time::{Duration, Instant};

use declaim::speech::chatterbox::{self, Placement};
use serde_json::json;

use crate::server::{Offers, Server, humming};
use crate::{LONG, PATIENCE};

#[test]
fn a_disk_that_is_nearly_full_takes_no_job() {
    // A pebibyte must be free.
    let server =
        Server::with(|settings| settings.limits.min_free_disk_bytes = 1 << 50, humming(Duration::ZERO));
    for path in ["/tts/enqueue", "/tts"] {
        let refused = server.post(path, &json!({ "text": "x" }));
        assert_eq!(refused.status, 507);
        assert!(refused.detail().starts_with("The disk is nearly full"), "{}", refused.detail());
    }
    assert_eq!(server.post("/api/batches", &json!({ "items": ["x"] })).status, 507);
    assert_eq!(server.jobs(), json!([]));
}

#[test]
fn one_client_does_not_fill_the_queue_beyond_its_share() {
    let server = Server::with(
        |settings| settings.limits.max_queued_jobs_per_client = 1,
        humming(Duration::from_millis(20)),
    );
    let first = server.enqueue(&json!({ "text": LONG }));
    server.wait_for(&first, &["running"]);
    server.enqueue(&json!({ "text": LONG }));
    let refused = server.post("/tts/enqueue", &json!({ "text": LONG }));
    assert_eq!(refused.status, 429);
    assert!(refused.detail().starts_with("1 of your jobs are waiting already"), "{}", refused.detail());
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[test]
fn the_oldest_results_go_when_all_together_take_too_much_room() {
    let keep_nothing = |settings: &mut declaim::config::Settings| {
        settings.job_queue.max_output_bytes = Some(0);
        settings.job_queue.cleanup_interval = Duration::from_millis(100);
    };
    let server = Server::with(keep_nothing, humming(Duration::ZERO));
    let id = server.enqueue(&json!({ "text": "Too much." }));
    let started = Instant::now();
    while server.get(&format!("/tts/{id}/status")).status != 404 {
        assert!(started.elapsed() < PATIENCE, "it never went");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What is estimated is compared with what comes: a steady machine must be foreseen within a third.
#[test]
fn estimates_are_learned_from_what_was_spoken_and_are_honest() {
    let server = Server::slow();
    let first = server.enqueue(&json!({ "text": LONG }));
    assert!(server.status(&first).get("eta_sec").is_none(), "nothing was heard yet");
    server.wait_for(&first, &["completed"]);
    let ids: Vec<String> = (0..3).map(|_| server.enqueue(&json!({ "text": LONG }))).collect();
    let asked = Instant::now();
    let foreseen: Vec<f64> = ids.iter().map(|id| server.status(id)["eta_sec"].as_f64().unwrap()).collect();
    assert!(foreseen.is_sorted(), "{foreseen:?}");
    let mut errors = Vec::new();
    for (id, foreseen) in ids.iter().zip(&foreseen) {
        server.wait_for(id, &["completed"]);
        let came = asked.elapsed().as_secs_f64();
        errors.push((foreseen - came) / came);
        println!("foreseen {foreseen:.1} s, came after {came:.1} s");
    }
    assert!(errors.iter().all(|error| error.abs() < 0.34), "{errors:?}");
    assert!(server.status(&ids[0]).get("eta_sec").is_none(), "what has ended is not waited for");
}

/// Compares every estimate that a client would see with what came. Measures; run by hand:
/// `cargo test --workspace --test api -- --ignored --nocapture the_error_of_estimates`. The figures stand in
/// docs/OPERATIONS.md.
fn error_of_estimates(model: &str, offers: Offers) -> String {
    const SENTENCE: &str =
        "Nobody had expected that the river would rise so soon after the first warm day of the year. ";

    let server = Server::with(|_settings| {}, offers);
    let warm = server.enqueue(&json!({ "text": SENTENCE }));
    wait_long(&server, &warm);
    // From a sentence to a page, in no order.
    let ids: Vec<String> = [3, 1, 8, 2, 5, 1, 6, 2, 4, 1]
        .map(|sentences| server.enqueue(&json!({ "text": SENTENCE.repeat(sentences) })))
        .into();
    let mut estimates: Vec<(usize, Instant, f64)> = Vec::new();
    let mut ends: Vec<Option<Instant>> = vec![None; ids.len()];
    while ends.iter().any(Option::is_none) {
        for (index, id) in
            ids.iter().enumerate().filter(|(index, _)| ends[*index].is_none()).collect::<Vec<_>>()
        {
            let status = server.status(id);
            match status["eta_sec"].as_f64() {
                Some(eta) => estimates.push((index, Instant::now(), eta)),
                None => ends[index] = (status["status"] == "completed").then(Instant::now),
            }
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    // What is left in the last half second says nothing of an estimate that is told in tenths.
    let mut errors: Vec<f64> = estimates
        .iter()
        .filter_map(|&(index, asked, eta)| {
            let came = (ends[index]? - asked).as_secs_f64();
            (came > 0.5).then(|| (eta - came) / came)
        })
        .collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    for error in &mut errors {
        *error = error.abs();
    }
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[(errors.len() as f64 * share) as usize] * 100.0;
    assert!(at(0.5) < 34.0, "the median estimate is off by more than a third: {:.0} %", at(0.5));
    format!(
        "{model}: {} estimates; off by {:.0} % (median), {:.0} % (p90); on average {:+.0} %",
        errors.len(),
        at(0.5),
        at(0.9),
        mean * 100.0,
    )
}

fn wait_long(server: &Server, id: &str) {
    while server.status(id)["status"] != "completed" {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
#[ignore = "takes a minute; prints figures"]
fn the_error_of_estimates_on_a_steady_machine() {
    println!("{}", error_of_estimates("tone", humming(Duration::from_millis(5))));
}

#[test]
#[ignore = "takes minutes; prints figures"]
fn the_error_of_estimates_of_the_embedded_model() {
    let pico: Offers = Box::new(|library| {
        let settings = declaim::config::Settings::default();
        let folder = tempfile::tempdir().unwrap();
        let hub = declaim::models::HubSettings::new(&settings.hub, &|_name| None);
        let models = declaim::models::Models::new(folder.path(), &settings.models, hub).unwrap();
        chatterbox::offers(&Placement::from(&settings), settings.model.watermark, &models, library)
    });
    println!("{}", error_of_estimates("pico", pico));
}
