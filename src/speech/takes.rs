//! Is a take what its text should sound like? Models fail at times, and differently with every seed: they never stop, stop
//! early, get stuck, fall silent, or overdrive. Such a take is spoken again with another seed, and the best one is kept.
//!
//! The measures are wide: no speaker comes near them, so that a good take is never spoken twice. Nothing here knows a model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use waveform::levels::{from_decibels, peak, sounding_span};
use waveform::silence::inner_silences;

use super::model::Take;

/// What is wrong with a take. The worst comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The tops of many waves are cut off.
    Clipped,
    /// Seconds without a sound between two sounds.
    LongSilence,
    /// The same few tokens over and over.
    Stuck,
    /// Longer than the slowest reader would take.
    TooLong,
    /// Shorter than the quickest one would.
    TooShort,
    /// Nothing is heard.
    Silent,
}

/// How a chunk came to be, for whoever asks why it sounds as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The seed of the take that was kept.
    pub seed: u64,
    /// How many were spoken.
    pub takes: u32,
    /// What is wrong with the one that was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// The takes of one chunk: gives seeds, takes sound, says when it is enough.
#[derive(Debug)]
pub struct Takes {
    letters: usize,
    sample_rate: u32,
    first_seed: u64,
    retries: u32,
    spoken: u32,
    best: Option<(Vec<f32>, Report)>,
}

/// Between the seeds of two takes; far from those of other chunks, which are neighbours.
const SEED_STEP: u64 = 1_000_003;

impl Takes {
    /// For a chunk of `text`, whose first take has `seed`; at most `retries` more are spoken.
    pub fn new(text: &str, sample_rate: u32, seed: u64, retries: u32) -> Self {
        Self { letters: letters(text), sample_rate, first_seed: seed, retries, spoken: 0, best: None }
    }

    /// The seed to speak the next take with.
    pub fn seed(&self) -> u64 {
        self.first_seed.wrapping_add(u64::from(self.spoken) * SEED_STEP)
    }

    /// Judges the take that was spoken with [`Takes::seed`] and keeps it if it is the best. `true` when no other is needed.
    pub fn add(&mut self, take: Take) -> bool {
        let Take { samples, is_stuck } = take;
        let mut found = faults(&samples, self.sample_rate, self.letters);
        if is_stuck {
            found.push(Fault::Stuck);
        }
        let seed = self.seed();
        self.spoken += 1;
        let is_good = found.is_empty();
        // The worst fault decides, then how many there are.
        let rank = |faults: &[Fault]| (faults.iter().max().copied(), faults.len());
        if self.best.as_ref().is_none_or(|(_, best)| rank(&found) < rank(&best.faults)) {
            self.best = Some((samples, Report { seed, takes: 0, faults: found }));
        }
        is_good || self.spoken > self.retries
    }

    /// The best take; nothing where none was added.
    pub fn finish(self) -> (Vec<f32>, Report) {
        let (samples, report) = self.best.unwrap_or_default();
        (samples, Report { takes: self.spoken, ..report })
    }
}

/// Texts of fewer letters are exclamations, which may last for any time.
const SHORT: usize = 24;
/// Forty letters a second; auctioneers reach thirty.
const QUICKEST: Duration = Duration::from_millis(25);
/// Four letters a second, and some seconds for how it begins and ends; dictation has six.
const SLOWEST: Duration = Duration::from_millis(250);
const SLACK: Duration = Duration::from_secs(4);
const LONGEST_SILENCE: Duration = Duration::from_millis(2_500);
/// Below this no model whispers.
const SILENT: f32 = -60.0;
/// Below its peak, a silence.
const INSIDE: f32 = -40.0;
/// Vocoders cut at 0.99 or 1: what stands still above this was cut, since no wave has a flat top.
const LOUD: f32 = 0.95;
/// One cut sample in so many is heard.
const CLIPPED_SHARE: usize = 500;

fn faults(samples: &[f32], sample_rate: u32, letters: usize) -> Vec<Fault> {
    let length = |duration: Duration| (duration.as_secs_f64() * f64::from(sample_rate)) as usize;
    let loudest = peak(samples);
    let heard = sounding_span(samples, sample_rate, from_decibels(SILENT));
    if heard.is_empty() {
        return if letters == 0 { Vec::new() } else { vec![Fault::Silent] };
    }
    let mut faults = Vec::new();
    if letters >= SHORT && heard.len() < letters * length(QUICKEST) {
        faults.push(Fault::TooShort);
    }
    if heard.len() > length(SLACK) + letters * length(SLOWEST) {
        faults.push(Fault::TooLong);
    }
    let silences =
        inner_silences(samples, sample_rate, loudest * from_decibels(INSIDE), length(LONGEST_SILENCE));
    if !silences.is_empty() {
        faults.push(Fault::LongSilence);
    }
    let flat = |three: &&[f32]| three[0].abs() >= LOUD && three[0] == three[1] && three[1] == three[2];
    if samples.windows(3).filter(flat).count() > samples.len() / CLIPPED_SHARE {
        faults.push(Fault::Clipped);
    }
    faults
}

