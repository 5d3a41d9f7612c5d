//! In whose words an error is told: clients of OpenAI and ElevenLabs read the shapes of those services, everybody else ours.
//!
//! What went wrong travels with every refusal, wherever it was refused, so the words are chosen here in one place, by the path
//! that was asked for.

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use crate::models::ModelsError;
use crate::speech::request::DraftError;
use crate::voices::LibraryError;

/// Whose clients ask for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Ours,
    OpenAi,
    ElevenLabs,
}

impl Dialect {
    pub(super) fn of(path: &str) -> Self {
        let under =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if ["/v1/text-to-speech", "/v1/voices", "/v2/voices"].into_iter().any(under) {
            Self::ElevenLabs
        } else if under("/v1") {
            Self::OpenAi
        } else {
            Self::Ours
        }
    }
}

/// Tells errors again in the words of the surface that was asked.
pub(super) async fn translate(request: Request, next: Next) -> Response {
    let dialect = Dialect::of(request.uri().path());
    let response = next.run(request).await;
    let Some(Cause(error)) = response.extensions().get().cloned() else { return response };
    let (status, body) = match dialect {
        Dialect::Ours => return response,
        Dialect::OpenAi => openai(&error),
        Dialect::ElevenLabs => (
            error.status(),
            json!({ "detail": {
                "status": code(&error).unwrap_or("error"),
                "message": error.to_string(),
            } }),
        ),
    };
    let mut told = (status, Json(body)).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told.extensions_mut().insert(Cause(error));
    told
}

/// `{"error": {message, type, param, code}}`. A request that cannot be understood is always 400 there.
pub(super) fn openai(error: &ApiError) -> (StatusCode, Value) {
    let status = match error.status() {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        other => other,
    };
    let kind = if status == StatusCode::TOO_MANY_REQUESTS {
        "rate_limit_error"
    } else if status.is_server_error() {
        "server_error"
    } else {
        "invalid_request_error"
    };
    let parameter = match error {
        ApiError::Draft(error) => error.field_name(),
        ApiError::Model(_) => Some("model"),
        _ => None,
    };
    let body = json!({ "error": {
        "message": error.to_string(),
        "type": kind,
        "param": parameter,
        "code": code(error),
    } });
    (status, body)
}

/// What programs tell errors apart by; `None` where the status says it all.
fn code(error: &ApiError) -> Option<&'static str> {
    match error {
        ApiError::Draft(DraftError::EmptyText { .. }) => Some("missing_required_parameter"),
        ApiError::Draft(DraftError::TextTooLong { .. }) => Some("string_above_max_length"),
        ApiError::Draft(DraftError::Field { .. } | DraftError::Script { .. }) => Some("invalid_value"),
        ApiError::Draft(DraftError::Voice { .. }) | ApiError::Library(LibraryError::Unknown(_)) => {
            Some("voice_not_found")
        }
        ApiError::Draft(
            DraftError::VoiceForOthers { .. } | DraftError::NoCloning { .. } | DraftError::NoReference,
        ) => Some("voice_not_usable"),
        ApiError::Draft(DraftError::Model(_) | DraftError::NoModel(_))
        | ApiError::Model(_)
        | ApiError::Models(ModelsError::Unknown { .. }) => Some("model_not_found"),
        ApiError::ModelLoading | ApiError::ModelFailed { .. } => Some("model_not_ready"),
        ApiError::Json { .. }
        | ApiError::NotAnObject(_)
        | ApiError::NotJson { .. }
        | ApiError::BodyUnreadable(_) => Some("invalid_json"),
        ApiError::BodyTooLarge { .. } => Some("request_too_large"),
        ApiError::QueueFull { .. }
        | ApiError::CharactersSpent { .. }
        | ApiError::ClientFull { .. }
        | ApiError::TooManyFollowers { .. }
        | ApiError::TooManyWaiting { .. } => Some("rate_limit_exceeded"),
        ApiError::AudioSpent { .. } | ApiError::BeyondQuota { .. } => Some("quota_exceeded"),
        ApiError::NoKey | ApiError::UnknownKey => Some("invalid_api_key"),
        ApiError::Scope { .. } => Some("missing_permissions"),
        ApiError::DiskFull { .. } => Some("insufficient_storage"),
        ApiError::NoStream(_) => Some("format_not_streamable"),
        ApiError::Item { error, .. } => code(error),
        ApiError::NoRoute(_) => Some("unknown_url"),
        ApiError::Method(_) => Some("method_not_supported"),
        ApiError::Failed { .. } => Some("speech_failed"),
        ApiError::Cancelled(_) => Some("job_cancelled"),
        ApiError::TooSlow | ApiError::WaitedTooLong(_) => Some("timeout"),
        ApiError::Stopping(_) => Some("server_stopping"),
        ApiError::Paused => Some("queue_paused"),
        ApiError::Draining => Some("queue_draining"),
        ApiError::ForeignHost(_) | ApiError::OtherOrigin(_) => Some("origin_not_allowed"),
        ApiError::UnknownJob(_)
        | ApiError::NotYet { .. }
        | ApiError::AudioGone(_)
        | ApiError::AlreadyFinished { .. }
        | ApiError::NotFailed { .. }
        | ApiError::NotEnded { .. }
        | ApiError::NotCompleted { .. }
        | ApiError::NoChunk { .. }
        | ApiError::ChunksGone(_)
        | ApiError::UnknownBatch(_)
        | ApiError::BatchNotYet { .. }
        | ApiError::BatchIncomplete { .. }
        | ApiError::NotABatch { .. }
        | ApiError::NothingToExport
        | ApiError::Delete(_)
        | ApiError::Convert(_)
        | ApiError::Conversion(_)
        | ApiError::Disk(_)
        | ApiError::KeyReused
        | ApiError::NoSuchKey(_)
        | ApiError::Key(_)
        | ApiError::Range { .. }
        | ApiError::Library(_)
        | ApiError::VoiceInUse { .. }
        | ApiError::NoClip
        | ApiError::Multipart(_)
        | ApiError::Models(_)
        | ApiError::NoPull(_)
        | ApiError::Store(_)
        | ApiError::File(_)
        | ApiError::Settings(_)
        | ApiError::Saving(_)
        | ApiError::Bug => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_whose_client_it_is() {
        for (path, dialect) in [
            ("/tts", Dialect::Ours),
            ("/v1", Dialect::OpenAi),
            ("/v1/audio/speech", Dialect::OpenAi),
            ("/v1/nothing", Dialect::OpenAi),
            ("/v1/text-to-speech/a/stream", Dialect::ElevenLabs),
            ("/v1/voices", Dialect::ElevenLabs),
            ("/v2/voices", Dialect::ElevenLabs),
            ("/v1/voicesome", Dialect::OpenAi),
            ("/v1x", Dialect::Ours),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }
}
