//! The alignment analyser of multilingual v2: follows in T3's attention where in the text the speech is, and corrects the
//! logits when it ends too early, lingers, or starts over.
//!
//! The reference had it up to commit 59bc590 (`AlignmentStreamAnalyzer`) and removed it with 3f35dfc; it is off unless
//! asked for. Its "false start" verdict never changed anything and is left out.

/// Bans a token; its negative forces one.
const BANNED: f32 = -32768.0;
/// The speech has arrived at the end once it is among this many last tokens of the text.
const END: usize = 3;
/// Attention on tokens before these last ones, after the end was reached, counts as starting over.
const SAFE_END: usize = 5;
/// Frames' worth of attention that may go to either after the end: 200 ms.
const PATIENCE: f32 = 5.0;

/// One utterance's alignment.
#[derive(Debug)]
pub struct AlignmentAnalyser {
    /// Tokens of the text, start and stop included.
    text: usize,
    stop_token: u32,
    /// Calls so far.
    frame: usize,
    /// The token of the text that is being spoken.
    position: usize,
    after_end: Option<AfterEnd>,
}

/// Attention summed since the end of the text was reached.
#[derive(Debug, Default)]
struct AfterEnd {
    /// To each of the last tokens.
    lingering: [f32; END],
    /// To the most noticed token before them.
    repeating: f32,
}

impl AlignmentAnalyser {
    pub fn new(text: usize, stop_token: u32) -> Self {
        Self { text, stop_token, frame: 0, position: 0, after_end: None }
    }

    /// Reads the attention of the newest positions and corrects the logits of the next token.
    ///
    /// `attention` is `[positions, text]`, row-major: two positions (the start tokens) at first, one at a time then.
    /// `history` is the start token and everything sampled since.
    pub fn step(&mut self, attention: &[f32], history: &[u32], logits: &mut [f32]) {
        let mut now = 0;
        for row in attention.chunks_exact(self.text) {
            // Speech cannot be further in the text than it is long.
            let row = &row[..self.text.min(self.frame + 1)];
            now = largest(row);
            self.collect(row);
        }
        self.frame += 1;
        if (-3..=6).contains(&(now as i64 - self.position as i64)) {
            self.position = now;
        }
        if self.position + END >= self.text {
            self.after_end.get_or_insert_default();
        }

        let stop = self.stop_token as usize;
        if now + END < self.text && self.text > SAFE_END {
            logits[stop] = BANNED;
        }
        let lingers =
            self.after_end.as_ref().is_some_and(|sum| sum.lingering.iter().any(|&sum| sum >= PATIENCE));
        let repeats = self.after_end.as_ref().is_some_and(|sum| sum.repeating > PATIENCE);
        let stuck = history.len() >= 3 && history[history.len() - 2] == history[history.len() - 1];
        if lingers || repeats || stuck {
            tracing::debug!(lingers, repeats, stuck, frame = self.frame, "the end is forced");
            logits.fill(BANNED);
            logits[stop] = -BANNED;
        }
    }

    /// Adds a row to the sums, if the end was reached before it.
    fn collect(&mut self, row: &[f32]) {
        let Some(sums) = &mut self.after_end else { return };
        for (sum, token) in sums.lingering.iter_mut().zip(self.text.saturating_sub(END)..) {
            *sum += row.get(token).copied().unwrap_or(0.0);
        }
        let before = row.len().min(self.text.saturating_sub(SAFE_END));
        sums.repeating += row[..before].iter().copied().fold(0.0, f32::max);
    }
}

