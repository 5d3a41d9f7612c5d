//! One client's conversation: it asks who is here, and sends text whole or in pieces; sound goes back sentence by sentence.
//!
//! Each sentence is a job of its own at interactive priority, so the first is heard while an assistant still writes the rest.

use std::io;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use waveform::wav;

use super::event::{self, Event, ReadError};
use crate::http::{ApiError, Context};
use crate::jobs::{Client, Job, with_causes};
use crate::speech::request::{self, Draft};
use crate::speech::stream::Growing;

/// Samples in one piece of sound, as Home Assistant's own servers send them.
const SAMPLES_PER_PIECE: usize = 1024;
/// Events that may wait while a sentence is spoken.
const WAITING: usize = 64;

/// Why a conversation ended before its client left.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the client cannot be reached")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Speech(#[from] ApiError),
    #[error("the audio file cannot be read")]
    Sound(#[source] wav::WavError),
    #[error("the client left")]
    Left,
}

/// Talks with a client until it leaves.
pub(super) async fn hold(
    mut reader: impl AsyncBufRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin,
    context: Context,
    client: Client,
) {
    let (heard, mut events) = mpsc::channel(WAITING);
    let left = CancellationToken::new();
    let most = context.settings.limits.max_body_bytes as u64;
    let gone = left.clone();
    // Reads on while a sentence is spoken, so that a client that leaves is noticed at once.
    let reading = tokio::spawn(async move {
        loop {
            let next = event::read(&mut reader, most).await.transpose();
            let is_last = !matches!(next, Some(Ok(_)));
            if is_last {
                gone.cancel();
            }
            let Some(next) = next else { break };
            if heard.send(next).await.is_err() || is_last {
                break;
            }
        }
    });
    let mut conversation = Conversation { context, client, writer: &mut writer, left, stream: None };
    let mut ended = None;
    while let Some(next) = events.recv().await {
        let answered = match next {
            Ok(event) => conversation.answer(&event).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = answered {
            ended = Some(error);
            break;
        }
    }
    reading.abort();
    match ended {
        None | Some(Ended::Left) => {}
        Some(error) => {
            tracing::info!(error = with_causes(&error), "a Wyoming conversation ended early");
            // Then the line is closed: a client that waits for sound would wait for ever.
            let told = json!({ "text": error.to_string(), "code": "error" });
            let _ = event::write(&mut writer, "error", &told, &[]).await;
        }
    }
}

struct Conversation<'a, W> {
    context: Context,
    client: Client,
    writer: &'a mut W,
    left: CancellationToken,
    stream: Option<Stream>,
}

/// A text that comes in pieces.
#[derive(Default)]
struct Stream {
    voice: Voice,
    /// What was not spoken yet.
    pending: Growing,
    /// Characters that came.
    received: usize,
    has_begun: bool,
}

#[derive(Clone, Default)]
struct Voice {
    name: Option<String>,
    language: Option<String>,
}

impl Voice {
    fn of(event: &Event) -> Self {
        let said = |key: &str| Some(event.data.get("voice")?.get(key)?.as_str()?.to_owned());
        Self { name: said("name"), language: said("language") }
    }
}

