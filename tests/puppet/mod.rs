//! A model on strings: the test decides at every token what happens, and sees what was asked of it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use declaim::speech::catalog::{AUTO, Catalog, Offer};
use declaim::speech::model::{
    self, ChunkRequest, Loaded, ModelError, ModelInfo, SpeechModel, VoiceInfo, VoiceKind,
};
use declaim::speech::{AudioFormat, Cancel, Processing, Sampling, SpeechRequest};
use declaim::voices::{Library, Limits};

/// Tokens of every chunk, whatever its text.
pub(crate) const TOKENS: usize = 10;
const SAMPLE_RATE: u32 = 24_000;
const SAMPLES_PER_TOKEN: usize = 960;

/// Asked before every token (counted from 0); may block, fail or panic.
pub(crate) type OnToken = Arc<dyn Fn(&str, usize) -> Result<(), ModelError> + Send + Sync>;

/// What the model was asked and what became of it, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    takes: Arc<Mutex<Vec<Take>>>,
    foretold: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Take {
    pub(crate) text: String,
    /// Tokens made.
    pub(crate) tokens: usize,
    pub(crate) finished: bool,
}

impl Record {
    pub(crate) fn takes(&self) -> Vec<Take> {
        self.takes.lock().unwrap().clone()
    }

    /// The texts that were told to come, in order; each as often as it was told.
    pub(crate) fn foretold(&self) -> Vec<String> {
        self.foretold.lock().unwrap().clone()
    }

    /// The texts that were spoken to their end, in order.
    pub(crate) fn finished(&self) -> Vec<String> {
        self.takes().into_iter().filter(|take| take.finished).map(|take| take.text).collect()
    }
}

pub(crate) struct Puppet {
    on_token: OnToken,
    record: Record,
}

/// Describes a puppet of this name.
pub(crate) fn info(name: &str) -> ModelInfo {
    ModelInfo {
        name: name.to_owned(),
        class_name: "Puppet".to_owned(),
        sample_rate: SAMPLE_RATE,
        max_chunk_chars: 200,
        voices: vec![VoiceInfo {
            id: "wood".to_owned(),
            name: "Wood".to_owned(),
            kind: VoiceKind::BuiltIn,
            gender: None,
            language: "en".to_owned(),
            origin: "carved".to_owned(),
        }],
        default_voice: "wood".to_owned(),
        languages: vec!["en".to_owned()],
        paralinguistic_tags: Vec::new(),
        parameters: Vec::new(),
        cloning: None,
        converts: false,
        watermarked: false,
        memory_bytes: 1,
    }
}

/// A catalog of these models, the first one being the default, and no clips.
pub(crate) fn catalog(offers: Vec<Offer>) -> Catalog {
    Catalog::new(AUTO, Library::open(Path::new("nowhere"), Limits::default()), offers)
}

impl Puppet {
    pub(crate) fn on_strings(record: &Record, on_token: &OnToken) -> Box<dyn SpeechModel> {
        Box::new(Self { on_token: Arc::clone(on_token), record: record.clone() })
    }

    /// A puppet that is there whenever it is asked for.
    pub(crate) fn offer(name: &str, record: &Record, on_token: &OnToken) -> Offer {
        let (record, on_token) = (record.clone(), Arc::clone(on_token));
        Offer::new(info(name), move || Ok(Self::on_strings(&record, &on_token)))
    }
}

impl SpeechModel for Puppet {
    fn loaded(&self) -> Loaded {
        Loaded {
            device: "strings".to_owned(),
            device_reason: "the test holds them".to_owned(),
            precision: "f32".to_owned(),
            self_test: "none".to_owned(),
            watermarked: false,
            resident_bytes: 1,
        }
    }

    fn expect(&mut self, next: Vec<ChunkRequest>) {
        self.record.foretold.lock().unwrap().extend(next.into_iter().map(|chunk| chunk.text));
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<model::Take, ModelError> {
        let index = {
            let mut takes = self.record.takes.lock().unwrap();
            takes.push(Take { text: chunk.text.clone(), tokens: 0, finished: false });
            takes.len() - 1
        };
        for token in 0..TOKENS {
            if cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            (self.on_token)(&chunk.text, token)?;
            self.record.takes.lock().unwrap()[index].tokens += 1;
            progress((token + 1) as f32 / TOKENS as f32);
        }
        self.record.takes.lock().unwrap()[index].finished = true;
        Ok(model::Take { samples: vec![0.1; TOKENS * SAMPLES_PER_TOKEN], is_stuck: false })
    }
}

/// A sentence long enough to be a chunk of its own.
pub(crate) fn sentence(name: &str) -> String {
    format!("This is the sentence called {name} of a text that was written for tests.")
}

/// A request whose every [`sentence`] becomes one chunk.
pub(crate) fn request(text: impl Into<String>) -> SpeechRequest {
    SpeechRequest {
        verbatim: false,
        script_voices: std::collections::BTreeMap::new(),
        text: text.into(),
        model: None,
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
        bitrate_kbps: None,
        processing: Processing::default(),
        pronunciations: Vec::new(),
        retakes: 0,
        title: None,
    }
}
