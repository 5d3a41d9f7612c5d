//! Chinese characters as the keys that type them in the Cangjie input method, which is how the multilingual models spell them.

use std::collections::HashMap;
use std::path::Path;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use super::{TextError, json};

/// Spellings by character.
#[derive(Debug)]
pub(super) struct Cangjie {
    spellings: HashMap<char, String>,
}

impl Cangjie {
    /// `Cangjie5_TC.json`: a list of `character⇥code`, perhaps with more columns.
    pub(super) fn load(path: &Path) -> Result<Self, TextError> {
        let lines: Vec<String> = json(path)?;
        Ok(Self::new(&lines))
    }

    /// A spelling is a token for each letter of the code, one for each digit of the character's place among those that share
    /// the code (the first has none), and a token that ends it. The last code of a character counts.
    fn new(lines: &[String]) -> Self {
        let mut codes: HashMap<&str, &str> = HashMap::new();
        let mut sharing: HashMap<&str, Vec<&str>> = HashMap::new();
        for line in lines {
            let mut columns = line.split('\t');
            if let (Some(word), Some(code)) = (columns.next(), columns.next()) {
                codes.insert(word, code);
                sharing.entry(code).or_default().push(word);
            }
        }
        let spelling = |(word, code): (&str, &str)| {
            let character = only_letter(word)?;
            let place = sharing.get(code)?.iter().position(|&other| other == word)?;
            let place = if place > 0 { place.to_string() } else { String::new() };
            let keys: String = code.chars().chain(place.chars()).map(|key| format!("[cj_{key}]")).collect();
            Some((character, keys + "[cj_.]"))
        };
        Self { spellings: codes.into_iter().filter_map(spelling).collect() }
    }

    /// The text with every character spelled that the table has; the rest stays.
    pub(super) fn encode(&self, text: &str) -> String {
        let mut spelled = String::with_capacity(text.len() * 8);
        for character in text.chars() {
            match self.spellings.get(&character) {
                Some(spelling) => spelled.push_str(spelling),
                None => spelled.push(character),
            }
        }
        spelled
    }
}

/// The character, if the word is one of Unicode's category `Lo`: the table also has punctuation, which is left as it is.
fn only_letter(word: &str) -> Option<char> {
    let mut characters = word.chars();
    let character = characters.next().filter(|_| characters.as_str().is_empty())?;
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    (category == GeneralCategory::OtherLetter).then_some(character)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn characters_are_spelled_as_the_reference_spells_them() {
        let expectations: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/text.json")).unwrap();
        let lines: Vec<String> = serde_json::from_value(expectations["cangjie"]["table"].clone()).unwrap();
        let cangjie = Cangjie::new(&lines);
        for case in expectations["cangjie"]["cases"].as_array().unwrap() {
            assert_eq!(cangjie.encode(case["text"].as_str().unwrap()), case["out"].as_str().unwrap());
        }
    }

    #[test]
    fn the_twelfth_of_a_code_has_two_digits_and_the_last_code_of_a_character_counts() {
        let mut lines: Vec<String> = ('一'..'丌').map(|character| format!("{character}\tab\t1")).collect();
        lines.extend(["日\ta".to_owned(), "日\tb".to_owned(), "。\tzx".to_owned(), "broken".to_owned()]);
        let cangjie = Cangjie::new(&lines);
        assert_eq!(cangjie.encode("一"), "[cj_a][cj_b][cj_.]");
        assert_eq!(cangjie.encode("下"), "[cj_a][cj_b][cj_1][cj_1][cj_.]");
        assert_eq!(cangjie.encode("日"), "[cj_b][cj_.]");
        assert_eq!(cangjie.encode("。 a"), "。 a", "punctuation is no letter");
    }
}