impl<W: AsyncWrite + Unpin> Conversation<'_, W> {
    async fn answer(&mut self, event: &Event) -> Result<(), Ended> {
        match event.kind.as_str() {
            "describe" => Ok(event::write(self.writer, "info", &info(&self.context)?, &[]).await?),
            "ping" => Ok(event::write(self.writer, "pong", &Value::Object(event.data.clone()), &[]).await?),
            // Sent in the middle of a stream for servers that know no streams, with the whole text once more.
            "synthesize" if self.stream.is_some() => Ok(()),
            "synthesize" => {
                let mut begun = false;
                self.speak(event.text(), &Voice::of(event), &mut begun).await?;
                self.end_sound(begun).await
            }
            "synthesize-start" => {
                self.stream = Some(Stream { voice: Voice::of(event), ..Stream::default() });
                Ok(())
            }
            "synthesize-chunk" => self.add(event.text()).await,
            "synthesize-stop" => self.finish().await,
            // The protocol grows; what is not for speech is nothing to us.
            _ => Ok(()),
        }
    }

    /// Takes up a piece of text and speaks the sentences that are whole now.
    async fn add(&mut self, piece: &str) -> Result<(), Ended> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        let limit = self.context.settings.limits.max_text_chars;
        stream.received += piece.chars().count();
        if stream.received > limit {
            let found = stream.received;
            return Err(
                ApiError::from(request::DraftError::TextTooLong { field: "text", found, limit }).into()
            );
        }
        stream.pending.push(piece);
        while let Some(sentence) = stream.pending.take_sentence() {
            self.speak(&sentence, &stream.voice, &mut stream.has_begun).await?;
        }
        self.stream = Some(stream);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Ended> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        if let Some(rest) = stream.pending.take_all() {
            self.speak(&rest, &stream.voice, &mut stream.has_begun).await?;
        }
        self.end_sound(stream.has_begun).await?;
        Ok(event::write(self.writer, "synthesize-stopped", &json!({}), &[]).await?)
    }

    /// Speaks a text and sends its sound; the head of the sound only when none was sent before.
    async fn speak(&mut self, text: &str, voice: &Voice, has_begun: &mut bool) -> Result<(), Ended> {
        let draft = Draft {
            text: text.to_owned(),
            voice: voice.name.clone(),
            language: voice.language.clone(),
            format: Some("wav".to_owned()),
            ..Draft::default()
        };
        let request = self.context.admitted(draft)?;
        let job = tokio::select! {
            job = self.context.spoken(self.client.clone(), request) => job?,
            () = self.left.cancelled() => return Err(Ended::Left),
        };
        let path = sound_of(&self.context, &job)?;
        let recording = tokio::task::spawn_blocking(move || wav::read(path)).await;
        let recording = recording.map_err(|_panicked| ApiError::Bug)?.map_err(Ended::Sound)?;
        let format = json!({ "rate": recording.sample_rate, "width": 2, "channels": 1, "timestamp": 0 });
        if !*has_begun {
            *has_begun = true;
            event::write(self.writer, "audio-start", &format, &[]).await?;
        }
        for piece in recording.samples.chunks(SAMPLES_PER_PIECE) {
            // The file had 16 bits; this gives them back.
            let pcm: Vec<u8> =
                piece.iter().flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes()).collect();
            event::write(self.writer, "audio-chunk", &format, &pcm).await?;
        }
        Ok(())
    }

    async fn end_sound(&mut self, has_begun: bool) -> Result<(), Ended> {
        if has_begun {
            event::write(self.writer, "audio-stop", &json!({ "timestamp": 0 }), &[]).await?;
        }
        Ok(())
    }
}

/// The file of a job that somebody waited for, or why it has none.
fn sound_of(context: &Context, job: &Job) -> Result<PathBuf, ApiError> {
    crate::http::output(job)?;
    context.jobs.result_path(job).ok_or(ApiError::AudioGone(job.id))
}

/// What is here: the default model's voices, in the languages that it speaks.
fn info(context: &Context) -> Result<Value, ApiError> {
    let model = request::model(None, context.catalog())?;
    let attribution = json!({ "name": "Resemble AI", "url": "https://github.com/resemble-ai/chatterbox" });
    let artifact = |name: &str, description: &str| {
        Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("description".to_owned(), json!(description)),
            ("attribution".to_owned(), attribution.clone()),
            ("installed".to_owned(), json!(true)),
            ("version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
        ])
    };
    let voice = |voice: &crate::speech::model::VoiceInfo| {
        let mut entry = artifact(&voice.id, &voice.name);
        entry.insert("languages".to_owned(), json!(model.languages));
        Value::Object(entry)
    };
    // Clients take the first voice where none is chosen.
    let default = request::default_voice(&context.settings, &model);
    let mut voices: Vec<_> = model.voices.iter().collect();
    voices.sort_by_key(|voice| voice.id != default);
    let mut program = artifact("declaim", "Speech from text, on this machine");
    program.insert("voices".to_owned(), voices.into_iter().map(voice).collect());
    program.insert("supports_synthesize_streaming".to_owned(), json!(true));
    Ok(json!({ "tts": [program], "asr": [], "handle": [], "intent": [], "wake": [], "mic": [], "snd": [] }))
}
