//! Acronyms: spelled where they cannot be pronounced or never are, left alone otherwise (NASA, UNESCO).

use super::rewrite::{pattern, rewrite};

/// Those with a vowel that are spelled all the same.
const SPELLED: &[&str] = &[
    "AC", "ADHD", "AI", "AM", "API", "ATM", "BBC", "CEO", "CIA", "CPU", "DEA", "DIY", "DNA", "EPA", "EU",
    "EV", "FAA", "FAQ", "FBI", "FDA", "GPU", "HIV", "IBM", "ICU", "ID", "IOU", "IP", "IQ", "IRS", "IT",
    "LED", "MIT", "NBA", "NSA", "NYC", "OMG", "OS", "RNA", "SOS", "SUV", "UAE", "UFO", "UI", "UK", "UN",
    "URL", "US", "USA", "USB", "UV", "VIP",
];

/// Consonants that are sounds or abbreviated words, not letters.
const SOUNDS: &[&str] = &[
    "HMM", "HM", "SHH", "SH", "PSST", "PST", "BRR", "BRRR", "GRR", "GRRR", "TSK", "PFFT", "ZZZ", "MR", "MRS",
    "MS", "DR", "ST", "NTH",
];

/// Acronyms that are words as well, once a whole sentence is in capitals.
const WORDS_TOO: &[&str] = &["AM", "IT", "LED", "US"];

pub(super) fn spell(text: &str) -> String {
    rewrite(text, pattern!(r"\b(\p{Lu}{2,5})('?s)?\b"), |found, around| {
        let letters = &found[1];
        let plural = found.get(2).map_or("", |_| "'s");
        if !around.stands_alone() || SOUNDS.contains(&letters) || is_numeral(letters) {
            return None;
        }
        if letters == "OK" {
            let opens = around.before.trim_end().chars().next_back().is_none_or(|c| ".!?".contains(c));
            return Some(format!("{}{plural}", if opens { "Okay" } else { "okay" }));
        }
        let shouted = is_shouted(around.previous_word()) || is_shouted(around.next_word());
        let known = SPELLED.contains(&letters) && !(shouted && WORDS_TOO.contains(&letters));
        let vowelless = letters.is_ascii() && !letters.contains(['A', 'E', 'I', 'O', 'U', 'Y']);
        if !known && !vowelless {
            return None;
        }
        let spelled: Vec<String> = letters.chars().map(String::from).collect();
        Some(format!("{}{plural}", spelled.join(" ")))
    })
}

fn is_shouted(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|c| c.is_uppercase() || !c.is_alphabetic())
}

/// Roman numerals that [`super::roman`] did not dare to read.
fn is_numeral(letters: &str) -> bool {
    letters.chars().all(|c| "IVXLCM".contains(c)) && letters.starts_with(['I', 'V', 'X']) && letters != "XL"
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_spoken;

    #[test]
    fn what_cannot_be_pronounced_is_spelled() {
        assert_spoken(&[
            ("the FBI and the BBC", "the F B I and the B B C"),
            ("HTML, CSS and PDFs", "H T M L, C S S and P D F's"),
            ("the UK's CEO", "the U K's C E O"),
            ("It is OK. OK!", "It is okay. Okay!"),
        ]);
    }

    #[test]
    fn what_can_is_left_alone() {
        assert_spoken(&[
            ("NASA and UNESCO", "NASA and UNESCO"),
            ("HMM, SHH!", "HMM, SHH!"),
            ("LEAVE US ALONE", "LEAVE US ALONE"),
            ("STOP IT NOW", "STOP IT NOW"),
            ("Rocky IV", "Rocky IV"),
        ]);
    }
}
