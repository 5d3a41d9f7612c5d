//! The operations of the queue: jobs, their history, batches.

use serde_json::{Value, json};

use super::operations::{list_of, text};
use super::schemas::formats;
use super::{Operation, reference};
use crate::http::batches::BOOK;
use crate::speech::AudioFormat;

/// A file, also in parts.
fn in_parts(operation: Operation) -> Operation {
    operation
        .sound("The audio")
        .gives(
            206,
            "The part that was asked for",
            Some(("audio/*", json!({ "type": "string", "format": "binary" }))),
        )
        .gives(304, "It is the one that the client has", None)
}

fn zip(operation: Operation) -> Operation {
    operation.gives(200, "A zip", Some(("application/zip", json!({ "type": "string", "format": "binary" }))))
}

fn page() -> Value {
    json!({
        "type": "object",
        "properties": { "jobs": list_of("Job"), "next_cursor": { "type": ["string", "null"] } },
        "required": ["jobs", "next_cursor"]
    })
}

fn joined_formats() -> Value {
    let names: Vec<&str> = AudioFormat::ALL.iter().map(|format| format.name()).chain([BOOK]).collect();
    one_of(&names)
}

fn one_of(names: &[&str]) -> Value {
    json!({ "enum": names })
}

pub(super) fn jobs() -> Vec<Operation> {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 });
    let states = json!({ "type": "string", "pattern": "^((queued|running|completed|failed|cancelled)(,(queued|running|completed|failed|cancelled))*)?$" });
    let object = || json!({ "type": "object" });
    vec![
        Operation::new("post", "/tts/enqueue", "Jobs", "Accept a text; 202 means that it is on the disk")
            .json_body("QueuedSpeech")
            .gives(202, "Where to ask how it is doing", Some(("application/json", reference("Accepted")))),
        Operation::new("get", "/tts/{id}/status", "Jobs", "How a job is doing").json("The job", "Job"),
        in_parts(
            Operation::new("get", "/tts/{id}/result", "Jobs", "The audio of a completed job")
                .query("format", &formats(), "Another format than its own"),
        ),
        Operation::new("get", "/tts/{id}/stream", "Jobs", "The audio of a job while it is spoken")
            .query("from", &one_of(&["start", "live"]), "Where to begin")
            .query("format", &formats(), "Another format than the result's")
            .sound("The audio as it comes"),
        Operation::new("get", "/tts/{id}/captions", "Jobs", "When each sentence of a job is heard; as json also while it is spoken")
            .query("format", &one_of(&["srt", "vtt", "json"]), "srt where it is not said")
            .gives(200, "SubRip", Some(("application/x-subrip", text()))),
        Operation::new("get", "/tts/{id}/events", "Jobs", "What happens to a job, as server-sent events")
            .query("after", &json!({ "type": "integer", "minimum": 0 }), "Events that were seen already")
            .gives(200, "Events until the job has ended", Some(("text/event-stream", json!({ "description": "Server-sent events" })))),
        Operation::new("delete", "/tts/{id}", "Jobs", "Cancel a job that has not ended")
            .json("It is cancelled", "Message"),
        Operation::new("get", "/api/jobs", "Jobs", "The history, newest first")
            .query("status", &states, "Only jobs in these states, with commas between")
            .query("search", &text(), "Only jobs whose text has these words")
            .query("limit", &limit, "How many")
            .query("cursor", &json!({ "type": "integer" }), "The next page, as the page before names it")
            .object("The jobs, each with its text", page()),
        Operation::new("get", "/api/jobs/{id}", "Jobs", "One job whole, with what happened to it")
            .object("The job", object()),
        Operation::new("delete", "/api/jobs/{id}", "Jobs", "Forget a job that has ended, and its audio")
            .object("It is gone", object()),
        Operation::new("post", "/api/jobs/delete", "Jobs", "Forget several jobs")
            .takes(
                "application/json",
                json!({ "type": "object", "properties": { "ids": { "type": "array", "items": text(), "minItems": 1, "maxItems": 1000 } }, "required": ["ids"] }),
            )
            .object("What became of each", object()),
        zip(Operation::new("get", "/api/jobs/export", "Jobs", "The audio of several jobs").query(
            "ids",
            &text(),
            "With commas between; or the filters of the history",
        )),
        Operation::new(
            "post",
            "/api/jobs/{id}/retry",
            "Jobs",
            "Try a failed job again; chunks that were finished are kept",
        )
        .takes("application/json", object())
        .json("The job, queued", "Job"),
        Operation::new("post", "/api/jobs/{id}/rerun", "Jobs", "Speak a text again")
            .takes(
                "application/json",
                json!({ "type": "object", "properties": { "seed": { "enum": ["same", "new", 1, 7, null] } } }),
            )
            .gives(202, "The new job", Some(("application/json", reference("Job")))),
        Operation::new(
            "post",
            "/api/jobs/{id}/chunks/{chunk}/regenerate",
            "Jobs",
            "Speak one chunk of a completed job again; its result then has the new one",
        )
        .json_body("Redo")
        .gives(202, "The job that speaks it", Some(("application/json", reference("Job")))),
        Operation::new("put", "/api/jobs/{id}/favourite", "Jobs", "Keep a job for good")
            .object("It is kept", object()),
        Operation::new("delete", "/api/jobs/{id}/favourite", "Jobs", "Let a job expire again")
            .object("It may expire", object()),
        Operation::new("get", "/api/queue", "Jobs", "How the queue is doing").json("The queue", "Queue"),
        Operation::new(
            "post",
            "/api/queue/pause",
            "Jobs",
            "Take jobs and keep them: what is spoken gives way at its next chunk edge, unless it is of high priority",
        )
        .json("The queue, paused", "Queue"),
        Operation::new("post", "/api/queue/resume", "Jobs", "End a pause or a drain")
            .json("The queue, running", "Queue"),
        Operation::new(
            "post",
            "/api/queue/drain",
            "Jobs",
            "Take no jobs and speak those that there are, before an upgrade; the next start ends it",
        )
        .json("The queue, draining", "Queue"),
        in_parts(Operation::new("get", "/outputs/{file}", "Jobs", "The same, by its file's name")),
    ]
}

pub(super) fn batches() -> Vec<Operation> {
    let object = || json!({ "type": "object" });
    let wish = json!({
        "type": "object",
        "properties": {
            "title": { "type": ["string", "null"] },
            "items": { "type": "array", "items": { "type": "string", "pattern": "\\S" }, "minItems": 1, "maxItems": 1000 }
        },
        "required": ["items"]
    });
    vec![
        Operation::new(
            "post",
            "/api/batches",
            "Batches",
            "Accept many texts, all or none; also as application/jsonl and text/plain",
        )
        .takes("application/json", wish)
        .gives(202, "The batch", Some(("application/json", object()))),
        Operation::new("get", "/api/batches", "Batches", "The batches, newest first")
            .object("The batches", json!({ "type": "array", "items": { "type": "object" } })),
        Operation::new("get", "/api/batches/{id}", "Batches", "How a batch is doing")
            .object("The batch", object()),
        zip(Operation::new("get", "/api/batches/{id}/result", "Batches", "The audio of a batch")
            .query("as", &one_of(&["zip", "joined"]), "A file for each text, or one for all")
            .query(
                "format",
                &joined_formats(),
                "Of the joined file; wav where it is not said. m4b is an audiobook with a chapter for each text",
            )
            .query("partial", &json!({ "type": "boolean" }), "What there is, if not all is")),
        Operation::new("delete", "/api/batches/{id}", "Batches", "Cancel what has not ended of a batch")
            .object("It is cancelled", object()),
    ]
}
