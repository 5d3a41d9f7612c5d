//! T3 at times falls into a loop: one token, or a syllable of them, again and again until its bound. The sound of that may be
//! a hum or a murmur of a plausible length, so it is looked for in the tokens.

/// Tokens of the shortest stretch that counts: 3 s. The longest laugh and the longest held vowel are never that regular.
const STRETCH: usize = 75;
/// Tokens of the longest loop that is looked for: 1 s, of which a stretch holds three.
const LONGEST_LOOP: usize = 25;

/// Whether some stretch of the tokens is a loop. Silence is one too; whoever minds long silences hears them.
pub(super) fn is_stuck(tokens: &[u32]) -> bool {
    (1..=LONGEST_LOOP).any(|period| longest_run(tokens, period) + period >= STRETCH)
}

/// The longest run of tokens that are each the same as the one `period` before.
fn longest_run(tokens: &[u32], period: usize) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for (token, earlier) in tokens.iter().skip(period).zip(tokens) {
        run = if token == earlier { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_or_a_syllable_over_and_over_is_a_loop_wherever_it_stands() {
        let speech: Vec<u32> = (0..200).map(|n| n * n % 97).collect();
        let after_speech = |stretch: &mut dyn Iterator<Item = u32>| -> Vec<u32> {
            speech.iter().copied().chain(stretch).chain([7, 8, 9]).collect()
        };
        assert!(is_stuck(&after_speech(&mut std::iter::repeat_n(5, STRETCH))));
        assert!(is_stuck(&after_speech(&mut (500..525).cycle().take(STRETCH))));
        assert!(!is_stuck(&after_speech(&mut std::iter::repeat_n(5, STRETCH - 1))));
        assert!(!is_stuck(&after_speech(&mut (500..526).cycle().take(STRETCH))), "too long to be one loop");
        assert!(!is_stuck(&[]));
    }

    #[test]
    fn one_slip_ends_a_loop() {
        let mut stretch: Vec<u32> = (0..5).cycle().take(2 * STRETCH - 10).collect();
        assert!(is_stuck(&stretch));
        stretch[STRETCH - 5] = 99;
        assert!(!is_stuck(&stretch));
    }
}
