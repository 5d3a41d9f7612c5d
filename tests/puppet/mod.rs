//! A model on strings: the test decides at every token what happens, and sees what was asked of it.

use std::sync::{Arc, Mutex};

use declaim::speech::model::{ChunkRequest, ModelError, ModelInfo, SpeechModel, VoiceInfo};
use declaim::speech::{AudioFormat, Cancel, Sampling, SpeechRequest};

/// Tokens of every chunk, whatever its text.
pub(crate) const TOKENS: usize = 10;
const SAMPLE_RATE: u32 = 24_000;
const SAMPLES_PER_TOKEN: usize = 960;

/// Asked before every token (counted from 0); may block, fail or panic.
pub(crate) type OnToken = Arc<dyn Fn(&str, usize) -> Result<(), ModelError> + Send + Sync>;

/// What the model was asked and what became of it, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Take>>>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Take {
    pub(crate) text: String,
    /// Tokens made.
    pub(crate) tokens: usize,
    pub(crate) finished: bool,
}

impl Record {
    pub(crate) fn takes(&self) -> Vec<Take> {
        self.0.lock().unwrap().clone()
    }

    /// The texts that were spoken to their end, in order.
    pub(crate) fn finished(&self) -> Vec<String> {
        self.takes().into_iter().filter(|take| take.finished).map(|take| take.text).collect()
    }
}

pub(crate) struct Puppet {
    info: ModelInfo,
    on_token: OnToken,
    record: Record,
}

impl Puppet {
    pub(crate) fn on_strings(record: &Record, on_token: &OnToken) -> Box<dyn SpeechModel> {
        let info = ModelInfo {
            name: "puppet".to_owned(),
            class_name: "Puppet".to_owned(),
            device: "strings".to_owned(),
            device_reason: "the test holds them".to_owned(),
            sample_rate: SAMPLE_RATE,
            max_chunk_chars: 200,
            voices: vec![VoiceInfo {
                id: "wood".to_owned(),
                name: "Wood".to_owned(),
                gender: None,
                language: "en".to_owned(),
                origin: "carved".to_owned(),
            }],
            default_voice: "wood".to_owned(),
            languages: vec!["en".to_owned()],
            paralinguistic_tags: Vec::new(),
        };
        Box::new(Self { info, on_token: Arc::clone(on_token), record: record.clone() })
    }
}

impl SpeechModel for Puppet {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Vec<f32>, ModelError> {
        let index = {
            let mut takes = self.record.0.lock().unwrap();
            takes.push(Take { text: chunk.text.clone(), tokens: 0, finished: false });
            takes.len() - 1
        };
        for token in 0..TOKENS {
            if cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            (self.on_token)(&chunk.text, token)?;
            self.record.0.lock().unwrap()[index].tokens += 1;
            progress((token + 1) as f32 / TOKENS as f32);
        }
        self.record.0.lock().unwrap()[index].finished = true;
        Ok(vec![0.1; TOKENS * SAMPLES_PER_TOKEN])
    }
}

/// A sentence long enough to be a chunk of its own.
pub(crate) fn sentence(name: &str) -> String {
    format!("This is the sentence called {name} of a text that was written for tests.")
}

/// A request whose every [`sentence`] becomes one chunk.
pub(crate) fn request(text: impl Into<String>) -> SpeechRequest {
    SpeechRequest {
        text: text.into(),
        voice: "wood".to_owned(),
        normalize: false,
        split_text: true,
        chunk_size: 80,
        sampling: Sampling::default(),
        seed: 7,
        speed: 1.0,
        language: None,
        format: AudioFormat::Wav,
        sample_rate: SAMPLE_RATE,
    }
}