/// Letters and digits of the text as it is spoken; one of a script that writes syllables or words counts as three. Tags are
/// sounds, not letters.
fn letters(text: &str) -> usize {
    let mut in_tag = false;
    let weight = |character: char| {
        match character {
            '[' => in_tag = true,
            ']' => in_tag = false,
            _ => {}
        }
        match character {
            _ if in_tag || !character.is_alphanumeric() => 0,
            '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' => 3,
            _ => 1,
        }
    };
    text.chars().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 24_000;
    const TEXT: &str = "This sentence has forty-six letters in it, or nearly so many.";

    fn hum(seconds: f64, amplitude: f32) -> Vec<f32> {
        (0..(seconds * f64::from(RATE)) as usize).map(|n| amplitude * (n as f32 * 0.1).sin()).collect()
    }

    fn clean(samples: Vec<f32>) -> Take {
        Take { samples, is_stuck: false }
    }

    fn found(samples: &[f32]) -> Vec<Fault> {
        faults(samples, RATE, letters(TEXT))
    }

    #[test]
    fn each_fault_is_found_and_speech_has_none() {
        assert_eq!(letters(TEXT), 48);
        assert_eq!(found(&hum(3.5, 0.5)), []);
        assert_eq!(found(&hum(1.0, 0.5)), [Fault::TooShort]);
        assert_eq!(found(&hum(17.0, 0.5)), [Fault::TooLong]);
        assert_eq!(found(&vec![0.0; 48_000]), [Fault::Silent]);
        let gap = [hum(2.0, 0.5), vec![0.0; 62_000], hum(2.0, 0.5)].concat();
        assert_eq!(found(&gap), [Fault::LongSilence]);
        let loud: Vec<f32> = hum(3.5, 3.0).iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
        assert_eq!(found(&loud), [Fault::Clipped]);
        assert_eq!(found(&hum(3.5, 1.0)), [], "loud is not clipped");
    }

    #[test]
    fn what_has_no_letters_may_last_for_any_time_or_not_be_heard() {
        assert_eq!((letters("[laugh] …"), letters("世界"), letters("a1")), (0, 6, 2));
        assert_eq!(faults(&vec![0.0; 100], RATE, 0), []);
        assert_eq!(faults(&hum(0.1, 0.5), RATE, letters("Oh!")), []);
    }

    #[test]
    fn a_good_take_ends_it_and_otherwise_the_best_of_all_is_kept() {
        let mut takes = Takes::new(TEXT, RATE, 7, 3);
        let mut seeds = Vec::new();
        for (sound, enough) in [(vec![0.0; 24_000], false), (hum(17.0, 0.5), false), (hum(1.0, 0.5), false)] {
            seeds.push(takes.seed());
            assert_eq!(takes.add(clean(sound)), enough);
        }
        assert_eq!(seeds, [7, 1_000_010, 2_000_013]);
        assert!(takes.add(clean(vec![0.0; 24_000])), "the bound");
        let (samples, report) = takes.finish();
        assert_eq!(samples.len(), 17 * 24_000);
        assert_eq!(report, Report { seed: 1_000_010, takes: 4, faults: vec![Fault::TooLong] });

        let mut takes = Takes::new(TEXT, RATE, u64::MAX, 3);
        assert!(takes.add(clean(hum(3.5, 0.5))));
        assert_eq!(takes.finish().1, Report { seed: u64::MAX, takes: 1, faults: vec![] });
    }

    #[test]
    fn a_take_that_got_stuck_is_spoken_again_though_it_sounds_well() {
        let mut takes = Takes::new(TEXT, RATE, 7, 1);
        assert!(!takes.add(Take { samples: hum(4.0, 0.5), is_stuck: true }));
        assert!(takes.add(clean(hum(3.5, 0.5))));
        assert_eq!(takes.finish().1, Report { seed: 1_000_010, takes: 2, faults: vec![] });

        let mut takes = Takes::new(TEXT, RATE, 7, 0);
        assert!(takes.add(Take { samples: hum(4.0, 0.5), is_stuck: true }));
        assert_eq!(takes.finish().1.faults, [Fault::Stuck]);
    }
}
