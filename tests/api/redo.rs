//! One chunk of a completed job spoken again: what changes, what does not, and when.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::UNKNOWN;
use crate::server::{PATIENCE, Server, humming};
use crate::stream::{samples, text};

/// Three chunks that the model hums at the pitch of their seeds.
fn spoken(server: &Server) -> String {
    let id = server.enqueue(&json!({ "text": text(), "chunk_size": 70, "model": "tone", "seed": 3 }));
    server.wait_for(&id, &["completed"]);
    id
}

fn redo(server: &Server, id: &str, chunk: usize, wish: &Value) -> String {
    let answer = server.post(&format!("/api/jobs/{id}/chunks/{chunk}/regenerate"), wish);
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job_id"].as_str().unwrap().to_owned()
}

fn chunks(server: &Server, id: &str) -> Vec<Value> {
    server.get(&format!("/api/jobs/{id}")).json()["chunks"].as_array().unwrap().clone()
}

fn result(server: &Server, id: &str) -> Vec<u8> {
    let answer = server.get(&format!("/tts/{id}/result"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    samples(&answer.body).to_vec()
}

/// The bytes of a result between two times of the list of chunks.
fn part<'a>(result: &'a [u8], chunk: &Value) -> &'a [u8] {
    let at = |key: &str| (chunk[key].as_f64().unwrap() * 24_000.0) as usize * 2;
    &result[at("start_sec")..at("end_sec").min(result.len())]
}

#[test]
fn a_chunk_is_replaced_and_the_others_stay_as_they_are() {
    let server = Server::start();
    let id = spoken(&server);
    let (before, old) = (chunks(&server, &id), result(&server, &id));
    let tag = server.head(&format!("/tts/{id}/result")).header("etag").to_owned();
    assert_eq!(before.len(), 3);
    for (number, chunk) in before.iter().enumerate() {
        assert_eq!(
            (&chunk["chunk"], &chunk["seed"], &chunk["takes"]),
            (&json!(number + 1), &json!(number + 3), &json!(1))
        );
        assert!(text().contains(chunk["text"].as_str().unwrap()));
    }
    let child = redo(&server, &id, 2, &json!({ "seed": 8 }));
    let told = server.wait_for(&child, &["completed"]);
    assert_eq!((&told["redo_of"], &told["redo_chunk"], &told["seed"]), (&json!(id), &json!(2), &json!(8)));

    let (after, new) = (chunks(&server, &id), result(&server, &id));
    assert_eq!(new.len(), old.len(), "the same text takes the same time");
    assert!(
        part(&new, &after[0]) == part(&old, &before[0]) && part(&new, &after[2]) == part(&old, &before[2])
    );
    assert!(part(&new, &after[1]) != part(&old, &before[1]));
    assert_eq!(
        (&after[1]["seed"], &after[1]["takes"], &after[1]["text"]),
        (&json!(8), &json!(2), &before[1]["text"])
    );
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    // The sentence by itself is what was put in.
    let alone = result(&server, &child);
    let middle = alone.len() / 4 * 2;
    assert!(part(&new, &after[1])[middle..middle + 4_000] == alone[middle..middle + 4_000]);
    let now = server.head(&format!("/tts/{id}/result")).header("etag").to_owned();
    assert_ne!(now, tag, "who has the old one must not take it for the new one");
    let given_away = server.get(&format!("/outputs/{id}.wav"));
    assert!(samples(&given_away.body) == new, "an address that was given away leads on");
    // What happened to it is told to the end, and then the line is closed.
    let events = server.get(&format!("/tts/{id}/events")).text();
    assert!(events.contains("event: completed"), "{events}");
    let status = server.status(&id);
    assert_eq!(status["file_size_bytes"], server.get(&format!("/tts/{id}/result")).body.len());
    let last =
        server.get(&format!("/api/jobs/{id}")).json()["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["event"], &last["chunk"], &last["take"]),
        (&json!("chunk"), &json!(2), &json!(2)),
        "{last}"
    );

    // Again, and another one: each begins with what the one before has made.
    for (chunk, seed) in [(2, 3), (1, 4), (2, 4)] {
        let child = redo(&server, &id, chunk, &json!({ "seed": seed }));
        server.wait_for(&child, &["completed"]);
    }
    let last = chunks(&server, &id);
    let told = |index: usize| (last[index]["seed"].as_u64().unwrap(), last[index]["takes"].as_u64().unwrap());
    assert_eq!([told(0), told(1), told(2)], [(4, 2), (4, 4), (5, 1)]);
    assert!(result(&server, &id) != new);
    let files = std::fs::read_dir(server.data.path().join("outputs"))
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with(&id));
    assert_eq!(files.count(), 2, "the result and its timeline");
}

#[test]
fn another_text_moves_what_follows_and_the_captions_with_it() {
    let server = Server::start();
    let id = spoken(&server);
    let before = chunks(&server, &id);
    let wish =
        json!({ "text": "It costs $5.", "predefined_voice_id": "whistle", "seed": 3, "temperature": 0.5 });
    let child = redo(&server, &id, 2, &wish);
    server.wait_for(&child, &["completed"]);
    let request = server.get(&format!("/api/jobs/{child}")).json()["request"].clone();
    assert_eq!((&request["voice"], &request["sampling"]["temperature"]), (&json!("whistle"), &json!(0.5)));
    let after = chunks(&server, &id);
    assert_eq!(after[1]["text"], "It costs five dollars.");
    let seconds = |chunk: &Value, key: &str| chunk[key].as_f64().unwrap();
    let shorter = seconds(&before[1], "end_sec") - seconds(&after[1], "end_sec");
    assert!(
        shorter > 1.0
            && (seconds(&before[2], "start_sec") - seconds(&after[2], "start_sec") - shorter).abs() < 0.01
    );
    let captions = server.get(&format!("/tts/{id}/captions?format=srt")).text();
    assert!(captions.contains("It costs $5.") && !captions.contains("second sentence"), "{captions}");
    assert!(
        (server.status(&id)["duration_sec"].as_f64().unwrap() - seconds(&after[2], "end_sec")).abs() < 0.01
    );
}

