//! From a valid request to one waveform. Knows nothing of jobs, files or HTTP.
//!
//! The journey of a text: `request` checks it against the models that `catalog` describes, `normalize` reads numbers and
//! symbols out, `chunk` cuts it into pieces a model can speak, `engine` (the models' own thread) speaks each piece, `stitch`
//! joins them with pauses, `assemble` makes the file; `takes` judges each piece, `timeline` knows when it is heard and `written` what
//! of the sent text that is. Progress and cancellation are values handed in by the caller.

pub mod alignment;
pub mod assemble;
pub mod catalog;
pub mod chatterbox;
pub mod chunk;
pub mod conversion;
pub mod direct;
pub mod engine;
pub mod join;
pub mod model;
pub mod normalize;
pub mod request;
pub mod script;
pub mod stitch;
pub mod stream;
pub mod takes;
pub mod timeline;
pub mod tone;
pub mod written;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use normalize::Pronunciation;
use serde::{Deserialize, Serialize};
/// The container and codec of a result.
pub use waveform::encode::Format as AudioFormat;

/// One thing to say, already checked: a request that exists is valid. Stored with its job as JSON, so fields are only
/// ever added, with a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeechRequest {
    /// As the client sent it; normalisation happens when it is spoken.
    pub text: String,
    /// What players call the sound; `None` for the beginning of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The name of the model that speaks it; rows from before there were several have none, which means the default one.
    #[serde(default)]
    pub model: Option<String>,
    /// The id of a voice that the model has.
    pub voice: String,
    /// The text is what a model was given before: it is spoken as it stands, in one piece.
    #[serde(default)]
    pub verbatim: bool,
    /// Read numbers, dates, symbols … out in words first.
    pub normalize: bool,
    /// Cut long texts into chunks of about `chunk_size` characters; the hard cap of the model holds either way.
    pub split_text: bool,
    pub chunk_size: usize,
    pub sampling: Sampling,
    /// Never 0 or negative here: "random" was replaced by the number drawn, so that every take can be repeated.
    pub seed: u64,
    /// Tempo with the pitch kept; 1.0 is the model's own.
    pub speed: f32,
    /// BCP 47-like code; models of one language ignore it.
    pub language: Option<String>,
    pub format: AudioFormat,
    /// Hz of the result; one that the format has.
    pub sample_rate: u32,
    /// `None` is the format's own, and that of formats which have none.
    #[serde(default)]
    pub bitrate_kbps: Option<u32>,
    #[serde(default)]
    pub processing: Processing,
    /// How often a chunk that came out wrong is spoken again.
    #[serde(default)]
    pub retakes: u32,
    /// The voices that the text names, and their ids.
    #[serde(default)]
    pub script_voices: BTreeMap<String, String>,
    /// Those of the user's that the text needs, as they were when it was accepted.
    #[serde(default)]
    pub pronunciations: Vec<Pronunciation>,
}

/// What happens to the sound between the model and the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Processing {
    /// Excess silence at the ends of chunks goes.
    pub trim_silence: bool,
    /// The longest silence inside of a chunk.
    pub max_silence_ms: Option<u32>,
    pub sentence_pause_ms: u32,
    pub paragraph_pause_ms: u32,
    /// Integrated loudness of the whole, LUFS.
    pub loudness_lufs: Option<f32>,
    /// dBTP that reaching this loudness may lead to.
    pub true_peak_db: f32,
}

impl Default for Processing {
    /// What rows without these fields were accepted under.
    fn default() -> Self {
        Self {
            trim_silence: true,
            max_silence_ms: None,
            sentence_pause_ms: 200,
            paragraph_pause_ms: 600,
            loudness_lufs: None,
            true_peak_db: -1.0,
        }
    }
}

/// What steers the model's choice of speech tokens. `None` means the model's own default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    pub temperature: Option<f32>,
    pub exaggeration: Option<f32>,
    pub cfg_weight: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
}