/// The index of the largest value, the first one of several.
fn largest(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (index, value)| if *value > row[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: u32 = 3;

    /// Attention of one frame that goes to `token` alone.
    fn at(token: usize) -> Vec<f32> {
        (0..10).map(|index| if index == token { 0.9 } else { 0.01 }).collect()
    }

    /// Speech that dwells on each token of a text of ten for `frames` frames, then on `then`; gives the logits of each step.
    fn speak(frames: usize, then: &[usize]) -> Vec<Vec<f32>> {
        let mut analyser = AlignmentAnalyser::new(10, STOP);
        let walk = (0..10).flat_map(|token| std::iter::repeat_n(token, frames)).chain(then.iter().copied());
        // No token repeats, unless a test wants it to.
        let history: Vec<u32> = (0..1000).collect();
        walk.enumerate()
            .map(|(frame, token)| {
                let attention = if frame == 0 { [at(token), at(token)].concat() } else { at(token) };
                let mut logits = vec![1.0; 5];
                analyser.step(&attention, &history[..=frame], &mut logits);
                logits
            })
            .collect()
    }

    const FREE: [f32; 5] = [1.0; 5];
    const NO_STOP: [f32; 5] = [1.0, 1.0, 1.0, BANNED, 1.0];
    const ONLY_STOP: [f32; 5] = [BANNED, BANNED, BANNED, -BANNED, BANNED];

    #[test]
    fn speech_cannot_stop_before_the_last_tokens_of_the_text() {
        let steps = speak(2, &[]);
        for (frame, logits) in steps.iter().enumerate() {
            let expected = if frame / 2 < 7 { NO_STOP } else { FREE };
            assert_eq!(logits[..], expected, "frame {frame}");
        }
    }

    #[test]
    fn speech_that_lingers_on_the_last_token_is_stopped_after_200_ms() {
        // 0.9 a frame: the sixth frame on the last token makes more than five.
        let steps = speak(2, &[9; 6]);
        let forced: Vec<usize> = (0..steps.len()).filter(|&frame| steps[frame] == ONLY_STOP).collect();
        assert_eq!(forced, [23, 24, 25]);
    }

    #[test]
    fn speech_that_starts_over_is_stopped() {
        let steps = speak(1, &[0, 1, 2, 3, 4, 0, 1]);
        let forced: Vec<usize> = (0..steps.len()).filter(|&frame| steps[frame] == ONLY_STOP).collect();
        // Six frames of 0.9, and 0.01 each for the last two before them.
        assert_eq!(forced, [15, 16]);
    }

    #[test]
    fn attention_ahead_of_the_speech_is_not_believed() {
        let mut analyser = AlignmentAnalyser::new(10, STOP);
        let mut logits = FREE;
        analyser.step(&[at(9), at(9)].concat(), &[0], &mut logits);
        assert_eq!(logits, NO_STOP, "the first frame can only be at the first token");
        assert_eq!(analyser.position, 0);
        // A jump by seven is a discontinuity: the position stays.
        for frame in 1..8 {
            analyser.step(&at(0), &[0, frame], &mut [1.0; 5]);
        }
        analyser.step(&at(7), &[0, 9], &mut [1.0; 5]);
        assert_eq!(analyser.position, 0);
        analyser.step(&at(6), &[0, 10], &mut [1.0; 5]);
        assert_eq!(analyser.position, 6);
    }

    #[test]
    fn the_same_token_twice_ends_the_speech_but_not_as_its_first_two() {
        let forced = |history: &[u32]| {
            let mut analyser = AlignmentAnalyser::new(10, STOP);
            let mut logits = FREE;
            analyser.step(&[at(0), at(0)].concat(), history, &mut logits);
            logits == ONLY_STOP
        };
        assert!(forced(&[0, 4, 4]));
        assert!(!forced(&[0, 4, 5]));
        assert!(!forced(&[4, 4]), "the start token and one more are too few to tell");
    }

    #[test]
    fn texts_of_five_tokens_may_stop_any_time() {
        let mut analyser = AlignmentAnalyser::new(5, STOP);
        let mut logits = FREE;
        analyser.step(&[0.9, 0.0, 0.0, 0.0, 0.0].repeat(2), &[0], &mut logits);
        assert_eq!(logits, FREE);
    }
}
