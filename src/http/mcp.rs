//! The Model Context Protocol for assistants, as streamable HTTP without sessions: one JSON-RPC message in, one answer out.
//!
//! Three tools, small and described for a reader that has never seen this server: speak, list voices, look after a job. What a
//! tool refuses is a result that says so, since the assistant is the one to mend it; only broken messages are protocol errors.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Context;
use super::aliases;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::Fields;
use super::tts::{Status, draft, find};
use crate::jobs::{JobId, NewJob, Priority};
use crate::speech::request::{self, Draft};

/// Versions of the protocol that differ in nothing that is done here; the newest first.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

const INSTRUCTIONS: &str = "Turns text into speech on this machine. `speak` returns where the audio file is; \
     `list_voices` says which voices there are; `job_status` says how a text is doing that was sent with wait = false.";

/// JSON-RPC's own codes.
const INVALID_REQUEST: i64 = -32_600;
const NO_METHOD: i64 = -32_601;
const INVALID_PARAMETERS: i64 = -32_602;

pub(super) async fn message(
    State(context): State<Context>,
    caller: Caller,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let message = fields.into_value();
    let id = message.get("id").cloned();
    let is_id = id.as_ref().is_none_or(|id| id.is_string() || id.is_i64() || id.is_u64());
    let method = message.get("method").and_then(Value::as_str);
    let (true, true, Some(method)) = (is_id, message.get("jsonrpc") == Some(&json!("2.0")), method) else {
        let reason =
            "a message has \"jsonrpc\": \"2.0\", a method, and an id that is a text or a whole number";
        let told = failed(&Value::Null, INVALID_REQUEST, reason);
        return Ok((StatusCode::BAD_REQUEST, told).into_response());
    };
    // A notification, such as `notifications/initialized`, is taken and not answered.
    let Some(id) = id else { return Ok(StatusCode::ACCEPTED.into_response()) };
    let parameters = message.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
    let result = match method {
        "initialize" => initialized(&parameters),
        "ping" => json!({}),
        "tools/list" => json!({ "tools": tools() }),
        "tools/call" => {
            let name = parameters.get("name").and_then(Value::as_str).unwrap_or_default();
            let arguments =
                parameters.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
            let base = headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
                .map(|host| format!("http://{host}"));
            let called = match name {
                "speak" => speak(&context, caller, arguments, base.as_deref().unwrap_or_default()).await,
                "list_voices" => list_voices(&context, arguments),
                "job_status" => job_status(&context, &caller, arguments).await,
                other => return Ok(failed(&id, INVALID_PARAMETERS, &format!("there is no tool {other:?}"))),
            };
            called.unwrap_or_else(|error| {
                json!({ "content": [{ "type": "text", "text": error.to_string() }], "isError": true })
            })
        }
        other => return Ok(failed(&id, NO_METHOD, &format!("there is no method {other:?}"))),
    };
    Ok(Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response())
}

fn failed(id: &Value, code: i64, message: &str) -> Response {
    Json(json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })).into_response()
}

fn initialized(parameters: &Map<String, Value>) -> Value {
    let wanted = parameters.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let version = VERSIONS.into_iter().find(|known| *known == wanted).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": { "name": "declaim", "title": "declaim", "version": env!("CARGO_PKG_VERSION") },
        "instructions": INSTRUCTIONS,
    })
}

