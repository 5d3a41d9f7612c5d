//! Many texts as one, from outside.

use std::io::Cursor;
use std::time::Instant;

use serde_json::{Value, json};

use crate::PATIENCE;
use crate::server::Server;

fn wait_for(server: &Server, id: &str, wanted: &str) -> Value {
    let started = Instant::now();
    loop {
        let batch = server.get(&format!("/api/batches/{id}")).json();
        if batch["status"] == wanted {
            return batch;
        }
        assert!(started.elapsed() < PATIENCE, "it never became {wanted}: {batch}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn id(answer: &crate::server::Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["batch_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_list_of_texts_becomes_an_archive_or_one_file_in_order() {
    let server = Server::start();
    let body = json!({
        "title": "Three", "seed": 5, "output_format": "wav",
        "items": ["One.", { "text": "Two is longer.", "seed": 6 }, "Three."],
    });
    let answer = server.post("/api/batches", &body);
    let id = id(&answer);
    assert_eq!((&answer.json()["total"], &answer.json()["title"]), (&json!(3), &json!("Three")));
    let batch = wait_for(&server, &id, "completed");
    assert_eq!((&batch["progress"], &batch["counts"]["completed"]), (&json!(100), &json!(3)));
    let jobs: Vec<String> = serde_json::from_value(batch["job_ids"].clone()).unwrap();
    let statuses: Vec<Value> = jobs.iter().map(|id| server.status(id)).collect();
    let seeds: Vec<&Value> = statuses.iter().map(|status| &status["seed"]).collect();
    assert_eq!(seeds, [&json!(5), &json!(6), &json!(5)]);
    assert!(statuses.iter().all(|status| status["priority"] == "low" && status["batch_id"] == id.as_str()));
    assert_eq!(server.get(&format!("/api/jobs?batch={id}")).json()["jobs"].as_array().unwrap().len(), 3);
    assert_eq!(server.get("/api/batches").json()[0]["batch_id"], id.as_str());

    let zipped = server.get(&format!("/api/batches/{id}/result"));
    let archive = zip::ZipArchive::new(Cursor::new(zipped.body)).unwrap();
    let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["001_One.wav", "002_Two_is_longer.wav", "003_Three.wav", "jobs.json"]);
    for (query, magic) in [("as=joined", b"RIFF"), ("as=joined&format=flac", b"fLaC")] {
        let joined = server.get(&format!("/api/batches/{id}/result?{query}"));
        assert_eq!((joined.status, &joined.body[..4]), (200, &magic[..]), "{query}");
    }
    let joined = server.get(&format!("/api/batches/{id}/result?as=joined"));
    let samples = hound::WavReader::new(Cursor::new(joined.body)).unwrap().duration();
    let seconds: f64 = statuses.iter().map(|status| status["duration_sec"].as_f64().unwrap()).sum();
    let expected = seconds + 2.0 * 0.6;
    assert!((f64::from(samples) / 24_000.0 - expected).abs() < 0.01, "{samples} of {expected} s");
}

/// What an MP4's list of chapters says: samples at 24 kHz, and titles.
fn chapters(file: &[u8]) -> Vec<(u64, String)> {
    let at = file.windows(4).position(|name| name == b"chpl").unwrap() + 4 + 8;
    let (count, mut rest) = (file[at], &file[at + 1..]);
    let mut found = Vec::new();
    for _ in 0..count {
        // In units of 100 ns, rounded down.
        let start = u64::from_be_bytes(rest[..8].try_into().unwrap());
        let length = usize::from(rest[8]);
        found.push((
            (start * 24_000).div_ceil(10_000_000),
            String::from_utf8(rest[9..9 + length].into()).unwrap(),
        ));
        rest = &rest[9 + length..];
    }
    found
}

#[test]
fn a_batch_becomes_an_audiobook_with_a_chapter_for_each_text() {
    let server = Server::start();
    let body = json!({
        "title": "Tides",
        "items": [{ "title": "Chapter 1:\n The \u{1f30a}", "text": "It came." }, "It went out again.", { "text": "It was $5." }],
    });
    let id = id(&server.post("/api/batches", &body));
    let batch = wait_for(&server, &id, "completed");
    let book = server.get(&format!("/api/batches/{id}/result?as=joined&format=m4b"));
    assert_eq!((book.status, book.header("content-type")), (200, "audio/mp4"));
    assert!(book.header("content-disposition").ends_with(".m4b\""), "{}", book.header("content-disposition"));
    assert_eq!(&book.body[8..12], b"M4B ");

    let mut at = 0;
    let titles = ["Chapter 1: The \u{1f30a}", "It went out again.", "It was $5."];
    let jobs: Vec<String> = serde_json::from_value(batch["job_ids"].clone()).unwrap();
    let expected: Vec<(u64, String)> = jobs
        .iter()
        .zip(titles)
        .map(|(job, title)| {
            let start = at;
            let sound = server.get(&format!("/tts/{job}/result"));
            at += u64::from(hound::WavReader::new(Cursor::new(sound.body)).unwrap().duration()) + 14_400;
            (start, title.to_owned())
        })
        .collect();
    assert_eq!(chapters(&book.body), expected);
    let has = |bytes: &[u8]| book.body.windows(bytes.len()).any(|part| part == bytes);
    assert!(has(b"Tides") && has(b"\x89PNG"), "a title and a cover");

    let wrong = server.get(&format!("/api/batches/{id}/result?as=joined&format=m4p"));
    assert!(wrong.detail().starts_with("format must be m4b, wav, "), "{}", wrong.detail());
    let long = server.post("/api/batches", &json!({ "items": [{ "text": "a", "title": "x".repeat(201) }] }));
    assert!(long.detail().starts_with("Item 1: title must be at most 200 characters, found 201"));
}

#[test]
fn lines_of_json_and_texts_are_batches_too() {
    let server = Server::start();
    let lines = b"{\"text\": \"One.\"}\n{\"text\": \"Two.\"}\n";
    let answer = server.post_raw("/api/batches?seed=3&title=Lines", Some("application/jsonl"), lines);
    let batch = wait_for(&server, &id(&answer), "completed");
    assert_eq!((&batch["total"], &batch["title"]), (&json!(2), &json!("Lines")));
    let text = b"First paragraph,\nstill the first.\n\nThe second.\n";
    let answer = server.post_raw("/api/batches", Some("text/plain; charset=utf-8"), text);
    let batch = wait_for(&server, &id(&answer), "completed");
    assert_eq!(batch["total"], 2);
    let other = server.post_raw("/api/batches", Some("text/csv"), b"a,b");
    assert_eq!(other.status, 415);
}

#[test]
fn a_batch_is_accepted_whole_or_not_at_all_and_its_wrong_item_is_named() {
    let server = Server::with(
        |settings| settings.limits.max_queued_jobs = 2,
        crate::humming(std::time::Duration::from_millis(20)),
    );
    let wrong = server.post("/api/batches", &json!({ "items": ["a", { "text": "b", "temperature": 9 }] }));
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.detail().starts_with("Item 2: temperature must be a number from 0 to 2"),
        "{}",
        wrong.detail()
    );
    let full = server.post("/api/batches", &json!({ "items": ["a", "b", "c"] }));
    assert_eq!((full.status, full.header("retry-after").is_empty()), (429, false));
    for empty in [json!({ "items": [] }), json!({}), json!({ "items": [1] })] {
        assert_eq!(server.post("/api/batches", &empty).status, 422, "{empty}");
    }
    assert_eq!(server.jobs(), json!([]), "what is refused leaves nothing");
    assert_eq!(server.get("/api/batches").json(), json!([]));
}

#[test]
fn a_batch_is_cancelled_whole_and_its_missing_parts_are_told() {
    let server = Server::slow();
    let texts: Vec<String> =
        (0..6).map(|number| format!("Number {number} of a batch that is cancelled.")).collect();
    let id = id(&server.post("/api/batches", &json!({ "items": texts })));
    let result = |query: &str| server.get(&format!("/api/batches/{id}/result{query}"));
    assert_eq!(result("").status, 425);
    let first = server.get(&format!("/api/batches/{id}")).json()["job_ids"][0].as_str().unwrap().to_owned();
    server.wait_for(&first, &["completed"]);
    let cancelled = server.delete(&format!("/api/batches/{id}")).json()["cancelled"].as_u64().unwrap();
    let batch = wait_for(&server, &id, "partial");
    assert_eq!(batch["counts"]["cancelled"], cancelled);
    let refused = result("");
    assert_eq!(refused.status, 409);
    assert!(refused.detail().contains("of the 6 jobs"), "{}", refused.detail());
    assert_eq!(result("?partial=true").status, 200);
    assert_eq!(server.get("/api/batches/nothing").status, 404);
}

#[test]
fn a_batch_sent_twice_with_its_key_is_one_batch() {
    let server = Server::start();
    let send = |items: Value| {
        server.post_with("/api/batches", &[("Idempotency-Key", "night")], &json!({ "items": items }))
    };
    let (first, again) = (send(json!(["a", "b"])), send(json!(["a", "b"])));
    assert_eq!(first.json()["batch_id"], again.json()["batch_id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(send(json!(["c"])).status, 422);
    assert_eq!(server.jobs().as_array().unwrap().len(), 2);
}
