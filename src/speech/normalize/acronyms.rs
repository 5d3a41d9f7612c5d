//! Acronyms: spelled where they cannot be pronounced or never are, left alone otherwise (NASA, UNESCO).

use super::rewrite::{pattern, rewrite};

/// Those with a vowel that are spelled all the same.
const SPELLED: &[&str] = &[
    "AI", "AM", "API", "ATM", "BBC", "CEO", "CIA", "CPU", "DIY", "DNA", "EU", "FAQ", "FBI", "GPU", "IBM",
    "ID", "IOU", "IP", "IQ", "LED", "MIT", "NBA", "OS", "PIN", "RNA", "SOS", "UAE", "UFO", "UI", "UK", "UN",
    "URL", "US", "USA", "USB", "UV", "VIP", "AC", "CEO", "EST", "ETA", "IT",
];

/// Consonants that are sounds or abbreviated words, not letters.
const SOUNDS: &[&str] = &[
    "HMM", "HM", "SHH", "SH", "PSST", "PST", "BRR", "BRRR", "GRR", "GRRR", "TSK", "PFFT", "ZZZ", "MR", "MRS",
    "MS", "DR", "ST", "NTH",
];

pub(super) fn spell(text: &str) -> String {
    rewrite(text, pattern!(r"\b(\p{Lu}{2,5})('?s)?\b"), |found, around| {
        let letters = &found[1];
        let vowelless = !letters.contains(['A', 'E', 'I', 'O', 'U', 'Y']) && letters.is_ascii();
        if letters == "OK" {
            return around.stands_alone().then(|| format!("okay{}", found.get(2).map_or("", |s| s.as_str())));
        }
        // In a shouted sentence "IT", "US" and "AM" are words.
        let shouted = around.previous_word().len() > 1 && is_upper(around.previous_word())
            || around.next_word().len() > 1 && is_upper(around.next_word());
        let known =
            SPELLED.contains(&letters) && !(shouted && matches!(letters, "IT" | "US" | "AM" | "PIN" | "LED"));
        let pronoun = matches!(letters, "IT" | "US" | "AM" | "PIN" | "LED") && shouted;
        if !around.stands_alone()
            || pronoun
            || !(known || vowelless)
            || SOUNDS.contains(&letters)
            || is_numeral(letters)
        {
            return None;
        }
        let spelled: Vec<String> = letters.chars().map(String::from).collect();
        Some(format!("{}{}", spelled.join(" "), found.get(2).map_or("", |_| "'s")))
    })
}

fn is_upper(word: &str) -> bool {
    word.chars().all(|c| c.is_uppercase() || !c.is_alphabetic())
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
            ("It is OK.", "It is okay."),
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