fn tools() -> Value {
    let model =
        json!({ "type": "string", "description": "Name of a model; the server's default when left out." });
    json!([
        {
            "name": "speak",
            "title": "Speak a text",
            "description": "Turns text into an audio file and returns its address, its length in seconds and the id of its job.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "text": { "type": "string", "description": "What to say, as plain text." },
                    "voice": { "type": "string", "description": "Id or name of a voice from list_voices; the default voice when left out." },
                    "model": model,
                    "language": { "type": "string", "description": "Language code such as en, for models that speak several." },
                    "speed": { "type": "number", "minimum": 0.25, "maximum": 4, "description": "Tempo; 1 is the model's own." },
                    "format": { "type": "string", "description": "Format of the file, such as wav or flac." },
                    "seed": { "type": "integer", "description": "Repeats the take of that number." },
                    "wait": { "type": "boolean", "default": true, "description": "false returns at once, for long texts; job_status then says when it is done." }
                },
                "required": ["text"]
            },
            "annotations": { "readOnlyHint": false, "destructiveHint": false, "openWorldHint": false }
        },
        {
            "name": "list_voices",
            "title": "List the voices",
            "description": "The voices that a model can speak with: id, name, language and where each comes from.",
            "inputSchema": { "type": "object", "properties": { "model": model } },
            "annotations": { "readOnlyHint": true, "openWorldHint": false }
        },
        {
            "name": "job_status",
            "title": "See how a job is doing",
            "description": "Status (queued, running, completed, failed, cancelled), progress in percent, and the address of the audio once it is completed.",
            "inputSchema": {
                "type": "object",
                "properties": { "job_id": { "type": "string", "description": "The id that speak returned." } },
                "required": ["job_id"]
            },
            "annotations": { "readOnlyHint": true, "openWorldHint": false }
        }
    ])
}

async fn speak(
    context: &Context,
    caller: Caller,
    arguments: Map<String, Value>,
    base: &str,
) -> Result<Value, ApiError> {
    let fields = Fields::from(arguments);
    let model = fields.text("model")?.map(|name| aliases::model(name, context));
    let draft = Draft {
        model,
        voice: fields.text("voice")?,
        reference: None,
        speed: fields.number("speed")?,
        format: fields.text("format")?,
        ..draft(&fields)?
    };
    let renamed = |error: ApiError| match error {
        ApiError::Draft(error) => ApiError::Draft(error.renamed(|ours| match ours {
            "predefined_voice_id" => "voice",
            "speed_factor" => "speed",
            "output_format" => "format",
            same => same,
        })),
        other => other,
    };
    let request = context.admitted(draft).map_err(renamed)?;
    if fields.flag("wait")? == Some(false) {
        let job = NewJob { client: caller.client, ..NewJob::new(request, Priority::Normal) };
        let job = context.jobs.accept(job).await?.job;
        let said = format!("Job {} is queued; ask job_status how it is doing.", job.id);
        return Ok(told(&said, &Status::listed(&job).to_json()));
    }
    let job = context.spoken(caller.client, request).await?;
    let output = super::output(&job)?;
    let url = format!("{base}/tts/{}/result", job.id);
    let seconds = output.duration_ms as f64 / 1000.0;
    let said = format!("{seconds:.1} seconds of speech in the voice {}: {url}", job.request.voice);
    let facts = json!({
        "job_id": job.id.to_string(),
        "result_url": url,
        "duration_sec": seconds,
        "voice": job.request.voice,
        "model": job.request.model,
        "seed": job.request.seed,
    });
    Ok(told(&said, &facts))
}

fn list_voices(context: &Context, arguments: Map<String, Value>) -> Result<Value, ApiError> {
    let named = Fields::from(arguments).text("model")?.map(|name| aliases::model(name, context));
    let model = request::model(named.as_deref(), context.catalog())?;
    let default = request::default_voice(&context.settings, &model);
    let lines: Vec<String> = model
        .voices
        .iter()
        .map(|voice| {
            let mark = if voice.id == default { " (default)" } else { "" };
            format!("{}: {}, {}, {}{mark}", voice.id, voice.name, voice.language, voice.origin)
        })
        .collect();
    let facts = json!({ "model": model.name, "default": default, "voices": model.voices });
    Ok(told(&lines.join("\n"), &facts))
}

async fn job_status(
    context: &Context,
    caller: &Caller,
    arguments: Map<String, Value>,
) -> Result<Value, ApiError> {
    let wanted = Fields::from(arguments).text("job_id")?.unwrap_or_default();
    let id: JobId = wanted.parse().map_err(|_no_uuid| ApiError::UnknownJob(wanted))?;
    let job = find(context, caller, id).await?;
    let mut facts = Status::listed(&job).to_json();
    if job.output.is_some() {
        facts["result_url"] = json!(format!("/tts/{id}/result"));
    }
    let error = job.error.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    Ok(told(&format!("Job {id} is {}, {} %{error}", job.status, job.progress), &facts))
}

/// For assistants that read and for those that compute.
fn told(text: &str, facts: &Value) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "structuredContent": facts })
}