#[test]
fn the_old_result_is_served_until_the_new_one_is_there_or_for_ever() {
    let server = Server::slow();
    let id = spoken(&server);
    let (old, before) = (result(&server, &id), chunks(&server, &id));
    let child = redo(&server, &id, 1, &json!({ "seed": 5 }));
    server.wait_for(&child, &["running"]);
    assert!(result(&server, &id) == old);
    assert_eq!(server.delete(&format!("/tts/{child}")).status, 200);
    let fails = redo(&server, &id, 1, &json!({ "text": "This must [fail] here." }));
    assert!(
        server.wait_for(&fails, &["failed"])["error"]
            .as_str()
            .unwrap()
            .contains("asked the test model to fail")
    );
    assert!(result(&server, &id) == old);
    assert_eq!(chunks(&server, &id), before);
    let child = redo(&server, &id, 1, &json!({ "seed": 5 }));
    server.wait_for(&child, &["completed"]);
    assert!(result(&server, &id) != old);
}

#[test]
fn what_is_left_of_a_stopped_server_is_done_by_the_next_one() {
    let server = Server::slow();
    let id = spoken(&server);
    let old = result(&server, &id);
    let child = redo(&server, &id, 3, &json!({ "seed": 6 }));
    server.wait_for(&child, &["running"]);
    let server = Server::start_on(server.stop());
    server.wait_for(&child, &["completed"]);
    assert_eq!(chunks(&server, &id)[2]["seed"], 6);
    assert!(result(&server, &id) != old);
}

#[test]
fn the_same_wish_sent_twice_is_one_and_for_another_chunk_another() {
    let server = Server::start();
    let id = spoken(&server);
    let key = [("Idempotency-Key", "once")];
    let path = |chunk: usize| format!("/api/jobs/{id}/chunks/{chunk}/regenerate");
    let first = server.post_with(&path(1), &key, &json!({ "seed": 5 }));
    let again = server.post_with(&path(1), &key, &json!({ "seed": 5 }));
    assert_eq!(
        (first.json()["job_id"].clone(), again.header("idempotency-replayed")),
        (again.json()["job_id"].clone(), "true")
    );
    assert_eq!(server.post_with(&path(2), &key, &json!({ "seed": 5 })).status, 422);
}

#[test]
fn what_cannot_be_spoken_again_is_told_with_the_reason() {
    let server = Server::start();
    let id = spoken(&server);
    let wish = |id: &str, chunk: &str, wish: Value| {
        let answer = server.post(&format!("/api/jobs/{id}/chunks/{chunk}/regenerate"), &wish);
        (answer.status, answer.detail())
    };
    let (status, detail) = wish(&id, "4", json!({}));
    assert_eq!(status, 404);
    assert!(detail.contains("no chunk 4; it has 3"), "{detail}");
    assert_eq!(wish(&id, "0", json!({})).0, 404);
    assert_eq!(wish(&id, "two", json!({})).0, 404);
    assert_eq!(wish(UNKNOWN, "1", json!({})).0, 404);
    for (body, words) in [
        (json!({ "text": "a ".repeat(400) }), "text must be what is spoken in one piece"),
        (json!({ "text": "One. [pause:1s] Two." }), "text must be what is spoken in one piece"),
        (json!({ "seed": "x" }), "seed must be a whole number"),
        (json!({ "temperature": 99 }), "temperature must be a number"),
    ] {
        let (status, detail) = wish(&id, "1", body);
        assert_eq!(status, 422, "{detail}");
        assert!(detail.starts_with(words), "{detail}");
    }
    assert_eq!(wish(&id, "1", json!({ "predefined_voice_id": "nobody" })).0, 404);
    std::fs::remove_dir_all(server.data.path().join("chunks").join(&id)).unwrap();
    assert_eq!(server.get(&format!("/api/jobs/{id}")).json()["can_regenerate"], false);
    let (status, detail) = wish(&id, "1", json!({}));
    assert_eq!(status, 409);
    assert!(detail.contains("no longer kept"), "{detail}");
    let slow = Server::slow();
    let running = slow.enqueue(&json!({ "text": text() }));
    assert_eq!(slow.post(&format!("/api/jobs/{running}/chunks/1/regenerate"), &json!({})).status, 409);
}

#[test]
fn chunks_are_kept_up_to_their_bound_the_oldest_go_first() {
    let megabyte = 1 << 20;
    let server =
        Server::with(|settings| settings.job_queue.max_chunk_bytes = megabyte, humming(Duration::ZERO));
    // About 1.4 MB each.
    let (first, second) = (spoken(&server), spoken(&server));
    let third = {
        let id = server.enqueue(&json!({ "text": "Short.", "model": "tone" }));
        server.wait_for(&id, &["completed"]);
        id
    };
    let folder = |id: &str| server.data.path().join("chunks").join(id);
    let started = Instant::now();
    while folder(&first).exists() || folder(&second).exists() {
        assert!(started.elapsed() < PATIENCE, "the chunks were never removed");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(folder(&third).exists(), "there is room for it");
    assert_eq!(server.get(&format!("/tts/{first}/result")).status, 200, "the results stay");
}