/// Set once by whoever wants the work to stop, asked by the model at every token. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the model will be given, in order: the request's text read out in words and cut to the model's measure.
///
/// The same request and model always give the same plan; a restart relies on it to recognise finished chunks.
pub fn plan(request: &SpeechRequest, info: &model::ModelInfo) -> Vec<chunk::Chunk> {
    if request.verbatim {
        return vec![chunk::Chunk::new(request.text.trim(), chunk::Boundary::End)];
    }
    let limits =
        chunk::Limits { target: request.chunk_size, cap: info.max_chunk_chars, split: request.split_text };
    // Checked when the request was accepted; what an older program accepted is read as plain text.
    let parts = script::parts(&request.text).unwrap_or_else(|_unreadable| {
        vec![script::Part { text: request.text.clone(), voice: None, rate: 1.0, pause: None }]
    });
    // The rules read English; in another language they would say numbers in the wrong one.
    let normalize = request.normalize && info.language(request.language.as_deref()) == "en";
    let mut chunks: Vec<chunk::Chunk> = Vec::new();
    let mut before = "";
    for part in &parts {
        let named = part.voice.as_ref();
        let voice = named.map(|voice| request.script_voices.get(&voice.name).unwrap_or(&voice.name));
        let voice = voice.filter(|id| **id != request.voice);
        let speaks = voice.unwrap_or(&request.voice);
        // A mark behind `</prosody>` ends what was said before.
        let (marks, text) = match chunks.last_mut().filter(|last| last.voice.as_ref() == voice) {
            Some(last) => {
                let (marks, text) = script::closing_marks(&part.text);
                last.text.push_str(marks);
                last.written.push_str(marks);
                (marks, text)
            }
            None => ("", part.text.as_str()),
        };
        let said = normalize::pronounce(text, &request.pronunciations, speaks);
        let said = if normalize { normalize::normalize(&said) } else { said };
        let own = chunk::split(&said, limits);
        if let Some(last) = chunks.last_mut()
            && !own.is_empty()
            && last.pause == chunk::Boundary::End
        {
            last.pause = script::boundary(if marks.is_empty() { before } else { marks }, text);
        }
        let texts: Vec<&str> = own.iter().map(|own| own.text.as_str()).collect();
        let written: Vec<String> = written::parts(text, &texts).into_iter().map(str::to_owned).collect();
        chunks.extend(own.into_iter().zip(written).map(|(own, written)| chunk::Chunk {
            written,
            voice: voice.cloned(),
            rate: part.rate,
            ..own
        }));
        if let (Some(last), Some(pause)) = (chunks.last_mut(), part.pause) {
            last.pause = last.pause.then(pause);
        }
        if !part.text.is_empty() {
            before = &part.text;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::chunk::Boundary;
    use super::*;

    fn request(text: &str, language: &str) -> SpeechRequest {
        SpeechRequest {
            text: text.to_owned(),
            title: None,
            model: None,
            voice: "hum".to_owned(),
            verbatim: false,
            normalize: true,
            split_text: true,
            chunk_size: 120,
            sampling: Sampling::default(),
            seed: 7,
            speed: 1.0,
            language: Some(language.to_owned()),
            format: AudioFormat::Wav,
            sample_rate: 24_000,
            bitrate_kbps: None,
            processing: Processing::default(),
            retakes: 0,
            script_voices: BTreeMap::new(),
            pronunciations: Vec::new(),
        }
    }

    fn planned(request: &SpeechRequest, languages: &[&str]) -> Vec<(String, Boundary)> {
        let languages = languages.iter().map(|&code| code.to_owned()).collect();
        let info = model::ModelInfo { languages, ..tone::info() };
        plan(request, &info).into_iter().map(|chunk| (chunk.text, chunk.pause)).collect()
    }

    #[test]
    fn pauses_end_chunks_and_add_up_and_one_in_front_is_left_out() {
        let text = "[pause:1s]One. [pause:300ms] [pause:200ms]Two.\n\nThree.[pause:1s]";
        let expected = [("One.", Boundary::Pause(500)), ("Two.\n\nThree.", Boundary::Pause(1_000))];
        assert_eq!(
            planned(&request(text, "en"), &["en"]),
            expected.map(|(text, pause)| (text.to_owned(), pause))
        );
        assert_eq!(planned(&request("[pause:1s]", "en"), &["en"]), []);
    }

    #[test]
    fn only_english_is_read_out_by_the_english_rules() {
        let said =
            |language: &str, languages: &[&str]| planned(&request("5 km", language), languages)[0].0.clone();
        assert_eq!(said("en", &["en", "de"]), "five kilometers");
        assert_eq!(said("de", &["en", "de"]), "5 km");
        assert_eq!(said("de", &["en"]), "five kilometers", "a model of one language speaks that");
        assert_eq!(said("en", &["de"]), "5 km");
    }

    #[test]
    fn each_chunk_knows_what_was_written() {
        let text = "It costs $5 [pause:1s]at most. [voice:hum]He ran 5 km, I think";
        let plan = plan(&request(text, "en"), &tone::info());
        let found: Vec<_> = plan.iter().map(|chunk| (chunk.text.as_str(), chunk.written.as_str())).collect();
        assert_eq!(
            found,
            [
                ("It costs five dollars", "It costs $5"),
                ("at most.", "at most."),
                ("He ran five kilometers, I think", "He ran 5 km, I think")
            ]
        );
    }

    #[test]
    fn pronunciations_go_before_the_rules() {
        let entry = normalize::Pronunciation {
            text: "km".to_owned(),
            say: "clicks".to_owned(),
            ..Default::default()
        };
        let request = SpeechRequest { pronunciations: vec![entry], ..request("5 km", "en") };
        assert_eq!(planned(&request, &["en"])[0].0, "five clicks");
    }

    #[test]
    fn each_voice_has_its_chunks_its_tempo_and_its_pronunciations() {
        let entry = normalize::Pronunciation {
            text: "km".to_owned(),
            say: "clicks".to_owned(),
            voice: Some("whistle".to_owned()),
            ..Default::default()
        };
        let script_voices = BTreeMap::from([("Whistle".to_owned(), "whistle".to_owned())]);
        let plan = |text: &str| {
            let request = SpeechRequest {
                script_voices: script_voices.clone(),
                pronunciations: vec![entry.clone()],
                ..request(text, "en")
            };
            super::plan(&request, &tone::info())
                .into_iter()
                .map(|chunk| (chunk.text, chunk.voice, chunk.rate, chunk.pause))
                .collect::<Vec<_>>()
        };
        let chunk = |text: &str, voice: Option<&str>, rate, pause| {
            (text.to_owned(), voice.map(str::to_owned), rate, pause)
        };
        assert_eq!(
            plan("He ran 5 km. [voice:Whistle] She ran 6 km\n\n[voice:] Who?"),
            [
                chunk("He ran five kilometers.", None, 1.0, Boundary::Sentence),
                chunk("She ran six clicks", Some("whistle"), 1.0, Boundary::Paragraph),
                chunk("Who?", None, 1.0, Boundary::End),
            ]
        );
        assert_eq!(
            plan(
                "<speak>Go <prosody rate='slow'>slowly</prosody>. Wait!<break time='1s'/><voice name='Whistle'>now</voice></speak>"
            ),
            [
                chunk("Go", None, 1.0, Boundary::Clause),
                chunk("slowly.", None, 0.75, Boundary::Sentence),
                chunk("Wait!", None, 1.0, Boundary::Pause(1_000)),
                chunk("now", Some("whistle"), 1.0, Boundary::End),
            ]
        );
    }
}
